//! The tenants whose sessions on other nodes are followed here, and what is to be done for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::super::Presence;
use super::Mirror;
use crate::bus::BusError;
use crate::bus::feed::Hold;
use crate::bus::sessions::{Batch, Life, SessionsFigures, Told};
use crate::domain::limits::{BUS_LIMIT, PRESENCE_LINGER};
use crate::domain::names::TenantId;
use crate::domain::time::{Moment, Now};

/// How often whoever waits for the node's lease looks.
const LEASE_LOOKS: Duration = Duration::from_millis(100);

/// A tenant that is followed.
struct Following {
    others: Arc<Others>,
    /// Since when it has had no session here.
    idle_since: Option<Moment>,
}

/// The other nodes' sessions of a tenant.
pub(super) struct Others {
    /// Held while the tenant's followers are told, so that they are in order. Whoever opens a session does not take it.
    pub(super) known: Mutex<Known>,
    /// Whether they are known.
    is_whole: watch::Sender<bool>,
}

/// What is known of them.
pub(super) struct Known {
    pub(super) mirror: Mirror,
    /// Keeps the tenant's topic followed; there once it is heard.
    pub(super) hold: Option<Hold>,
    /// The tenant is followed no more.
    is_over: bool,
}

/// What is to be done. Bounded by the tenants that have sessions here, or of which it was asked lately who is present.
#[derive(Default)]
pub(super) struct Work {
    /// Tenants whose topics are to be followed.
    pub(super) begun: VecDeque<TenantId>,
    /// Tenants of which something is to be read.
    pub(super) reads: FxHashSet<TenantId>,
    /// Tenants of which others are to be told something.
    pub(super) changed: FxHashSet<TenantId>,
}

/// What a node knows of others' sessions. Locks are taken in this order: tenants, one tenant's, a shard of presence, work; that
/// of all tenants is never held while anybody is told something.
pub(in super::super) struct Nodes {
    pub(super) node: u64,
    tenants: Mutex<FxHashMap<TenantId, Following>>,
    pub(super) work: Mutex<Work>,
    pub(super) notify: Notify,
    /// Whether all changes have been told.
    pub(super) is_told: watch::Sender<bool>,
    /// How many looks at the leases have begun.
    pub(super) looks: AtomicU64,
    /// Until when the others take this node to be there at least: a [`Moment`].
    good_until: AtomicU64,
    pub(super) counters: Counters,
}

/// What is counted, as [`SessionsFigures`] says.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) others: AtomicU64,
    pub(super) told: AtomicU64,
    pub(super) untold: AtomicU64,
    pub(super) heard: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) lives: AtomicU64,
}

impl Others {
    /// Whether they are known; once they are it stays so.
    pub(super) fn is_whole(&self) -> bool {
        *self.is_whole.borrow()
    }
}

