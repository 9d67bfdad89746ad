//! Effects on other homes: items of a partition's outbox are applied in order, each once at each partition that it
//! concerns, and then taken off. Any node may do it; targets know how far each source's were applied.

use std::sync::Arc;

use futures::future::try_join_all;
use parking_lot::Mutex;
use redis::Value;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::domain::inbox::{InboxPlace, Notice, Notification};
use crate::domain::names::{RoomName, TenantId, UserId, UserKey};
use crate::domain::position::{Seq, Tag};
use crate::domain::time::Timestamp;
use crate::redis::{Partition, Reader, Server, notice};
use crate::store::{Change, StoreError};

use super::answer::{self, Answer, damaged};
use super::call::Call;
use super::limits::{EFFECTS_WAIT, ITEMS};
use super::publish;
use super::script;
use super::shared::Shared;

/// Items' numbers go with their server's time: so many for each millisecond, as `lua/outbox.lua` has it.
const PLACES_A_MILLISECOND: u64 = 1_024;

/// Who waits for an outbox to be applied up to a number.
type Waiting = Vec<(u64, oneshot::Sender<()>)>;

/// The outboxes that this node is at work on. A cheap handle; on the store's thread.
#[derive(Clone)]
pub(super) struct Outboxes {
    shared: Arc<Shared>,
    /// Partitions that are being worked on, with those who wait.
    under_way: Arc<Mutex<FxHashMap<Partition, Waiting>>>,
}

/// One item.
struct Item {
    number: u64,
    /// The epoch that it was put in.
    epoch: [u8; 8],
    tenant: TenantId,
    kind: Kind,
}

enum Kind {
    /// A notice for some users.
    Notify(Arc<Notice>, Vec<UserId>),
    /// Whether a room is among users' rooms.
    Index(RoomName, Vec<(bool, UserId)>),
}

impl Outboxes {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, under_way: Arc::default() }
    }

    /// Has a partition's outbox applied; the answer comes when that is done up to `number`, or is dropped where it cannot
    /// be done now.
    pub(super) fn apply(&self, partition: Partition, number: u64) -> oneshot::Receiver<()> {
        let (reply, applied) = oneshot::channel();
        let mut under_way = self.under_way.lock();
        if let Some(waiting) = under_way.get_mut(&partition) {
            waiting.push((number, reply));
            return applied;
        }
        under_way.insert(partition, vec![(number, reply)]);
        let outboxes = self.clone();
        tokio::spawn(async move { outboxes.work(partition).await });
        applied
    }

    /// Has those outboxes of a server applied whose first item has waited for [`EFFECTS_WAIT`], by that server's time, in which
    /// it was put in.
    pub(super) async fn apply_late(
        &self,
        server: &Server,
        partitions: &[Partition],
    ) -> Result<(), StoreError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let now = self.shared.time_of(server).await?;
        let firsts = self.shared.ask_server(server, partitions, |names, pipeline| {
            pipeline.cmd("LINDEX").arg(format!("{names}out")).arg(0);
        });
        for (partition, first) in firsts.await? {
            let first = answer::bytes(first?)?.unwrap_or_default();
            let put_in =
                Reader::new(&first).u64().map(|number| (number / PLACES_A_MILLISECOND).cast_signed());
            let is_new = |put_in| (0..EFFECTS_WAIT.as_millis() as i64).contains(&(now - put_in));
            if !put_in.is_ok_and(is_new) {
                drop(self.apply(partition, 0));
            }
        }
        Ok(())
    }

    /// Applies all there is, and all that somebody waits for.
    async fn work(&self, partition: Partition) {
        loop {
            // Who comes from here on may wait for what the step does not see yet.
            let before = self.under_way.lock().get(&partition).map_or(0, Vec::len);
            let done = self.step(partition).await;
            let mut under_way = self.under_way.lock();
            let Some(waiting) = under_way.get_mut(&partition) else { return };
            match done {
                Ok(Some(up_to)) => waiting.retain_mut(|(number, reply)| {
                    let is_done = *number <= up_to;
                    if is_done {
                        let (done, _) = oneshot::channel();
                        let _ = std::mem::replace(reply, done).send(());
                    }
                    !is_done
                }),
                // Nothing was left: whoever waited then waits for what others have applied.
                Ok(None) => {
                    for (_, reply) in waiting.drain(..before.min(waiting.len())) {
                        let _ = reply.send(());
                    }
                    if waiting.is_empty() {
                        under_way.remove(&partition);
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "effects wait");
                    under_way.remove(&partition);
                    return;
                }
            }
        }
    }

    /// Applies the next items; gives the last one's number, `None` where there was none.
    async fn step(&self, partition: Partition) -> Result<Option<u64>, StoreError> {
        let shared = &self.shared;
        let mut command = redis::cmd("LRANGE");
        command.arg(format!("{}out", shared.names.partition(partition))).arg(0).arg(ITEMS - 1);
        let items = Answer::new(shared.send(&command).await?).all_bytes()?;
        let mut last = None;
        for bytes in items {
            let item = Item::read(&bytes)?;
            last = Some(item.number);
            self.apply_item(partition, item).await?;
        }
        if let Some(last) = last {
            Call::new(&script::APPLIED, shared, partition).arg(last).ask(shared).await?;
        }
        Ok(last)
    }

    async fn apply_item(&self, source: Partition, item: Item) -> Result<(), StoreError> {
        let shared = &self.shared;
        let head = match item.kind {
            Kind::Notify(..) => shared.head(),
            // Whoever applies it may not be who committed it, and is to hear it as the others.
            Kind::Index(..) => shared.head_of_nobody(),
        };
        let begin = |target| {
            Call::new(&script::APPLY, shared, target)
                .arg(source.number())
                .arg(&item.epoch[..])
                .arg(item.number)
                .arg(shared.now().millis())
                .arg(shared.scripts_publish_with())
                .arg(&head.to_bytes()[..])
        };
        match item.kind {
            Kind::Notify(notice, users) => {
                let groups = by_partition(&item.tenant, users, |user| user);
                let applied = groups
                    .iter()
                    .map(|(target, users)| notify(shared, begin(*target), &item.tenant, &notice, users));
                for changes in try_join_all(applied).await? {
                    shared.acknowledged.note(&changes);
                    shared.tell(&changes);
                }
            }
            Kind::Index(room, users) => {
                let groups = by_partition(&item.tenant, users, |(_, user)| user);
                let applied = groups
                    .iter()
                    .map(|(target, users)| index(shared, begin(*target), &item.tenant, &room, users));
                try_join_all(applied).await?;
            }
        }
        Ok(())
    }

    /// Has everything applied that waits in any partition now.
    pub(super) async fn apply_all(&self) -> Result<(), StoreError> {
        let last = self.shared.ask_partitions(|names, pipeline| {
            pipeline.cmd("LINDEX").arg(format!("{names}out")).arg(-1);
        });
        let mut applied = Vec::new();
        for (partition, value) in last.await? {
            if let Value::BulkString(item) = value {
                applied.push(self.apply(partition, Item::read(&item)?.number));
            }
        }
        for applied in applied {
            applied.await.map_err(|_| StoreError::Unavailable)?;
        }
        Ok(())
    }
}

