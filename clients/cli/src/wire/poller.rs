//! Waits for many sockets at once (epoll, level-triggered).

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::WireError;

/// Most sockets reported by one wait.
const EVENTS: usize = 1_024;

pub(super) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// A socket that can be used now.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    /// The number it was added under.
    pub(super) number: usize,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Poller {
    pub(super) fn new() -> Result<Self, WireError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(WireError::system("make an epoll set"))?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS) })
    }

    /// Watches `socket` for input. Closing the socket ends it.
    pub(super) fn add(&self, socket: impl AsFd, number: usize) -> Result<(), WireError> {
        epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), EventFlags::IN)
            .map_err(WireError::system("watch a socket"))
    }

    /// Watches for room to write as well, or no longer.
    pub(super) fn watch_output(
        &self,
        socket: impl AsFd,
        number: usize,
        watch: bool,
    ) -> Result<(), WireError> {
        let flags = if watch { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        epoll::modify(&self.epoll, socket, EventData::new_u64(number as u64), flags)
            .map_err(WireError::system("watch a socket"))
    }

    /// Waits until a socket is ready, `timeout` is over or a signal came; gives how many are ready.
    pub(super) fn wait(&mut self, timeout: Duration) -> Result<usize, WireError> {
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(self.events.len()),
            Err(error) => Err(WireError::system("wait for sockets")(error)),
        }
    }

    /// The sockets that the last wait found; `None` past their count.
    pub(super) fn ready(&self, index: usize) -> Option<Ready> {
        self.events.get(index).map(|event| {
            let Event { flags, data } = *event;
            Ready {
                number: data.u64() as usize,
                // An error or a hang-up shows when it is read.
                readable: flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP),
                writable: flags.contains(EventFlags::OUT),
            }
        })
    }
}