impl Nodes {
    pub(in super::super) fn new(node: u64) -> Self {
        Self {
            node,
            tenants: Mutex::default(),
            work: Mutex::default(),
            notify: Notify::new(),
            is_told: watch::channel(true).0,
            looks: AtomicU64::new(0),
            good_until: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    /// Follows a tenant from now on. What is given becomes true when the others' sessions are known.
    pub(in super::super) fn follow(&self, tenant: &TenantId) -> watch::Receiver<bool> {
        let mut tenants = self.tenants.lock();
        if let Some(following) = tenants.get_mut(tenant) {
            following.idle_since = None;
            return following.others.is_whole.subscribe();
        }
        let (is_whole, becomes_whole) = watch::channel(false);
        let known = Known { mirror: Mirror::new(self.node), hold: None, is_over: false };
        let others = Arc::new(Others { known: Mutex::new(known), is_whole });
        tenants.insert(tenant.clone(), Following { others, idle_since: None });
        self.work.lock().begun.push_back(tenant.clone());
        self.notify.notify_one();
        becomes_whole
    }

    /// What is known of the others' sessions of a tenant that is followed.
    pub(super) fn others(&self, tenant: &TenantId) -> Option<Arc<Others>> {
        self.tenants.lock().get(tenant).map(|following| Arc::clone(&following.others))
    }

    /// This node's lease is good until then.
    pub(super) fn note_lease(&self, good_until: Moment) {
        self.good_until.store(good_until.0, Ordering::Release);
    }

    fn has_lease(&self) -> bool {
        Moment::now() < Moment(self.good_until.load(Ordering::Acquire))
    }

    /// Others are to be told something of a tenant.
    pub(in super::super) fn note_changed(&self, tenant: &TenantId) {
        let mut work = self.work.lock();
        if !work.changed.contains(tenant) {
            work.changed.insert(tenant.clone());
            self.is_told.send_replace(false);
            self.notify.notify_one();
        }
    }
}

impl Presence {
    /// Waits until it is known who of the tenant is on other nodes, and follows them from then on while there are sessions
    /// here, and for [`PRESENCE_LINGER`] after the last of them or the last call. To be called before a session joins rooms, and
    /// before anybody is told who is present. Where there are no other nodes there is nothing to wait for.
    pub async fn gather(&self, tenant: &TenantId) -> Result<(), BusError> {
        let Some(nodes) = self.nodes() else { return Ok(()) };
        let mut is_whole = nodes.follow(tenant);
        match timeout(BUS_LIMIT, is_whole.wait_for(|is_whole| *is_whole)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(BusError::Unavailable),
        }
    }

    /// Another node says something of its sessions.
    pub fn hear(&self, tenant: &TenantId, batch: &Bytes) {
        match Batch::decode(batch) {
            Ok(batch) => {
                if let Some(nodes) = self.nodes()
                    && batch.life.node != nodes.node
                {
                    nodes.counters.heard.fetch_add(1, Ordering::Relaxed);
                }
                self.follow_up(tenant, |mirror, looks| mirror.hear(batch, looks));
            }
            // It is found missing by the next one's number.
            Err(error) => tracing::warn!(%error, "what a node says of its sessions cannot be read"),
        }
    }

    /// Whether this node is one among the others: they take it to be there, and it knows of them. So it is where there are none.
    pub fn is_among_nodes(&self) -> bool {
        self.nodes().is_none_or(|nodes| nodes.has_lease())
    }

    /// Waits until this node is one among the others, for a while: before that they would take whoever comes in here for one who is
    /// gone with a node.
    pub async fn comes_among_nodes(&self) -> Result<(), BusError> {
        let waits = async {
            while !self.is_among_nodes() {
                sleep(LEASE_LOOKS).await;
            }
        };
        timeout(BUS_LIMIT, waits).await.map_err(|_| BusError::Unavailable)
    }

    /// Figures of what nodes say of their sessions; `None` where there are no others.
    pub fn figures_of_nodes(&self) -> Option<SessionsFigures> {
        let nodes = self.nodes()?;
        let (counters, has_lease) = (&nodes.counters, nodes.has_lease());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(SessionsFigures {
            has_lease,
            // Who does not reach the leases knows of nobody.
            others: if has_lease { read(&counters.others) } else { 0 },
            told: read(&counters.told),
            untold: read(&counters.untold),
            heard: read(&counters.heard),
            reads: read(&counters.reads),
            lives: read(&counters.lives),
        })
    }

    /// What others say of a tenant may not have come.
    pub fn may_have_missed(&self, tenant: &TenantId) {
        self.follow_up(tenant, |mirror, _| {
            mirror.missed();
            Vec::new()
        });
    }

    /// This node is about to end, and its sessions with it: others are told to take each for one that may come back to them
    /// within `left`. Done when they were told, or cannot be for now.
    pub async fn take_leave(&self, left: Duration, most: Duration) {
        let Some(nodes) = self.nodes() else { return };
        let left = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        let tenants: Vec<_> = nodes.tenants.lock().keys().cloned().collect();
        for tenant in &tenants {
            self.with_board(tenant, |board| {
                board.leave_for(left);
                Vec::new()
            });
        }
        let mut is_told = nodes.is_told.subscribe();
        if timeout(most, is_told.wait_for(|is_told| *is_told)).await.is_err() {
            tracing::warn!("other nodes could not be told that this one ends");
        }
    }

    /// Lets a tenant's mirror take something, and puts what comes of it on the board.
    pub(super) fn follow_up(&self, tenant: &TenantId, take: impl FnOnce(&mut Mirror, u64) -> Vec<Told>) {
        let Some(nodes) = self.nodes() else { return };
        let Some(others) = nodes.others(tenant) else { return };
        let mut known = others.known.lock();
        if known.is_over {
            return;
        }
        let told = take(&mut known.mirror, nodes.looks.load(Ordering::Acquire));
        self.put(tenant, &told);
        for session in self.released(tenant) {
            known.mirror.doubt(session);
        }
        if known.mirror.is_whole() && !others.is_whole() {
            self.with_board(tenant, |board| board.become_whole(Now::read()));
            others.is_whole.send_replace(true);
            nodes.notify.notify_one();
        }
        if known.mirror.next_deadline().is_some() {
            nodes.work.lock().reads.insert(tenant.clone());
            nodes.notify.notify_one();
        }
    }

    /// Tells all mirrors who is there.
    pub(super) fn look(&self, alive: &[Life], look: u64) {
        let Some(nodes) = self.nodes() else { return };
        let tenants: Vec<_> = nodes.tenants.lock().keys().cloned().collect();
        for tenant in &tenants {
            self.follow_up(tenant, |mirror, _| mirror.look(alive, look));
        }
    }

    /// Follows tenants no more that have had no session here for a while.
    pub(super) fn forget_idle(&self, now: Moment) {
        let Some(nodes) = self.nodes() else { return };
        nodes.tenants.lock().retain(|tenant, following| {
            if !self.is_idle(tenant) || nodes.work.lock().changed.contains(tenant) {
                following.idle_since = None;
                return true;
            }
            let since = *following.idle_since.get_or_insert(now);
            if now.since(since) < PRESENCE_LINGER {
                return true;
            }
            // While something is being told of it, it is not idle.
            let Some(mut known) = following.others.known.try_lock() else { return true };
            known.is_over = true;
            self.remove_board(tenant);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;
    use crate::bus::sessions::{Follows, Record};
    use crate::domain::names::{SessionId, UserId, UserKey};
    use crate::presence::{Notice, NoticeSink, Options};

    /// Holds up the notice that comes after it was told to.
    struct HeldUp {
        next: AtomicBool,
        is_held: AtomicBool,
        go: Mutex<Receiver<()>>,
    }

    impl NoticeSink for HeldUp {
        fn deliver(&self, _: Notice) {
            if self.next.swap(false, Ordering::SeqCst) {
                self.is_held.store(true, Ordering::SeqCst);
                self.go.lock().recv().unwrap();
            }
        }
    }

    fn user(name: &str) -> UserKey {
        UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse(name).unwrap() }
    }

    /// What another node says: somebody has come to it.
    fn batch(name: &str) -> Bytes {
        let record = Record::online(user(name).user, Vec::new());
        let told = vec![Told { session: SessionId(9), has_left: false, record: Some(record) }];
        let life = Life { node: 2, number: 1 };
        let mut bytes = Vec::new();
        Batch { life, follows: Follows::Nothing, counter: 1, told }.encode(&mut bytes);
        bytes.into()
    }

    #[test]
    fn sessions_open_while_others_are_told_of_another_nodes() {
        let (go, wait) = sync_channel(1);
        let (next, is_held) = (AtomicBool::new(false), AtomicBool::new(false));
        let sink = Arc::new(HeldUp { next, is_held, go: Mutex::new(wait) });
        let presence = Presence::shared(Options::default(), Arc::clone(&sink) as _, 1);
        let (zoe, bob) = (user("zoe"), user("bob"));
        presence.connect(&zoe, SessionId(1), Now::default());
        presence.watch(&zoe.tenant, SessionId(1), &[user("alice").user]);
        presence.follow_up(&zoe.tenant, |mirror, _| {
            mirror.begin(0);
            Vec::new()
        });
        presence.look(&[], 1);
        sink.next.store(true, Ordering::SeqCst);
        let (done, opened) = sync_channel(2);
        let telling = {
            let presence = presence.clone();
            std::thread::spawn(move || presence.hear(&zoe.tenant, &batch("alice")))
        };
        while !sink.is_held.load(Ordering::SeqCst) && !telling.is_finished() {
            std::thread::yield_now();
        }
        assert!(sink.is_held.load(Ordering::SeqCst), "somebody is told");
        let opening = std::thread::spawn(move || {
            let elsewhere = UserKey { tenant: TenantId::parse("other").unwrap(), ..bob.clone() };
            for (user, session) in [(&bob, 2), (&elsewhere, 3)] {
                presence.connect(user, SessionId(session), Now::default());
                done.send(session).unwrap();
            }
        });
        let came = [(); 2].map(|()| opened.recv_timeout(Duration::from_secs(20)));
        go.send(()).unwrap();
        telling.join().unwrap();
        opening.join().unwrap();
        assert_eq!(came, [Ok(2), Ok(3)], "meanwhile");
    }
}
