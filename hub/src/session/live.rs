//! What others see of a session: the sweep, administrators, and a newer session that takes over.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carillon_net::addresses::network;
use parking_lot::Mutex;

use crate::access::authentication::TokenLife;
use crate::audit::Source;
use crate::bus::registry::limits::Instance;
use crate::delivery::mailbox::{Mailbox, Signal};
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{InstanceId, RoomName, SessionId, UserKey};
use crate::domain::peer::Peer;
use crate::domain::rate::Bucket;
use crate::domain::seldom::Seldom;
use crate::domain::time::{Moment, Timestamp};
use crate::telemetry::OpenSession;

use super::connection::{Closer, Waiting};
use super::sessions::Places;

/// A session's commands move its user's `last_active` at most this often: presence is shared by a tenant's sessions.
const TOUCH_INTERVAL: Duration = Duration::from_secs(1);

/// A session that has said hello.
pub struct Live {
    /// Where what it must know goes.
    pub mailbox: Arc<Mailbox>,
    /// The tab or process that it belongs to.
    pub instance: Option<InstanceId>,
    /// The client's name and version.
    pub client: String,
    /// When it said hello.
    pub opened: Timestamp,
    /// When its token ends.
    pub life: Mutex<TokenLife>,
    /// What is left of the commands that it may send.
    pub commands: Mutex<Bucket>,
    /// Says when a line may be written that it was held back.
    pub limited: Seldom,
    /// Why it ends, where it is the hub that ends it.
    pub(super) ends_as: OnceLock<ErrorCode>,
    /// The request id of its stream, and where that was opened from.
    pub(super) source: Source,
    /// Whether it is written down that it was opened; or that it was refused, and nothing more is to be said.
    pub(super) told: OnceLock<bool>,
    /// The rooms that it follows.
    pub rooms: Mutex<Vec<RoomName>>,
    last_inbound: AtomicU64,
    last_ping: AtomicU64,
    last_touch: AtomicU64,
    last_output: AtomicU64,
    /// Since when something has waited, as far as the sweep knows; 0 where nothing does.
    waiting_since: AtomicU64,
    reads: AtomicBool,
    owes: AtomicBool,
    _counted: OpenSession,
    closer: Closer,
    released: Arc<AtomicBool>,
    gone: AtomicBool,
    /// What it counts as: see [`Places`].
    places: AtomicU8,
    /// When it was let in, as others know it; 0 where nobody asked them.
    entered_at: AtomicU64,
    /// Whether the node counts it no more, as it has ended or another has its place.
    uncounted: AtomicBool,
    /// Whether it was pinged, and has not answered since.
    is_asked: AtomicBool,
}

impl Live {
    /// A session that says hello now, which is `now` on the clock that never steps.
    pub fn new(
        mailbox: Arc<Mailbox>,
        instance: Option<InstanceId>,
        client: String,
        life: TokenLife,
        counted: OpenSession,
        closer: Closer,
        now: Moment,
    ) -> Self {
        Self {
            mailbox,
            instance,
            client,
            opened: Timestamp::now(),
            life: Mutex::new(life),
            commands: Mutex::default(),
            limited: Seldom::default(),
            ends_as: OnceLock::new(),
            source: Source::default(),
            told: OnceLock::new(),
            rooms: Mutex::default(),
            last_inbound: AtomicU64::new(now.0),
            last_ping: AtomicU64::new(now.0),
            last_touch: AtomicU64::new(now.0),
            last_output: AtomicU64::new(now.0),
            waiting_since: AtomicU64::new(0),
            reads: AtomicBool::new(true),
            owes: AtomicBool::new(false),
            _counted: counted,
            closer,
            released: Arc::default(),
            gone: AtomicBool::new(false),
            places: AtomicU8::new(Places::NONE.0),
            entered_at: AtomicU64::new(0),
            uncounted: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
        }
    }

    /// The same, opened from there.
    #[must_use]
    pub fn from(mut self, source: Source, caller: &Caller) -> Self {
        self.source = source.of_session(self.id(), caller);
        self
    }

