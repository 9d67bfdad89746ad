//! Erasing a user: what waits for them is applied, then the rooms that they ever wrote to are walked through in small steps
//! between other outcomes, again until nothing new was written meanwhile, then their inbox goes. Where replicas are waited for
//! they have it then. Repeating it carries on.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::try_join_all;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::domain::names::{RoomName, UserKey};
use crate::domain::position::Seq;
use crate::redis::{Partition, Server};
use crate::store::{Change, Erased, StoreError};

use super::answer::Answer;
use super::barrier::Written;
use super::call::Call;
use super::limits::{ERASED_AT_ONCE, WALKS};
use super::outbox::Outboxes;
use super::publish;
use super::script;
use super::shared::Shared;

/// Who waits for an erasure.
pub(super) type Reply = oneshot::Sender<Result<Erased, StoreError>>;

/// Erasures under way, with those who wait: who asks for one that is under way waits for it.
#[derive(Clone, Default)]
pub(super) struct Erasures(Arc<Mutex<FxHashMap<UserKey, Vec<Reply>>>>);

impl Erasures {
    /// Notes who waits; whether they are the first, and so the erasure is to begin.
    pub(super) fn join(&self, user: &UserKey, reply: Reply) -> bool {
        let mut waiting = self.0.lock();
        let replies = waiting.entry(user.clone()).or_default();
        replies.push(reply);
        replies.len() == 1
    }

    /// It could not begin: whoever waits hears so.
    pub(super) fn give_up(&self, user: &UserKey) {
        self.0.lock().remove(user);
    }

    /// Erases, and answers all who wait. Once `fences` have passed, what was asked of the lanes before is behind it.
    pub(super) async fn run(
        self,
        shared: Arc<Shared>,
        outboxes: Outboxes,
        user: UserKey,
        fences: Vec<oneshot::Receiver<()>>,
    ) {
        let user = &user;
        for fence in fences {
            // One that is dropped is of a lane that has ended, as the store is about to.
            let _ = fence.await;
        }
        let mut erased = Erased::default();
        let mut waited = 0;
        loop {
            let done = erase(&shared, &outboxes, user).await;
            if let Ok(round) = &done {
                erased.entries += round.entries;
                erased.notifications += round.notifications;
            }
            let mut waiting = self.0.lock();
            let count = waiting.get(user).map_or(0, Vec::len);
            // Who came meanwhile wants what was written until then to be erased as well.
            if done.is_ok() && count > waited.max(1) {
                waited = count;
                continue;
            }
            for reply in waiting.remove(user).into_iter().flatten() {
                let _ = reply.send(done.as_ref().map(|_| erased).map_err(Clone::clone));
            }
            return;
        }
    }
}

async fn erase(shared: &Shared, outboxes: &Outboxes, user: &UserKey) -> Result<Erased, StoreError> {
    shared.check_open()?;
    let servers = shared.all_servers()?;
    let mut erased = Erased::default();
    outboxes.apply_all().await?;
    let mut done: FxHashMap<RoomName, Seq> = FxHashMap::default();
    for _ in 0..WALKS {
        let rooms = rooms_of(shared, user).await?;
        if rooms.is_empty() {
            break;
        }
        for (partition, room) in rooms {
            let after = done.get(&room).copied().unwrap_or_default();
            let (entries, last) = erase_in(shared, user, (partition, &room), after).await?;
            erased.entries += entries;
            done.insert(room, last);
        }
    }
    outboxes.apply_all().await?;
    erased.notifications = erase_inbox(shared, user).await?;
    let mut command = redis::cmd("HDEL");
    command.arg(format!("{}/d", shared.names.tenant(&user.tenant))).arg(user.user.as_str());
    shared.send(&command).await?;
    make_durable(shared, servers).await?;
    // Other nodes hold what is blanked in memory. Whom they cannot be told of is not erased: it is asked for again.
    publish::publish_erased(shared, user).await?;
    shared.tell(&[Change::Erased { user: user.clone() }]);
    Ok(erased)
}

/// Waits until replicas have what is blanked, at every server: an attempt before this one may have blanked some and not have
/// waited. One whose connection is another one than when it began may have lost it.
async fn make_durable(shared: &Shared, servers: Vec<Server>) -> Result<(), StoreError> {
    let numbers = |servers: &[Server]| servers.iter().map(|server| server.number).collect::<BTreeSet<_>>();
    if !shared.waits_for_replicas() {
        return Ok(());
    }
    let before = numbers(&servers);
    let written: Vec<_> = servers.into_iter().map(Written).collect();
    try_join_all(written.iter().map(|written| shared.make_durable(written))).await?;
    if numbers(&shared.all_servers()?) == before { Ok(()) } else { Err(StoreError::Unavailable) }
}

/// The rooms where a user wrote something since they were last walked through.
async fn rooms_of(shared: &Shared, user: &UserKey) -> Result<Vec<(Partition, RoomName)>, StoreError> {
    let wrote = shared.ask_partitions(|names, pipeline| {
        pipeline.cmd("SMEMBERS").arg(format!("{names}wrote/{}/{}", user.tenant, user.user));
    });
    let mut rooms = Vec::new();
    for (partition, value) in wrote.await? {
        for room in Answer::new(value).all_bytes()? {
            let room = RoomName::parse(&String::from_utf8_lossy(&room));
            rooms.push((partition, room.map_err(|_| super::answer::damaged("room"))?));
        }
    }
    Ok(rooms)
}

/// Blanks what a user wrote in a room, step by step; gives how much, and up to where.
async fn erase_in(
    shared: &Shared,
    user: &UserKey,
    (partition, room): (Partition, &RoomName),
    after: Seq,
) -> Result<(u64, Seq), StoreError> {
    let (mut entries, mut after) = (0, after);
    loop {
        shared.check_open()?;
        let call = Call::new(&script::ERASE_ROOM, shared, partition)
            .arg(user.tenant.as_str())
            .arg(room.as_str())
            .arg(user.user.as_str())
            .arg(after.0)
            .arg(ERASED_AT_ONCE);
        let mut answer = call.ask(shared).await?;
        after = Seq(answer.count()?);
        entries += answer.count()?;
        let is_done = answer.count()? > 0;
        shared.stored.change(&user.tenant, answer.number()?);
        if is_done {
            return Ok((entries, after));
        }
    }
}

async fn erase_inbox(shared: &Shared, user: &UserKey) -> Result<u64, StoreError> {
    let mut removed = 0;
    loop {
        shared.check_open()?;
        let call = Call::new(&script::ERASE_INBOX, shared, Partition::of_user(&user.tenant, &user.user))
            .arg(user.tenant.as_str())
            .arg(user.user.as_str())
            .arg(ERASED_AT_ONCE / 4);
        let mut answer = call.ask(shared).await?;
        removed += answer.count()?;
        if answer.count()? == 0 {
            return Ok(removed);
        }
    }
}