/// Those of each partition, in order.
fn by_partition<T>(
    tenant: &TenantId,
    all: Vec<T>,
    user: impl Fn(&T) -> &UserId,
) -> FxHashMap<Partition, Vec<T>> {
    let mut groups: FxHashMap<Partition, Vec<T>> = FxHashMap::default();
    for one in all {
        groups.entry(Partition::of_user(tenant, user(&one))).or_default().push(one);
    }
    groups
}

/// Puts a notice into the logs of a partition's users, by the call that was begun for it; gives what to tell.
async fn notify(
    shared: &Shared,
    call: Call,
    tenant: &TenantId,
    notice: &Arc<Notice>,
    users: &[UserId],
) -> Result<Vec<Change>, StoreError> {
    let mut call = call
        .arg("1")
        .arg(tenant.as_str())
        .arg(notice::encode(notice))
        .arg(notice.id.as_str())
        .arg(notice.priority as u8)
        .arg(notice.expires.map_or(0, Timestamp::millis))
        .arg(shared.options.notification_retention.as_millis() as u64)
        .arg(users.len());
    for user in users {
        call.push(user.as_str());
    }
    let mut answer = call.write_durably(shared).await?;
    if answer.some_bytes()? != b"ok" {
        publish::publish_inboxes(shared, tenant, users).await?;
        return Ok(Vec::new());
    }
    let mut changes = Vec::with_capacity(users.len());
    for user in users {
        let place = InboxPlace::Own(Seq(answer.count()?));
        let time = Timestamp(answer.number()?);
        let notification = Notification { notice: Arc::clone(notice), place, time, read: false };
        changes.push(Change::Notified {
            user: UserKey { tenant: tenant.clone(), user: user.clone() },
            notification,
        });
    }
    for change in &changes {
        shared.note_told(shared.epoch(), change);
    }
    publish::publish(shared, &changes, Tag(0)).await?;
    Ok(changes)
}

/// Puts a room among a partition's users' rooms, or takes it away, by the call that was begun for it, and tells them.
async fn index(
    shared: &Shared,
    call: Call,
    tenant: &TenantId,
    room: &RoomName,
    users: &[(bool, UserId)],
) -> Result<(), StoreError> {
    let mut call = call.arg("2").arg(tenant.as_str()).arg(room.as_str()).arg(users.len());
    for (add, user) in users {
        call.push(u8::from(*add));
        call.push(user.as_str());
    }
    let mut answer = call.write_durably(shared).await?;
    if answer.some_bytes()? != b"ok" {
        // Who did it may not have told anybody.
        return publish::publish_members(shared, tenant, room, users.iter()).await;
    }
    let mut changed = Vec::with_capacity(users.len());
    for user in users {
        if answer.count()? == 1 {
            changed.push(user);
        }
    }
    publish::publish_members(shared, tenant, room, changed.into_iter()).await
}

impl Item {
    fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut from = Reader::new(bytes);
        let (number, epoch, kind) = (from.u64()?, from.u64()?.to_le_bytes(), from.u8()?);
        let tenant = TenantId::parse(from.text16()?).map_err(|_| damaged("tenant"))?;
        let kind = match kind {
            1 => {
                let notice = notice::decode(from.bytes32()?)?;
                let mut users = Vec::new();
                while !from.is_empty() {
                    users.push(UserId::parse(from.text16()?).map_err(|_| damaged("user"))?);
                }
                Kind::Notify(notice, users)
            }
            2 => {
                let room = RoomName::parse(from.text16()?).map_err(|_| damaged("room"))?;
                let mut users = Vec::new();
                while !from.is_empty() {
                    let add = from.u8()? != 0;
                    users.push((add, UserId::parse(from.text16()?).map_err(|_| damaged("user"))?));
                }
                Kind::Index(room, users)
            }
            _ => return Err(damaged("an effect of an unknown kind")),
        };
        Ok(Self { number, epoch, tenant, kind })
    }
}
