//! Reads of a user's inbox: the merge of their own log and the tenant's broadcasts, which are two homes. Both heads are read
//! before what is listed, so that nothing between is passed over.

use crate::domain::inbox::{InboxFilter, InboxPlace, InboxSummary, Notification};
use crate::domain::limits::INBOX_LOOKED_AT;
use crate::domain::names::UserKey;
use crate::domain::position::Seq;
use crate::domain::time::Timestamp;
use crate::redis::{Partition, Reader, notice};
use crate::store;
use crate::store::merging::{Looked, Order, merge};
use crate::store::{InboxLog, InboxPage, InboxQuery, PageBound, StoreError};

use super::super::answer::number;
use super::super::broadcasts::{Broadcasts, Seen, State};
use super::super::call::Call;
use super::super::script;
use super::super::shared::Shared;

/// Notifications that are read at a time.
const BATCH: u32 = 64;

/// What a user's inbox holds.
pub(in super::super) async fn inbox_summary(
    shared: &Shared,
    user: &UserKey,
) -> Result<InboxSummary, StoreError> {
    let (broadcasts, _, state) = shared.inbox_state(user).await?;
    Ok(state.summary(shared.epoch(), &broadcasts))
}

/// The last place of one of the logs.
pub(in super::super) async fn inbox_head(shared: &Shared, log: &InboxLog) -> Result<Seq, StoreError> {
    let key = match log {
        InboxLog::Own(user) => shared.names.user(user),
        InboxLog::Broadcast(tenant) => shared.names.tenant(tenant),
    };
    let (head, server) = shared.send_at(redis::cmd("HGET").arg(key).arg("head")).await?;
    let head = match head {
        redis::Value::Nil => Seq(0),
        head => Seq(number(&head)?.cast_unsigned()),
    };
    shared.may_show(&server, store::Log::Inbox(log.clone()), head).await?;
    Ok(head)
}

/// Which of the two logs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Own,
    Broadcast,
}

/// A read of one log.
struct Scan<'a> {
    shared: &'a Shared,
    user: &'a UserKey,
    broadcasts: &'a Broadcasts,
    state: &'a State,
    log: Log,
    order: Order,
    /// Places after this,
    after: Seq,
    /// and before this, where given.
    before: Option<Seq>,
    filter: Option<&'a InboxFilter>,
    now: Timestamp,
    bound: PageBound,
}

/// A page of a user's inbox.
pub(in super::super) async fn inbox(
    shared: &Shared,
    user: &UserKey,
    query: &InboxQuery,
    bound: PageBound,
) -> Result<InboxPage, StoreError> {
    let (broadcasts, known_from, state) = shared.inbox_state(user).await?;
    let now = shared.now();
    let (order, filter) = match query {
        InboxQuery::After(_) => (Order::Oldest, None),
        InboxQuery::Newest { filter, .. } => (Order::Newest, Some(filter)),
    };
    let scan = |log, after, before| {
        let after = Seq(after);
        Scan {
            shared,
            user,
            broadcasts: &broadcasts,
            state: &state,
            log,
            order,
            after,
            before,
            filter,
            now,
            bound,
        }
    };
    // None of the broadcasts are theirs whom the directory does not know.
    let known = known_from.unwrap_or(u64::MAX >> 11);
    let (own, broadcast) = match query {
        InboxQuery::After(position) => (
            scan(Log::Own, position.own.0, None),
            scan(Log::Broadcast, position.broadcast.0.max(known), None),
        ),
        InboxQuery::Newest { before, filter } => {
            // Of those that are read only as many are looked at as must be.
            let read = if filter.unread_only { state.read } else { 0 };
            let end = before.as_ref();
            (
                scan(Log::Own, 0, end.map(|before| before.own)),
                scan(Log::Broadcast, known.max(read), end.map(|before| before.broadcast)),
            )
        }
    };
    let (own, broadcast) = futures::try_join!(own.run(), broadcast.run())?;
    Ok(merge(own, broadcast, order, bound, state.head(shared.epoch(), &broadcasts)))
}

