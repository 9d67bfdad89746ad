//! Where everybody puts their lines: a bounded queue before the thread that writes them. Nobody ever waits for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::entry::event;
use super::known::Known;
use super::line::Line;
use super::source::line_of_many;
use super::strangers::Strangers;
use crate::domain::caller::Identity;
use crate::domain::limits::AUDIT_PASSED;
use crate::domain::time::Moment;
use crate::telemetry::Metrics;

/// The audit log, as those see it who have something to say. A clone shares everything.
#[derive(Clone, Default)]
pub struct Trail(Option<Arc<Queue>>);

impl Trail {
    /// One that keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self(Some(queue))
    }

    /// Whether anything is kept: who would have to gather what a line says may ask first.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether somebody new may come in: not where configuration wants every line kept and lines cannot be.
    pub fn admits(&self) -> bool {
        self.0.as_ref().is_none_or(|queue| !queue.refuses || !queue.is_failing.load(Ordering::Relaxed))
    }

    /// Whether a line may be written about somebody unknown who was refused: see [`Strangers::admit`].
    pub(super) fn admits_stranger(&self, address: Option<IpAddr>) -> Option<u64> {
        self.0.as_ref()?.strangers.lock().admit(address, Moment::now())
    }

    /// The same of one whose address has had no more than its share: see [`Strangers::admit_one_of_all`].
    pub(super) fn admits_one_of_all(&self) -> Option<u64> {
        self.0.as_ref()?.strangers.lock().admit_one_of_all(Moment::now())
    }

    /// The same of somebody known: see [`Known::admit`].
    pub(super) fn admits_known(&self, named: Identity) -> Option<u64> {
        self.0.as_ref()?.known.lock().admit(named, Moment::now())
    }

    /// The same of what somebody known did that no limit holds up.
    pub(super) fn admits_passed(&self, named: Identity) -> Option<u64> {
        self.0.as_ref()?.passed.lock().admit(named, Moment::now())
    }

    /// Counts a refusal of which no line is written; `None` of somebody unknown.
    pub(super) fn leave_out(&self, named: Option<Identity>) {
        if let Some(queue) = &self.0 {
            match named {
                Some(named) => queue.known.lock().leave_out(named, Moment::now()),
                None => queue.strangers.lock().leave_out(1),
            }
        }
    }

    /// Says of whom how many refusals were not written, as nothing comes after this.
    pub fn tell_rest(&self) {
        if let Some(queue) = &self.0 {
            queue.tell_left_out(true);
        }
    }

    /// Adds a line. Where the queue is full it is lost, counted, and the log says so when it goes on.
    pub(super) fn record(&self, line: Line) {
        if let Some(queue) = &self.0 {
            queue.push(&line.into_bytes());
        }
    }
}

/// What comes within so long is written together.
const GATHER: Duration = Duration::from_millis(5);

/// Bodies of lines that wait for the writer.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    bytes: usize,
    refuses: bool,
    is_failing: AtomicBool,
    strangers: Mutex<Strangers>,
    known: Mutex<Known>,
    /// What services did that no limit holds up.
    passed: Mutex<Known>,
    metrics: Metrics,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Bodies, each followed by an end of line.
    pub(super) bodies: Vec<u8>,
    /// Lines that found no room.
    pub(super) lost: u64,
    /// Nothing more will come.
    pub(super) closed: bool,
}

impl Queue {
    /// An empty one for so many bytes; `refuses` says that nobody new comes in while lines cannot be kept.
    pub(super) fn new(bytes: usize, refuses: bool, metrics: Metrics) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            bytes,
            refuses,
            is_failing: AtomicBool::new(false),
            strangers: Mutex::default(),
            known: Mutex::default(),
            passed: Mutex::new(Known::of(AUDIT_PASSED)),
            metrics,
        }
    }

    fn push(&self, body: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.bodies.len() + body.len() >= self.bytes {
            waiting.lost += 1;
            self.metrics.counters().audit_lost.increment();
            // A sink that takes nothing and gives no error is not heard of otherwise.
            if !self.is_failing.swap(true, Ordering::Relaxed) {
                self.metrics.counters().audit_failing.store(true, Ordering::Relaxed);
                tracing::error!(
                    "audit lines find no room: the log is not written fast enough, or not at all"
                );
            }
            return;
        }
        if waiting.bodies.is_empty() {
            self.arrived.notify_one();
        }
        waiting.bodies.extend_from_slice(body);
        waiting.bodies.push(b'\n');
    }

    /// Says of whom how many refusals and emergencies were not written: where that is due, or of all.
    pub(super) fn tell_left_out(&self, all: bool) {
        let now = Moment::now();
        let forgotten = self.tell_left_out_of(&self.known, event::REFUSED, now, all);
        let mut strangers = self.strangers.lock();
        strangers.leave_out(forgotten);
        let count = strangers.take_left_out(now, all);
        drop(strangers);
        self.tell_many(event::REFUSED, None, count);
        let forgotten = self.tell_left_out_of(&self.passed, event::PASSED, now, all);
        self.tell_many(event::PASSED, None, forgotten);
    }

    /// The same of those that are counted by whose they are; how many were left out of those who are not remembered.
    fn tell_left_out_of(&self, counted: &Mutex<Known>, event: &str, now: Moment, all: bool) -> u64 {
        let mut counted = counted.lock();
        let (left_out, forgotten) = (counted.take_left_out(now, all), counted.take_forgotten());
        drop(counted);
        for (named, count) in left_out {
            self.tell_many(event, Some(&named), count);
        }
        forgotten
    }

    fn tell_many(&self, event: &str, named: Option<&Identity>, count: u64) {
        if count > 0 {
            self.push(&line_of_many(event, named, count).into_bytes());
        }
    }

    /// What waits, soon after something does, or at `deadline`.
    pub(super) fn take(&self, deadline: Instant) -> Waiting {
        let mut waiting = self.waiting.lock();
        while waiting.bodies.is_empty() && !waiting.closed {
            if self.arrived.wait_until(&mut waiting, deadline).timed_out() {
                break;
            }
        }
        if !waiting.bodies.is_empty() && !waiting.closed {
            // A line seldom comes alone, and to wake and write costs more than a line.
            self.arrived.wait_for(&mut waiting, GATHER);
        }
        let bodies = std::mem::take(&mut waiting.bodies);
        Waiting { bodies, lost: std::mem::take(&mut waiting.lost), closed: waiting.closed }
    }

    /// Waits for a while, less where nothing more will come. Whether that is so.
    pub(super) fn rest(&self, time: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            self.arrived.wait_for(&mut waiting, time);
        }
        waiting.closed
    }

    /// Lines can be written, or cannot.
    pub(super) fn set_failing(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Relaxed);
        self.metrics.counters().audit_failing.store(is_failing, Ordering::Relaxed);
    }

    /// So many lines were written.
    pub(super) fn written(&self, lines: u64) {
        self.metrics.counters().audit_lines.add(lines);
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_all();
    }
}