    /// Where it was opened from: personal data.
    pub fn peer(&self) -> &Peer {
        &self.source.peer
    }

    /// The address by which it is counted.
    pub(super) fn counted_at(&self) -> Option<IpAddr> {
        self.peer().address.map(network)
    }

    /// By which other nodes know its tab or process, where that has a name.
    pub(super) fn instance_from(&self) -> Option<Instance> {
        let instance = self.instance.as_ref()?;
        Some(Instance { mark: instance.mark(), from: instance.mark_at(self.counted_at()) })
    }

    /// When it was let in, by the registry's clock in microseconds; 0 where that is not known.
    pub(super) fn entered_at(&self) -> u64 {
        self.entered_at.load(Ordering::SeqCst)
    }

    /// It is let in then.
    pub(super) fn enters_at(&self, at: u64) {
        self.entered_at.store(at, Ordering::SeqCst);
    }

    /// What it counts as.
    pub(super) fn places(&self) -> Places {
        Places(self.places.load(Ordering::SeqCst))
    }

    /// Whoever counts has changed that.
    pub(super) fn set_places(&self, places: Places) {
        self.places.store(places.0, Ordering::SeqCst);
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        self.mailbox.session()
    }

    /// Whose it is.
    pub fn user(&self) -> &UserKey {
        self.mailbox.user()
    }

    /// A frame came in.
    pub fn heard(&self, now: Moment) {
        self.last_inbound.store(now.0, Ordering::Relaxed);
    }

    /// Whether presence should be told of a command at `now`: not more than once in a while.
    pub fn begin_touch(&self, now: Moment) -> bool {
        let due = now.since(Moment(self.last_touch.load(Ordering::Relaxed))) >= TOUCH_INTERVAL;
        if due {
            self.last_touch.store(now.0, Ordering::Relaxed);
        }
        due
    }

    /// When the last frame came in.
    pub fn last_inbound(&self) -> Moment {
        Moment(self.last_inbound.load(Ordering::Relaxed))
    }

    /// The transport asked for output; `reads` says whether the hub reads its input too, `wrote` whether it was given
    /// something. Time while the hub does not read is not the client's silence.
    pub fn polled(&self, now: Moment, reads: bool, wrote: bool) {
        self.owes.store(wrote, Ordering::Relaxed);
        self.last_output.store(now.0, Ordering::Relaxed);
        self.closer.moved(now);
        if reads && !self.reads.load(Ordering::Relaxed) {
            self.heard(now);
        }
        self.reads.store(reads, Ordering::Relaxed);
    }

    /// Whether something waits for the transport to ask again: it was given frames and has not come back since, or the
    /// mailbox has something.
    pub fn owes(&self) -> bool {
        self.owes.load(Ordering::Relaxed) || self.mailbox.has_waiting()
    }

    /// When the transport last asked for output.
    pub fn last_output(&self) -> Moment {
        Moment(self.last_output.load(Ordering::Relaxed))
    }

    /// For how long something has waited that the transport did not ask for, as seen by passes of the sweep. A session
    /// that had nothing to write has not been asked for long, so its last output alone says nothing.
    pub fn stalled(&self, now: Moment) -> Duration {
        if !self.owes() {
            self.waiting_since.store(0, Ordering::Relaxed);
            return Duration::ZERO;
        }
        let since = match self.waiting_since.load(Ordering::Relaxed) {
            0 => now.0,
            since => since.max(self.last_output().0),
        };
        self.waiting_since.store(since, Ordering::Relaxed);
        now.since(Moment(since))
    }

    /// Whether the hub reads its input.
    pub fn reads(&self) -> bool {
        self.reads.load(Ordering::Relaxed)
    }

    /// The hub itself did not run: that time is neither the client's silence, nor the stream's standing still.
    pub fn excuse(&self, now: Moment) {
        self.heard(now);
        self.waiting_since.store(0, Ordering::Relaxed);
    }

    /// When it was last pinged.
    pub fn last_ping(&self) -> Moment {
        Moment(self.last_ping.load(Ordering::Relaxed))
    }

