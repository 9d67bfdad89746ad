//! What a session writes: replies and its own pushes first, then pushes of others, then what its rooms have.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, Stream};

use super::{Output, Session, Stage};
use crate::domain::error::ErrorCode;
use crate::domain::limits::{JOIN_AGAIN, OUTBOX_BYTES, SLOW_CONSUMER_FACTOR, UNREAD_ROOMS};
use crate::domain::names::RoomName;
use crate::domain::time::Moment;
use crate::session::batch::Batch;
use crate::session::catch_up::{self, CatchUp};
use crate::session::dispatch::Done;
use crate::session::joins::wait_after;
use crate::session::services::Services;
use crate::store::{StoreError, refuse};

impl Session {
    /// Fills `batch` with what is to be written next. Pending while there is nothing.
    pub fn poll_output(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Output> {
        self.poll_hello_deadline(cx);
        if let Some(established) = &self.established {
            established.live.mailbox.register(cx.waker());
            established.live.mailbox.end_rest();
        }
        let now = Moment::now();
        loop {
            if self.outbox.is_empty() {
                self.read_inbox();
            }
            let mut moved = self.poll_commands(cx);
            moved |= self.poll_catch_up(cx);
            moved |= self.take_signals(now);
            // What comes while the rest is written was not promised: a busy room would keep the session for ever.
            let has_all = self.has_all_promised();
            self.fill(batch);
            if has_all {
                self.end(None);
            }
            if !batch.is_empty() {
                self.note_output(now, batch.bytes());
                let counters = self.services.metrics.counters();
                counters.deliveries.add(batch.len() as u64);
                counters.delivered_bytes.add(batch.bytes() as u64);
                counters.writes.increment();
                return Poll::Ready(Output::Frames);
            }
            moved |= self.may_catch_up();
            match &mut self.stage {
                Stage::Draining(refusal) if self.in_flight.is_empty() => {
                    let refusal = refusal.take();
                    self.end(refusal);
                }
                Stage::Ending(refusal) => {
                    let refusal = refusal.take();
                    self.stage = Stage::Ended;
                    let reason = refusal.as_ref().map(|refusal| refusal.code);
                    self.attempt.take().into_iter().for_each(|attempt| attempt.ended(reason));
                    return Poll::Ready(Output::End(refusal));
                }
                Stage::Ended => return Poll::Ready(Output::End(None)),
                _ if !moved => {
                    self.note_output(now, 0);
                    self.rest();
                    return Poll::Pending;
                }
                _ => {}
            }
        }
    }

    /// Nothing is to be written. Where nothing is under way either, what comes next may go out past the session's task.
    fn rest(&self) {
        if let Some(established) = &self.established
            && self.goes_on()
            && self.commands.as_ref().map_or(0, FuturesUnordered::len) == established.asking.timers()
            && established.catch_up.is_none()
            && established.feed.is_some()
            && established.slots.are_caught_up()
        {
            established.live.mailbox.begin_rest();
        }
    }

    /// The transport was given so many bytes, or nothing because there is nothing.
    fn note_output(&mut self, now: Moment, bytes: usize) {
        let (wants_input, settings) = (self.wants_input(), &self.services.settings);
        let Some(established) = &mut self.established else { return };
        established.live.polled(now, wants_input, bytes > 0);
        if bytes == 0 {
            if established.catch_up.is_none() && established.slots.are_caught_up() {
                established.pace.caught_up();
            } else {
                established.pace.waits(now);
            }
            return;
        }
        let patience = settings.slow_consumer_after * SLOW_CONSUMER_FACTOR;
        if established.pace.gives(bytes, patience, settings.slow_consumer_floor, now) {
            established.live.close(ErrorCode::SlowConsumer);
        }
    }

    /// Whether a client that sends no more was given what it was promised: the rooms that it resumes, what they had when its
    /// last command was answered, and what it missed in its inbox.
    fn has_all_promised(&mut self) -> bool {
        let Stage::Closing(noted) = &mut self.stage else { return false };
        let Some(established) = &mut self.established else { return true };
        let is_reading = established.inbox_under_way
            || established.feed.as_ref().is_some_and(|feed| feed.next_query().is_some());
        if !self.in_flight.is_empty() || !established.joins.are_done() || is_reading {
            return false;
        }
        if !std::mem::replace(noted, true) {
            established.slots.promise();
        }
        !established.slots.owe()
    }

    /// Whether a room turned out to be behind and nothing is being read yet.
    fn may_catch_up(&self) -> bool {
        self.established.as_ref().is_some_and(|e| e.catch_up.is_none() && e.slots.may_read())
    }

    fn poll_hello_deadline(&mut self, cx: &mut Context<'_>) {
        if self.awaits_hello()
            && let Stage::Waiting(deadline) = &mut self.stage
            && deadline.as_mut().poll(cx).is_ready()
        {
            self.end(Some(ErrorCode::DeadlineExceeded.into()));
        }
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        // What is done stays where it is while much waits to be written: a client that asks and does not read holds no
        // more than this.
        while !self.is_over()
            && self.outbox_bytes < OUTBOX_BYTES
            && let Some(commands) = &mut self.commands
            && let Poll::Ready(next) = Pin::new(commands).poll_next(cx)
        {
            let Some((done, turn)) = next else {
                self.commands = None;
                break;
            };
            self.finish_command(done);
            drop(turn);
            moved = true;
        }
        moved
    }

    /// Reads one page at a time for whichever room is behind.
    fn poll_catch_up(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_over() {
            return false;
        }
        let Some(established) = &mut self.established else { return false };
        if established.catch_up.is_none()
            && established.slots.may_read()
            && let Some((slot, room, after)) = established.slots.next_behind()
        {
            let Services { metrics, namespaces, store, upkeep, .. } = &*self.services;
            metrics.counters().catch_ups.increment();
            let keeps_latest = namespaces.rules(&room.key.room).is_some_and(|rules| rules.latest_per_key);
            established.catch_up =
                Some(CatchUp::begin(store, slot, room, after, keeps_latest, &upkeep.crowd.catch_ups));
        }
        let Some(reading) = &mut established.catch_up else { return false };
        let Poll::Ready(page) = reading.page.as_mut().poll(cx) else { return false };
        let Some(CatchUp { slot, room, after, .. }) = established.catch_up.take() else { return false };
        let Some(live) = established.slots.live_mut(slot).filter(|live| live.waits_for(&room, after)) else {
            return true;
        };
        match page {
            Ok(page) => {
                if let Some(removed) = catch_up::removal(&page, &established.caller.user, live.member_since) {
                    live.follower().end_at(removed);
                }
                let until = live.follower().until();
                let encoder = self.services.delivery.encoder();
                let (frames, cursor) = catch_up::frames(encoder, &room.key.room, &page, after, until);
                established.slots.take_page(slot, frames, cursor);
            }
            Err(error) => self.read_later(slot, &room.key.room, error),
        }
        true
    }

    /// A room could not be read: it waits and is read again, so that nothing is missing, and all others go on. A session that is
    /// about to end has no time for that: its client comes back and resumes from where it is.
    fn read_later(&mut self, slot: u32, room: &RoomName, error: StoreError) {
        let (goes_on, now) = (self.goes_on(), Moment::now());
        if let Some(left_out) = self.services.upkeep.unread_rooms.admit_every(UNREAD_ROOMS, now) {
            let namespace = room.namespace();
            tracing::warn!(error = %error, namespace, left_out, "a session could not read a room: it tries again");
        }
        let Some(established) = self.established.as_mut().filter(|_| goes_on) else {
            return self.end(Some(refuse(error)));
        };
        let failed = established.slots.could_not_read(slot);
        let wait = wait_after(failed.saturating_sub(1), JOIN_AGAIN);
        self.begin(0, async move {
            tokio::time::sleep(wait).await;
            Done::ReadAgain(slot)
        });
    }

    /// Replies first, then pushes, then what lies past the rooms' cursors.
    fn fill(&mut self, batch: &mut Batch) {
        loop {
            while batch.has_room() {
                let Some(frame) = self.outbox.pop_front() else { break };
                self.outbox_bytes -= frame.len();
                batch.push(frame);
            }
            if self.outbox.is_empty() && self.outbox.capacity() > 8 {
                self.outbox = VecDeque::new();
            }
            let Some(established) = &mut self.established else { return };
            if !batch.has_room()
                || !matches!(self.stage, Stage::Open | Stage::Closing(_) | Stage::Draining(_))
            {
                return;
            }
            // Before `connected` nothing else is sent: it is the first frame of a session.
            let Some(feed) = &mut established.feed else { return };
            if established.live.mailbox.has_waiting() {
                established.live.mailbox.take_pushes(|waiting| match waiting.place {
                    Some(place) if !feed.accept(place) => true,
                    _ => batch.push(waiting.frame),
                });
            }
            let Some((slot, reason)) = established.slots.fill(batch) else { return };
            self.leave_unasked(slot, reason);
        }
    }
}
