//! Spans: steps of what callers trace, told to a collector. Only those are told whose caller says, by `traceparent`, that the trace
//! is sampled: nothing is traced that nobody asked for, and all else costs nothing.
//!
//! A [`Tracer`] begins a [`Span`], whose end hands it over. What ends faster than it is told is left out, and counted.

mod context;
mod otlp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::Either;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::domain::error::{ERROR_TABLE, ErrorCode};

pub use context::TraceContext;
pub use otlp::document;

/// Spans that wait to be told at most.
const WAITING: usize = 4_096;

tokio::task_local! {
    /// The span within which a future is polled.
    static CURRENT: (Tracer, TraceContext);
}

/// Begins spans; the default begins none. A clone tells the same collector.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    ended: mpsc::Sender<Ended>,
    /// Until somebody tells of them.
    told: Mutex<Option<mpsc::Receiver<Ended>>>,
    left_out: AtomicU64,
}

/// Who is told of spans.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Where it takes documents: HTTPS, or a loopback address unless it is called insecure.
    pub url: http::Uri,
    /// Whose certificates are believed there; those of public authorities where `None`.
    pub roots: Option<Arc<rustls::RootCertStore>>,
}

/// A step that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// What it is.
    pub name: &'static str,
    /// The step itself.
    pub context: TraceContext,
    /// The id of the step that it is a part of.
    pub parent: u64,
    /// Whether its parent is in another process.
    pub is_entry: bool,
    /// When it began, nanoseconds since 1970.
    pub began: u64,
    /// How long it took.
    pub took: Duration,
    /// The code with which it failed.
    pub failed: Option<&'static str>,
}

/// A step. Its end is told when it is dropped.
#[derive(Debug)]
pub struct Span {
    tracer: Tracer,
    since: Instant,
    ended: Ended,
}

impl Tracer {
    /// One whose spans wait to be told.
    pub fn new() -> Self {
        let (ended, told) = mpsc::channel(WAITING);
        let told = Mutex::new(Some(told));
        Self(Some(Arc::new(Inner { ended, told, left_out: AtomicU64::new(0) })))
    }

    /// The spans that have ended, for the one who tells of them; `None` for all who ask later.
    pub fn told(&self) -> Option<mpsc::Receiver<Ended>> {
        self.0.as_ref()?.told.lock().take()
    }

    /// Begins a step of whoever calls; `None` where nobody wants to see it.
    pub fn entry(&self, parent: Option<TraceContext>, name: &'static str) -> Option<Span> {
        self.begin(parent, name, true)
    }

    fn begin(&self, parent: Option<TraceContext>, name: &'static str, is_entry: bool) -> Option<Span> {
        self.0.as_ref()?;
        let parent = parent.filter(|parent| parent.is_sampled)?;
        let span = getrandom::u64().ok().filter(|id| *id != 0)?;
        let context = TraceContext { span, ..parent };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        let (parent, took) = (parent.span, Duration::ZERO);
        let ended = Ended { name, context, parent, is_entry, began, took, failed: None };
        Some(Span { tracer: self.clone(), since: Instant::now(), ended })
    }

    /// How many were left out since this was asked last.
    pub fn left_out(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.left_out.swap(0, Ordering::Relaxed))
    }
}

impl Span {
    /// Ends it with what came of it.
    pub fn ends<T>(mut self, came: Result<T, ErrorCode>) {
        let row = |code| ERROR_TABLE.iter().find(|row| row.code == code);
        self.ended.failed = came.err().and_then(row).map(|row| row.name);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.ended.took = self.since.elapsed();
        if let Some(inner) = &self.tracer.0
            && inner.ended.try_send(self.ended.clone()).is_err()
        {
            inner.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Carries a future out within a span: its [`step`]s are the span's.
pub fn within<F: Future>(span: Option<&Span>, future: F) -> impl Future<Output = F::Output> + use<F> {
    // An async function would keep the future's place twice.
    match span {
        Some(span) => Either::Left(CURRENT.scope((span.tracer.clone(), span.ended.context), future)),
        None => Either::Right(future),
    }
}

/// Begins a step of the span within which this is called; `None` where there is none.
pub fn step(name: &'static str) -> Option<Span> {
    CURRENT.try_with(|(tracer, parent)| tracer.begin(Some(*parent), name, false)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: TraceContext = TraceContext { trace: 7, span: 9, is_sampled: true };

    #[tokio::test]
    async fn steps_are_those_of_their_span_and_that_is_its_callers() {
        let tracer = Tracer::new();
        let mut told = tracer.told().unwrap();
        let span = tracer.entry(Some(PARENT), "message_send");
        within(span.as_ref(), async { step("commit").expect("it is within").ends(Ok(())) }).await;
        span.unwrap().ends::<()>(Err(ErrorCode::Conflict));
        let (commit, command) = (told.recv().await.unwrap(), told.recv().await.unwrap());
        assert_eq!((command.name, command.parent, command.failed), ("message_send", 9, Some("CONFLICT")));
        assert_eq!((commit.name, commit.parent, commit.failed), ("commit", command.context.span, None));
        assert_eq!((commit.context.trace, command.context.trace), (7, 7));
        assert!(command.is_entry && !commit.is_entry);
        assert!(step("commit").is_none(), "outside there is no span");
    }

    #[tokio::test]
    async fn what_nobody_wants_to_see_is_not_told_and_what_is_too_much_is_counted() {
        let tracer = Tracer::new();
        let mut told = tracer.told().unwrap();
        assert!(tracer.entry(None, "ping").is_none());
        assert!(tracer.entry(Some(TraceContext { is_sampled: false, ..PARENT }), "ping").is_none());
        assert!(Tracer::default().entry(Some(PARENT), "ping").is_none());
        for _ in 0..WAITING + 3 {
            drop(tracer.entry(Some(PARENT), "ping"));
        }
        assert_eq!((tracer.left_out(), tracer.left_out()), (3, 0));
        assert_eq!(told.recv().await.unwrap().name, "ping");
    }
}