    /// It is pinged now.
    pub fn pinged(&self, now: Moment) {
        self.last_ping.store(now.0, Ordering::Relaxed);
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// It says that it is there. Whether it was asked.
    pub(super) fn answers_ping(&self) -> bool {
        self.is_asked.swap(false, Ordering::Relaxed)
    }

    /// Whether it follows a room.
    pub fn follows(&self, room: &RoomName) -> bool {
        self.rooms.lock().contains(room)
    }

    /// Ends it with `refusal`.
    pub fn close(&self, refusal: impl Into<Refusal>) {
        self.mailbox.signal(Signal::Close(refusal.into()));
    }

    /// The transport let go of it.
    pub(super) fn released(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    /// Breaks off the stream under it at `deadline`, unless the transport lets go of it before.
    pub(super) fn must_be_released(&self, list: &Waiting, deadline: Moment) {
        list.add(deadline, Arc::clone(&self.released), self.closer.clone());
    }

    /// What ends it while its transport holds it, and whether that has let go.
    pub(super) fn held(&self) -> (Arc<AtomicBool>, Closer) {
        (Arc::clone(&self.released), self.closer.clone())
    }

    /// The node counts it no more; `true` for the first who says so.
    pub(super) fn leaves_count(&self) -> bool {
        !self.uncounted.swap(true, Ordering::SeqCst)
    }

    /// Notes that it is gone; `true` for the first who says so, who then cleans up.
    pub fn begin_end(&self) -> bool {
        !self.gone.swap(true, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::caller::Caller;
    use crate::domain::names::{TenantId, UserId};
    use crate::telemetry::Metrics;

    fn live(now: Moment) -> Live {
        let (tenant, user) = (TenantId::parse("acme").unwrap(), UserId::parse("alice").unwrap());
        let (expires, token) = (Timestamp(3_600_000), crate::domain::revocation::TokenMark::default());
        let powers = crate::domain::powers::Powers::default();
        let caller = Caller { tenant, user, service: false, cross_tenant: false, expires, token, powers };
        let mailbox = Arc::new(Mailbox::new(SessionId(1), caller.key(), 0, 1_024));
        let life = TokenLife::new(&caller, Duration::ZERO, Timestamp(0));
        Live::new(
            mailbox,
            None,
            "test".to_owned(),
            life,
            Metrics::new().session_opened(),
            Closer::default(),
            now,
        )
    }

    #[test]
    fn a_session_stalls_from_when_something_waits_and_not_from_its_last_output() {
        let live = live(Moment(1));
        assert_eq!(live.stalled(Moment(60_000)), Duration::ZERO, "nothing waits");
        live.mailbox.mark_ready(1);
        assert_eq!(live.stalled(Moment(90_000)), Duration::ZERO, "it has just come");
        assert_eq!(live.stalled(Moment(90_250)), Duration::from_millis(250));
        live.polled(Moment(90_400), true, true);
        assert_eq!(live.stalled(Moment(90_500)), Duration::from_millis(100), "it moved");
        live.mailbox.take(|_| {}, &mut Vec::new());
        live.polled(Moment(90_600), true, false);
        assert_eq!(live.stalled(Moment(99_000)), Duration::ZERO, "all is taken");
    }

    #[test]
    fn a_session_that_is_asked_for_output_moves_its_connection() {
        let live = live(Moment(1));
        let moves = || live.closer.has_moved_within(Duration::from_secs(60), Moment(100_000));
        live.polled(Moment(40_000), true, true);
        assert!(!moves());
        live.polled(Moment(40_001), true, false);
        assert!(moves());
    }

    #[test]
    fn what_the_hub_sleeps_through_is_nobodys_fault() {
        let live = live(Moment(1));
        live.mailbox.mark_ready(1);
        assert_eq!(live.stalled(Moment(1_000)), Duration::ZERO);
        live.excuse(Moment(90_000));
        assert_eq!(Moment(90_000).since(live.last_inbound()), Duration::ZERO);
        assert_eq!(live.stalled(Moment(90_000)), Duration::ZERO);
        assert_eq!(live.stalled(Moment(91_000)), Duration::from_secs(1), "from here on it is its own");
    }
}
