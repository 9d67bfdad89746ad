//! What goes on by itself: what retention removes, notifications that end, what is read up to a mark, effects that wait, counts
//! of keys.
//!
//! Each server has a task of its own, so that one that is away holds up no other, and its partitions take turns: each is asked
//! once in [`TURNS`] looks what is due in it. Nodes do not share that out: whatever is found is done once, whoever finds it.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use rustc_hash::FxHashMap;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use crate::redis::Partition;
use crate::redis::slots::Address;
use crate::store::StoreError;

use super::answer::Answer;
use super::call::Call;
use super::limits::{DUE_AT_ONCE, KEYS_INTERVAL, TRIMS_AT_ONCE, TURNS};
use super::outbox::Outboxes;
use super::pass;
use super::reindex;
use super::script;
use super::shared::Shared;
use super::trim::trim_or_put_off;

/// Looks after all servers until cancelled.
pub(super) async fn run(shared: Arc<Shared>, outboxes: Outboxes) {
    let mut tasks: FxHashMap<Address, JoinHandle<()>> = FxHashMap::default();
    let mut ticks = tokio::time::interval(shared.options.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.cancel.cancelled() => break,
        }
        tasks.retain(|_, task| !task.is_finished());
        for address in shared.link.addresses() {
            tasks
                .entry(address.clone())
                .or_insert_with(|| tokio::spawn(look_after(Arc::clone(&shared), outboxes.clone(), address)));
        }
    }
    for (_, task) in tasks {
        // It panicked, or is cancelled as well.
        let _ = task.await;
    }
}

/// Looks after one server until it has nothing any more, or all is cancelled.
async fn look_after(shared: Arc<Shared>, outboxes: Outboxes, address: Address) {
    let looking = look_again(&shared, &outboxes, &address);
    tokio::select! {
        () = looking => {}
        () = pass::run(&shared, &address) => {}
        () = reindex::run(&shared, &outboxes, &address) => {}
        () = shared.cancel.cancelled() => {}
    }
}

async fn look_again(shared: &Shared, outboxes: &Outboxes, address: &Address) {
    let mut ticks = tokio::time::interval(shared.options.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Nodes that begin together do not go together.
    let mut turn = shared.options.node as u16 % TURNS;
    let (mut again, mut counted) = (Vec::new(), Instant::now());
    loop {
        ticks.tick().await;
        let mut partitions = shared.partitions_at(address);
        if partitions.is_empty() {
            return;
        }
        if counted.elapsed() > KEYS_INTERVAL {
            counted = Instant::now();
            if let Err(error) = count_keys(shared, address, &partitions).await {
                tracing::debug!(error = %error, "keys could not be counted");
            }
        }
        partitions.retain(|partition| partition.number() % TURNS == turn || again.contains(partition));
        turn = (turn + 1) % TURNS;
        match look(shared, outboxes, address, &partitions).await {
            Ok(full) => again = full,
            Err(error) => tracing::debug!(error = %error, "upkeep has to wait"),
        }
    }
}

async fn count_keys(shared: &Shared, address: &Address, partitions: &[Partition]) -> Result<(), StoreError> {
    let server = shared.link.server_at(address).ok_or(StoreError::Unavailable)?;
    shared.count_keys_at(&server, partitions).await
}

/// Does what is due in partitions. Gives those where there is more than was taken up.
async fn look(
    shared: &Shared,
    outboxes: &Outboxes,
    address: &Address,
    partitions: &[Partition],
) -> Result<Vec<Partition>, StoreError> {
    let server = shared.link.server_at(address).ok_or(StoreError::Unavailable)?;
    let now = shared.now().millis();
    let due = shared.ask_server(&server, partitions, |names, pipeline| {
        let command = pipeline.cmd("ZRANGEBYSCORE").arg(format!("{names}due")).arg("-inf").arg(now);
        command.arg("LIMIT").arg(0).arg(DUE_AT_ONCE);
    });
    let (mut full, mut rooms, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    let (mut effects, mut marked) = (Vec::new(), Vec::new());
    for (partition, value) in due.await? {
        let Ok(members) = value.and_then(|value| Answer::new(value).all_bytes()) else { continue };
        if members.len() == DUE_AT_ONCE {
            full.push(partition);
        }
        let mut has_ended = false;
        for member in members {
            let member = String::from_utf8(member).unwrap_or_default();
            match member.split_once('/') {
                None => effects.push(partition),
                Some(("a", room)) => rooms.extend(parse_room(room)),
                Some(("m", user)) => marked.extend(parse_user(user)),
                Some(_) => has_ended = true,
            }
        }
        ended.extend(has_ended.then_some(partition));
    }
    if let Err(error) = outboxes.apply_late(&server, &effects).await {
        tracing::debug!(error = %error, "effects have to wait");
    }
    let trims = stream::iter(&rooms);
    trims.for_each_concurrent(TRIMS_AT_ONCE, |room| trim_or_put_off(shared, room)).await;
    for user in marked {
        if let Err(error) = settle_unread(shared, &user).await {
            tracing::debug!(error = %error, "what was read has to wait");
        }
    }
    for partition in ended {
        let call = Call::new(&script::ENDED, shared, partition).arg(now).arg(DUE_AT_ONCE);
        if let Err(error) = call.ask(shared).await {
            tracing::debug!(error = %error, "notifications that have ended have to wait");
        }
    }
    Ok(full)
}

/// Takes all that a user has read by their mark out of what is unread.
async fn settle_unread(shared: &Shared, user: &UserKey) -> Result<(), StoreError> {
    loop {
        let call = Call::new(&script::SETTLE, shared, Partition::of_user(&user.tenant, &user.user));
        let call = call.arg(shared.now().millis()).arg(user.tenant.as_str()).arg(user.user.as_str());
        if call.ask(shared).await?.count()? == 0 || shared.is_closing() {
            return Ok(());
        }
    }
}

fn parse_user(text: &str) -> Option<UserKey> {
    let (tenant, user) = text.split_once('/')?;
    Some(UserKey { tenant: TenantId::parse(tenant).ok()?, user: UserId::parse(user).ok()? })
}

fn parse_room(text: &str) -> Option<RoomKey> {
    let (tenant, room) = text.split_once('/')?;
    Some(RoomKey { tenant: TenantId::parse(tenant).ok()?, room: RoomName::parse(room).ok()? })
}
