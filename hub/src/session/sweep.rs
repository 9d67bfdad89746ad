//! What has to happen to sessions without them: heartbeat, token expiry, slow readers, empty rooms, drain. One pass
//! over a runtime's sessions at a time instead of timers of their own.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::access::authentication::LifeStep;
use crate::delivery::mailbox::Signal;
use crate::domain::error::ErrorCode;
use crate::domain::limits::UNHEARD_FACTOR;
use crate::domain::names::RoomKey;
use crate::domain::time::{Moment, Now, Timestamp};

use super::live::Live;
use super::services::{Services, Settings};

/// How often a pass is made: what is due is done this much late at most.
const INTERVAL: Duration = Duration::from_millis(250);

/// A pass after this long says nothing of clients.
const LATE: Duration = Duration::from_secs(2);

/// After it was told to end, a session whose transport takes nothing any more is cleaned up without it.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection on which nobody has said hello by then is closed: what a stream has to say in time, and its last
/// words.
pub fn first_call(hello_timeout: Duration) -> Duration {
    hello_timeout + LAST_WORDS
}

/// A session that was cleaned up is told why when its client reads again. One that does not within this time is broken
/// off, with its connection unless others on that moved within as long. Its own last move is longer ago: it had
/// [`LAST_WORDS`] before.
fn unheard(settings: &Settings) -> Duration {
    settings.slow_consumer_after * UNHEARD_FACTOR
}

/// Makes passes over the sessions of runtime `shard` until cancelled.
pub async fn sweep_runtime(services: Arc<Services>, shard: usize, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut passes = Passes(Moment::now());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = cancel.cancelled() => return,
        }
        let now = Now::read();
        pass(&services, shard, now, passes.is_late(now.moment));
    }
}

/// One pass over the sessions of runtime `shard`, and over what all have in common where that is the first. `late` where the
/// process did not run since the one before.
pub fn pass(services: &Arc<Services>, shard: usize, now: Now, late: bool) {
    let Now { time, moment } = now;
    let dropped = &services.metrics.counters().dropped;
    for live in services.sessions.of_shard(shard) {
        if late {
            live.excuse(moment);
        }
        services.sweep_session(&live, now);
        dropped.add(live.mailbox.take_merged());
    }
    if let Some(shard) = services.delivery.shards().get(shard) {
        dropped.add(shard.take_dropped());
        let (counters, (frames, bytes)) = (services.metrics.counters(), shard.written().take());
        counters.deliveries.add(frames);
        counters.delivered_bytes.add(bytes);
        counters.writes.add(frames);
    }
    let lists = [
        (&services.upkeep.waiting, first_call(services.settings.hello_timeout)),
        (&services.upkeep.unheard, unheard(&services.settings)),
    ];
    for (list, lately) in lists {
        if let Some(list) = list.get(shard).filter(|_| !late) {
            list.sweep(moment, lately);
        }
    }
    if shard == 0 {
        services.presence.tick(now);
        services.delivery.rooms().sweep(time);
        services.revocations.forget_ended(time);
        services.begin_to_keep_reached();
        services.limits.watch(services.sessions.counted());
        services.upkeep.once.sweep(moment);
        services.upkeep.spent.sweep(moment);
        services.upkeep.replaced.sweep(moment);
    }
}

/// When the last pass was made.
struct Passes(Moment);

impl Passes {
    /// Notes a pass. Whether it comes so late that the process cannot have run in between, as when the machine slept
    /// or a debugger held it: what clients sent meanwhile is not read yet.
    fn is_late(&mut self, now: Moment) -> bool {
        now.since(std::mem::replace(&mut self.0, now)) >= LATE
    }
}

impl Services {
    fn sweep_session(&self, live: &Live, now: Now) {
        let Now { time, moment } = now;
        if live.mailbox.is_closed() {
            if moment.since(live.last_output()) > LAST_WORDS {
                self.end_session(live, false, now);
                self.unfollow_all(live, time);
                if let Some(list) = self.upkeep.unheard.get(live.mailbox.shard()) {
                    live.must_be_released(list, moment.plus(unheard(&self.settings)));
                }
            }
            return;
        }
        // Not in the match: its lock would be held through the arms.
        let (step, good) = {
            let mut life = live.life.lock();
            (life.step(time), life.check(&self.revocations))
        };
        if let Err(refusal) = good {
            return live.close(refusal);
        }
        match step {
            LifeStep::Fine => {}
            LifeStep::Expiring => {
                let expires = live.life.lock().expires();
                live.mailbox.signal(Signal::TokenExpiring(expires));
            }
            LifeStep::Expired => return live.close(ErrorCode::TokenExpired),
        }
        let stalled = live.stalled(moment);
        if stalled > self.settings.slow_consumer_after {
            return live.close(ErrorCode::SlowConsumer);
        }
        // While the hub does not read, nobody can say that the client is silent.
        if stalled > INTERVAL || !live.reads() {
            return;
        }
        let terms = &self.settings.terms;
        let silence = moment.since(live.last_inbound());
        if silence > Duration::from_millis(u64::from(terms.heartbeat_timeout_ms)) {
            return live.close(ErrorCode::DeadlineExceeded);
        }
        let interval = Duration::from_millis(u64::from(terms.heartbeat_interval_ms));
        if silence >= interval && moment.since(live.last_ping()) >= interval {
            live.pinged(moment);
            live.mailbox.signal(Signal::Ping);
        }
    }

    /// Forgets a session that ended; harmless where it was forgotten. `for_good` says that no session will continue
    /// it, so that presence gives no grace.
    pub(super) fn end_session(&self, live: &Live, for_good: bool, now: Now) {
        if !live.begin_end() {
            return;
        }
        let counters = self.metrics.counters();
        if live.mailbox.ended_as() == Some(ErrorCode::SlowConsumer) {
            counters.slow_consumers.increment();
        }
        counters.dropped.add(live.mailbox.take_merged());
        self.upkeep.spent.keep(live.user(), std::mem::take(&mut live.commands.lock()), Moment::now());
        self.tell_ended(live);
        live.mailbox.close();
        self.delivery.registry().remove(&live.mailbox);
        self.sessions.remove(live);
        self.note_count(live);
        if for_good {
            self.presence.close(&live.user().tenant, live.id(), now);
        } else {
            self.presence.disconnect(&live.user().tenant, live.id(), now);
        }
    }

    /// Takes a session out of its rooms whose transport keeps it for as long as it likes.
    fn unfollow_all(&self, live: &Live, now: Timestamp) {
        for room in std::mem::take(&mut *live.rooms.lock()) {
            let key = RoomKey { tenant: live.user().tenant.clone(), room };
            if let Some(room) = self.delivery.rooms().get(&key) {
                room.unfollow_session(live.mailbox.shard(), live.id(), now);
            }
        }
    }

    /// Tells every session that the node stops: each finishes what is in flight and ends. They are asked to come back
    /// after random times up to `spread`.
    pub fn drain_sessions(&self, spread: Duration) {
        self.begin_drain();
        let sessions = self.sessions.all();
        let count = sessions.len().max(1) as u32;
        for (index, live) in sessions.into_iter().enumerate() {
            live.mailbox.signal(Signal::Drain(spread * index as u32 / count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_late_where_the_hub_did_not_run() {
        let mut passes = Passes(Moment(1));
        assert!(!passes.is_late(Moment(251)));
        assert!(!passes.is_late(Moment(1_500)), "busy");
        assert!(passes.is_late(Moment(60_000)));
        assert!(!passes.is_late(Moment(60_250)));
    }
}
