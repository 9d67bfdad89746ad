//! The benchmark's time, and its end by the user.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::BenchError;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long to wait for something that should come at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Nanoseconds since the benchmark began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Now.
    pub(super) fn nanoseconds(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// Lets Ctrl-C end the benchmark in order, so that the server that it started ends too.
pub(super) fn watch_interrupts() -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    std::thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(())
}

/// Fails once the user has pressed Ctrl-C.
pub(super) fn check_interrupt() -> Result<(), BenchError> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
}

/// Notices that nothing happens any more.
#[derive(Debug)]
pub(super) struct Watchdog {
    what: &'static str,
    last: Instant,
    count: u64,
}

impl Watchdog {
    /// `what` completes the sentence «… within 30 s».
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, last: Instant::now(), count: 0 }
    }

    /// Fails when `count` has not changed for [`PATIENCE`], or the user has pressed Ctrl-C.
    pub(super) fn check(&mut self, count: u64) -> Result<(), BenchError> {
        check_interrupt()?;
        if count != self.count {
            (self.count, self.last) = (count, Instant::now());
        }
        if self.last.elapsed() > PATIENCE {
            return Err(BenchError::Silence { what: self.what, seconds: PATIENCE.as_secs() });
        }
        Ok(())
    }
}
