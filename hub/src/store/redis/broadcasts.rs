//! What is counted of tenants' broadcasts, kept in memory while it is current: one look at the tenant's version tells.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::inbox::InboxSummary;
use crate::domain::limits::INBOX_COUNTED;
use crate::domain::names::{TenantId, UserKey};
use crate::domain::position::{Epoch, InboxPosition, Seq};
use crate::domain::time::Timestamp;
use crate::redis::Partition;
use crate::store::{InboxLog, Log, StoreError};

use super::answer::Answer;
use super::call::Call;
use super::limits::{BROADCASTS, BROADCASTS_CACHED};
use super::script;
use super::shared::Shared;

/// One broadcast, as far as it is counted.
#[derive(Clone, Copy, Debug)]
struct Counted {
    seq: u64,
    is_critical: bool,
    expires: Option<Timestamp>,
}

/// A tenant's broadcasts.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    /// Versions are counted from the beginning of an epoch, perhaps.
    epoch: Epoch,
    version: Vec<u8>,
    /// The last place.
    pub(super) head: u64,
    /// The place of the oldest that is kept; 0 where there is none.
    pub(super) oldest: u64,
    /// The newest, in order.
    newest: Vec<Counted>,
}

impl Broadcasts {
    /// The places of those after one, in order, and whether they are all of them.
    pub(super) fn after(&self, after: u64) -> (impl ExactSizeIterator<Item = u64>, bool) {
        let first = self.newest.partition_point(|counted| counted.seq <= after);
        let are_all = first > 0 || self.newest.len() < BROADCASTS;
        (self.newest.iter().skip(first).map(|counted| counted.seq), are_all)
    }
}

/// Those of some tenants. Past [`BROADCASTS_CACHED`] it starts afresh.
#[derive(Default)]
pub(super) struct Cache(Mutex<FxHashMap<TenantId, Arc<Broadcasts>>>);

/// What a user has done with their inbox.
pub(super) struct State {
    own_head: u64,
    /// Broadcasts up to here are read.
    pub(super) read: u64,
    unread: u64,
    critical: u64,
    /// Broadcasts after that which are read, in order.
    pub(super) seen: Vec<u64>,
    /// Broadcasts that are deleted, in order.
    pub(super) deleted: Vec<u64>,
}

impl State {
    /// Takes it off an answer.
    pub(super) fn take(mut answer: Answer) -> Result<Self, StoreError> {
        let (own_head, read) = (answer.count()?, answer.count()?);
        let (unread, critical) = (answer.count()?, answer.count()?);
        let mut sorted = || -> Result<Vec<u64>, StoreError> {
            let mut places: Vec<u64> =
                answer.list()?.numbers()?.into_iter().map(i64::cast_unsigned).collect();
            places.sort_unstable();
            Ok(places)
        };
        Ok(Self { own_head, read, unread, critical, seen: sorted()?, deleted: sorted()? })
    }

    /// Whether a broadcast was read or deleted.
    pub(super) fn has_seen(&self, seq: u64) -> bool {
        seq <= self.read || self.seen.binary_search(&seq).is_ok() || self.has_deleted(seq)
    }

    /// A place up to which all broadcasts before this one were seen.
    pub(super) fn before_seen(&self, before: u64) -> u64 {
        let mut before = before;
        while before > self.read + 1 && self.has_seen(before - 1) {
            before -= 1;
        }
        before
    }

    /// Whether a broadcast was deleted.
    pub(super) fn has_deleted(&self, seq: u64) -> bool {
        self.deleted.binary_search(&seq).is_ok()
    }

    /// Both logs' ends.
    pub(super) fn head(&self, epoch: Epoch, broadcasts: &Broadcasts) -> InboxPosition {
        InboxPosition { epoch, own: Seq(self.own_head), broadcast: Seq(broadcasts.head) }
    }

    /// What the inbox holds in all. `known_from` is the place after which broadcasts are the user's.
    pub(super) fn summary(
        &self,
        epoch: Epoch,
        broadcasts: &Broadcasts,
        known_from: Option<u64>,
        now: Timestamp,
    ) -> InboxSummary {
        let (mut unread, mut critical) = (self.unread, self.critical);
        if let Some(known_from) = known_from {
            let after = known_from.max(self.read);
            for counted in broadcasts.newest.iter().rev().take_while(|counted| counted.seq > after) {
                let lasts = counted.expires.is_none_or(|expires| expires > now);
                if lasts && !self.has_seen(counted.seq) {
                    unread += 1;
                    critical += u64::from(counted.is_critical);
                }
            }
        }
        InboxSummary {
            head: self.head(epoch, broadcasts),
            unread: unread.min(INBOX_COUNTED),
            critical: critical.min(INBOX_COUNTED),
        }
    }
}

impl Shared {
    /// A tenant's broadcasts as they are now.
    pub(super) async fn broadcasts(&self, tenant: &TenantId) -> Result<Arc<Broadcasts>, StoreError> {
        let epoch = self.epoch();
        let known = self.broadcasts.0.lock().get(tenant).filter(|known| known.epoch == epoch).cloned();
        let version = known.as_ref().map_or(&b""[..], |known| &known.version);
        let call = Call::new(&script::BROADCASTS, self, Partition::of_tenant(tenant));
        let call = call.arg(tenant.as_str()).arg(version).arg(BROADCASTS);
        let (mut answer, server) = call.ask_at(self).await?;
        let version = answer.some_bytes()?;
        if let Some(known) = known.filter(|_| answer.len() == 0) {
            return Ok(known);
        }
        let (head, oldest) = (answer.count()?, answer.count()?);
        let mut newest = Vec::with_capacity(answer.len() / 3);
        while answer.len() > 0 {
            let (seq, priority, expires) = (answer.count()?, answer.count()?, answer.number()?);
            let expires = (expires != 0).then_some(Timestamp(expires));
            newest.push(Counted { seq, is_critical: priority == 4, expires });
        }
        newest.reverse();
        // Only what is durable is kept: a version that is lost with its master may come again, and be of others.
        self.may_show(&server, Log::Inbox(InboxLog::Broadcast(tenant.clone())), Seq(head)).await?;
        let broadcasts = Arc::new(Broadcasts { epoch, version, head, oldest, newest });
        let mut cached = self.broadcasts.0.lock();
        if cached.len() >= BROADCASTS_CACHED {
            cached.clear();
        }
        cached.insert(tenant.clone(), Arc::clone(&broadcasts));
        Ok(broadcasts)
    }

    /// The place after which broadcasts are a user's; `None` where the directory does not know them.
    pub(super) async fn known_from(&self, user: &UserKey) -> Result<Option<u64>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(format!("{}/d", self.names.tenant(&user.tenant))).arg(user.user.as_str());
        match self.send(&command).await? {
            redis::Value::Nil => Ok(None),
            value => super::answer::number(&value).map(|seq| Some(seq.cast_unsigned())),
        }
    }

    /// What a user has done with their inbox.
    pub(super) async fn inbox_state(&self, user: &UserKey) -> Result<State, StoreError> {
        let call = Call::new(&script::INBOX_READ, self, Partition::of_user(&user.tenant, &user.user));
        let call = call.arg(self.now().millis()).arg(user.tenant.as_str()).arg(user.user.as_str());
        let (answer, server) = call.ask_at(self).await?;
        let state = State::take(answer)?;
        self.may_show(&server, Log::Inbox(InboxLog::Own(user.clone())), Seq(state.own_head)).await?;
        Ok(state)
    }
}