impl Scan<'_> {
    /// One past the page: the merge of both logs then has all that a page of both can hold.
    async fn run(&self) -> Result<Looked, StoreError> {
        let mut looked = Looked::default();
        let mut bytes = 0;
        let mut from = if self.order == Order::Newest { self.before } else { Some(self.after) };
        for _ in 0..INBOX_LOOKED_AT.div_ceil(BATCH) {
            let begin = match from {
                Some(from) => Some(self.go_on(from).await?),
                None => None,
            };
            let batch = self.batch(begin).await?;
            let is_last = batch.len() < BATCH as usize;
            for (notification, is_deleted) in batch {
                let (InboxPlace::Own(seq) | InboxPlace::Broadcast(seq)) = notification.place;
                from = Some(seq);
                if self.order == Order::Newest && seq <= self.after {
                    looked.last = None;
                    return Ok(looked);
                }
                looked.last = Some((notification.time, notification.place));
                if is_deleted || !self.passes(&notification) {
                    continue;
                }
                bytes += notification.size();
                looked.found.push(notification);
                if looked.found.len() > self.bound.items.max(1) as usize || bytes > self.bound.bytes {
                    return Ok(looked);
                }
            }
            if is_last {
                looked.last = None;
                return Ok(looked);
            }
        }
        Ok(looked)
    }

    /// Where to go on after a batch: what was seen of the broadcasts is passed over where unread ones are asked for.
    async fn go_on(&self, from: Seq) -> Result<Seq, StoreError> {
        let unread_only = self.filter.is_some_and(|filter| filter.unread_only);
        let passes_over = self.log == Log::Broadcast && self.order == Order::Newest && unread_only;
        if !passes_over {
            return Ok(from);
        }
        self.shared.before_seen(self.user, (self.broadcasts, self.state), from).await
    }

    /// Each with whether it is deleted.
    async fn batch(&self, from: Option<Seq>) -> Result<Vec<(Notification, bool)>, StoreError> {
        let direction = if self.order == Order::Newest { "B" } else { "A" };
        let from = from.map_or_else(|| "+inf".to_owned(), |from| from.0.to_string());
        let (tenant, user) = (&self.user.tenant, &self.user.user);
        let call = match self.log {
            Log::Own => {
                // There may be few unread ones, and many others beside them.
                let unread_only = self.filter.is_some_and(|filter| filter.unread_only);
                Call::new(&script::OWN_PAGE, self.shared, Partition::of_user(tenant, user))
                    .arg(tenant.as_str())
                    .arg(user.as_str())
                    .arg(u8::from(unread_only))
            }
            Log::Broadcast => {
                Call::new(&script::ALL_PAGE, self.shared, Partition::of_tenant(tenant)).arg(tenant.as_str())
            }
        };
        let (mut answer, server) = call.arg(direction).arg(from).arg(BATCH).ask_at(self.shared).await?;
        let mut batch = Vec::new();
        let mut last = 0;
        while answer.len() > 0 {
            let seq = answer.count()?;
            last = last.max(seq);
            let read = match self.log {
                Log::Own => answer.count()? == 0,
                Log::Broadcast => false,
            };
            let bytes = answer.some_bytes()?;
            let mut from = Reader::new(&bytes);
            let time = Timestamp(from.i64()?);
            let place = match self.log {
                Log::Own => InboxPlace::Own(Seq(seq)),
                Log::Broadcast => InboxPlace::Broadcast(Seq(seq)),
            };
            batch.push(Notification { notice: notice::decode(from.rest())?, place, time, read });
        }
        // More may have come than there was when the heads were read.
        let log = match self.log {
            Log::Own => InboxLog::Own(self.user.clone()),
            Log::Broadcast => InboxLog::Broadcast(tenant.clone()),
        };
        self.shared.may_show(&server, store::Log::Inbox(log), Seq(last)).await?;
        self.with_what_is_seen(batch).await
    }

    async fn with_what_is_seen(
        &self,
        batch: Vec<Notification>,
    ) -> Result<Vec<(Notification, bool)>, StoreError> {
        let place = |notification: &Notification| match notification.place {
            InboxPlace::Broadcast(seq) => Some(seq.0),
            InboxPlace::Own(_) => None,
        };
        let places: Vec<u64> = batch.iter().filter_map(place).collect();
        let mut seen = self.shared.seen(self.user, self.state, &places).await?.into_iter();
        let all = batch.into_iter().map(|notification| {
            let Seen { read, deleted } = place(&notification).and_then(|_| seen.next()).unwrap_or_default();
            let read = notification.read || read;
            (Notification { read, ..notification }, deleted)
        });
        Ok(all.collect())
    }

    fn passes(&self, notification: &Notification) -> bool {
        let notice = &notification.notice;
        notice.expires.is_none_or(|expires| expires > self.now)
            && self.filter.is_none_or(|filter| filter.passes(notification))
    }
}
