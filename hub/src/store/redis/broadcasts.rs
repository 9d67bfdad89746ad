//! What is counted of tenants' broadcasts, kept in memory while it is current: one look at the tenant's version tells.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::inbox::{InboxSummary, Priority};
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

/// A tenant's broadcasts: of the newest what is counted of them.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    /// Versions are counted from the beginning of an epoch, perhaps.
    epoch: Epoch,
    version: Vec<u8>,
    /// The last place.
    head: u64,
    /// The place of the oldest that is kept; 0 where there is none.
    oldest: u64,
    /// All after this place are among the newest.
    complete_from: u64,
    /// First and last of the places that follow each other, in order.
    runs: Vec<(u64, u64)>,
    /// Those that expire, and when.
    expiring: Vec<(u64, Timestamp)>,
    /// Critical ones, and when they expire.
    critical: Vec<(u64, Option<Timestamp>)>,
}

impl Broadcasts {
    /// Takes the newest off an answer, the newest first.
    fn take_newest(&mut self, mut answer: Answer) -> Result<(), StoreError> {
        let count = answer.len() / 3;
        while answer.len() > 0 {
            let (seq, priority, expires) = (answer.count()?, answer.count()?, answer.number()?);
            let expires = (expires != 0).then_some(Timestamp(expires));
            match self.runs.last_mut() {
                Some((first, _)) if *first == seq + 1 => *first = seq,
                _ => self.runs.push((seq, seq)),
            }
            self.expiring.extend(expires.map(|expires| (seq, expires)));
            if priority == Priority::Critical as u64 {
                self.critical.push((seq, expires));
            }
        }
        let lowest = self.runs.last().map_or(0, |(first, _)| *first);
        self.complete_from = if count < BROADCASTS { 0 } else { lowest.saturating_sub(1) };
        self.runs.reverse();
        self.expiring.reverse();
        self.critical.reverse();
        Ok(())
    }

    /// Adds what a script takes to count those that are a user's: after `known_from`, where there are any. What it says grows with
    /// those that have gone, have expired or are critical, not with those that the user has seen.
    pub(super) fn push(&self, call: &mut Call, known_from: Option<u64>, now: Timestamp) {
        call.push(self.head);
        call.push(known_from.map_or(-1, u64::cast_signed));
        call.push(self.oldest);
        call.push(self.complete_from);
        // None are theirs whom the directory does not know.
        let after = known_from.unwrap_or(u64::MAX);
        let runs = &self.runs[self.runs.partition_point(|(_, last)| *last <= after)..];
        call.push(runs.len());
        for (first, last) in runs {
            call.push((*first).max(after + 1));
            call.push(*last);
        }
        let expired = self.expiring.iter().filter(|(seq, expires)| *seq > after && *expires <= now);
        push_places(call, expired.map(|(seq, _)| *seq).collect());
        let lasts = |expires: &Option<Timestamp>| expires.is_none_or(|expires| expires > now);
        let critical = self.critical.iter().filter(|(seq, expires)| *seq > after && lasts(expires));
        push_places(call, critical.map(|(seq, _)| *seq).collect());
    }
}

fn push_places(call: &mut Call, places: Vec<u64>) {
    call.push(places.len());
    for place in places {
        call.push(place);
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
    /// Whether broadcasts are read or deleted one by one.
    has_some: bool,
}

/// What a user has done with a broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Read it, or deleted it.
    pub(super) read: bool,
    /// Deleted it.
    pub(super) deleted: bool,
}

impl State {
    /// Takes it off an answer.
    pub(super) fn take(mut answer: Answer) -> Result<Self, StoreError> {
        let (own_head, read) = (answer.count()?, answer.count()?);
        let (unread, critical) = (answer.count()?, answer.count()?);
        Ok(Self { own_head, read, unread, critical, has_some: answer.count()? > 0 })
    }

    /// Both logs' ends.
    pub(super) fn head(&self, epoch: Epoch, broadcasts: &Broadcasts) -> InboxPosition {
        InboxPosition { epoch, own: Seq(self.own_head), broadcast: Seq(broadcasts.head) }
    }

    /// What the inbox holds in all.
    pub(super) fn summary(&self, epoch: Epoch, broadcasts: &Broadcasts) -> InboxSummary {
        InboxSummary {
            head: self.head(epoch, broadcasts),
            unread: self.unread.min(INBOX_COUNTED),
            critical: self.critical.min(INBOX_COUNTED),
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
        let mut broadcasts = Broadcasts { epoch, version, head, oldest, ..Broadcasts::default() };
        broadcasts.take_newest(answer)?;
        // Only what is durable is kept: a version that is lost with its master may come again, and be of others.
        self.may_show(&server, Log::Inbox(InboxLog::Broadcast(tenant.clone())), Seq(head)).await?;
        let broadcasts = Arc::new(broadcasts);
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

    /// A tenant's broadcasts, the place after which they are a user's, and what the user has done with their inbox.
    pub(super) async fn inbox_state(
        &self,
        user: &UserKey,
    ) -> Result<(Arc<Broadcasts>, Option<u64>, State), StoreError> {
        let (broadcasts, known_from) =
            futures::try_join!(self.broadcasts(&user.tenant), self.known_from(user))?;
        let now = self.now();
        let mut call = self.of_user(&script::INBOX_READ, user).arg(now.millis());
        broadcasts.push(&mut call, known_from, now);
        let (answer, server) = call.ask_at(self).await?;
        let state = State::take(answer)?;
        self.may_show(&server, Log::Inbox(InboxLog::Own(user.clone())), Seq(state.own_head)).await?;
        Ok((broadcasts, known_from, state))
    }

    /// What a user has done with some broadcasts, of each in its place.
    pub(super) async fn seen(
        &self,
        user: &UserKey,
        state: &State,
        places: &[u64],
    ) -> Result<Vec<Seen>, StoreError> {
        let mut seen: Vec<_> =
            places.iter().map(|seq| Seen { read: *seq <= state.read, deleted: false }).collect();
        if !state.has_some || places.is_empty() {
            return Ok(seen);
        }
        let mut call = self.of_user(&script::SEEN, user);
        push_places(&mut call, places.to_vec());
        let mut answer = call.ask(self).await?;
        for seen in &mut seen {
            let said = answer.count()?;
            seen.read |= said > 0;
            seen.deleted = said > 1;
        }
        Ok(seen)
    }

    /// The place that all broadcasts from there to before another one were seen.
    pub(super) async fn before_seen(
        &self,
        user: &UserKey,
        (broadcasts, state): (&Broadcasts, &State),
        before: Seq,
    ) -> Result<Seq, StoreError> {
        if !state.has_some {
            return Ok(before);
        }
        let mut call = self.of_user(&script::SEEN_BEFORE, user);
        call.push(before.0);
        broadcasts.push(&mut call, Some(state.read), self.now());
        Ok(Seq(call.ask(self).await?.count()?))
    }

    fn of_user(&self, script: &'static redis::Script, user: &UserKey) -> Call {
        let call = Call::new(script, self, Partition::of_user(&user.tenant, &user.user));
        call.arg(user.tenant.as_str()).arg(user.user.as_str())
    }
}
