//! The index of users' rooms, made anew in each epoch from the members of rooms. It is at the users', the members are at the
//! rooms': a server of a cluster may have lost the one while another one kept the other.
//!
//! Nodes share the pass, partition by partition of rooms: who goes over one says so in it for a while, and what it was gone over
//! for, the epoch, stays noted there. What it finds goes by the outbox, as what members cause themselves does: in order, and no
//! more at a time than so many members of so many rooms. A node asks until all is gone over, and then in the next epoch.

use std::time::Duration;

use futures::{TryStreamExt, stream};
use redis::cmd;

use crate::domain::names::TenantId;
use crate::domain::position::Epoch;
use crate::redis::Partition;
use crate::redis::slots::Address;
use crate::store::StoreError;

use super::answer::{Answer, bytes, number};
use super::call::Call;
use super::limits::{DUE_AT_ONCE, PASS_AGAIN, PASS_HELD, SLICE, TRIMS_AT_ONCE};
use super::outbox::Outboxes;
use super::script;
use super::shared::Shared;

/// What is noted in a partition.
struct Marks {
    done: String,
    claim: String,
}

/// Goes over a server's partitions in each epoch; never done.
pub(super) async fn run(shared: &Shared, outboxes: &Outboxes, address: &Address) {
    loop {
        let epoch = shared.epoch();
        let is_done = go_over(shared, outboxes, address, epoch).await.unwrap_or_else(|error| {
            tracing::debug!(error = %error, "the index of users' rooms has to wait");
            false
        });
        let mut waited = Duration::ZERO;
        while shared.epoch() == epoch && (is_done || waited < PASS_AGAIN) {
            tokio::time::sleep(shared.options.sweep).await;
            waited += shared.options.sweep;
        }
    }
}

/// Goes over all partitions that were not in this epoch; whether that is all of them, done by whichever node.
async fn go_over(
    shared: &Shared,
    outboxes: &Outboxes,
    address: &Address,
    epoch: Epoch,
) -> Result<bool, StoreError> {
    let marks = Marks { done: format!("{:016x}", epoch.0), claim: format!("{:016x}?", epoch.0) };
    let server = shared.link.server_at(address).ok_or(StoreError::Unavailable)?;
    let mut partitions = shared.partitions_at(address);
    // Nodes that begin together begin at different ones.
    let first = shared.options.node as usize % partitions.len().max(1);
    partitions.rotate_left(first);
    let noted = shared.ask_server(&server, &partitions, |names, pipeline| {
        pipeline.cmd("GET").arg(format!("{names}index"));
    });
    let (mut is_all, mut left) = (true, Vec::new());
    for (partition, noted) in noted.await? {
        match bytes(noted?)? {
            Some(noted) if noted == marks.done.as_bytes() => {}
            Some(noted) if noted == marks.claim.as_bytes() => is_all = false,
            _ => left.push(partition),
        }
    }
    let tenants = shared.ask_server(&server, &left, |names, pipeline| {
        pipeline.cmd("SCARD").arg(format!("{names}tenants"));
    });
    let (mut empty, mut others) = (Vec::new(), Vec::new());
    for (partition, tenants) in tenants.await? {
        if number(&tenants?)? == 0 { empty.push(partition) } else { others.push(partition) }
    }
    let note = shared.ask_server(&server, &empty, |names, pipeline| {
        pipeline.cmd("SET").arg(format!("{names}index")).arg(&marks.done);
    });
    note.await?;
    for partition in others {
        if shared.epoch() != epoch {
            return Ok(false);
        }
        is_all &= take(shared, outboxes, partition, &marks).await?;
    }
    Ok(is_all)
}

/// Goes over a partition, unless another node is at it; whether it was gone over.
async fn take(
    shared: &Shared,
    outboxes: &Outboxes,
    partition: Partition,
    marks: &Marks,
) -> Result<bool, StoreError> {
    let names = shared.names.partition(partition);
    let key = format!("{names}index");
    let mut claim = cmd("SET");
    claim.arg(&key).arg(&marks.claim).arg("PX").arg(PASS_HELD.as_millis() as u64).arg("GET");
    let before = bytes(shared.send(&claim).await?)?.unwrap_or_default();
    if before == marks.claim.as_bytes() {
        return Ok(false);
    }
    let is_done = before == marks.done.as_bytes();
    let gone_over = if is_done { Ok(()) } else { tenants_in(shared, outboxes, partition, &key).await };
    let mut end = cmd(if gone_over.is_ok() { "SET" } else { "DEL" });
    end.arg(&key);
    if gone_over.is_ok() {
        end.arg(&marks.done);
    }
    shared.send(&end).await?;
    gone_over.map(|()| true)
}

async fn tenants_in(
    shared: &Shared,
    outboxes: &Outboxes,
    partition: Partition,
    key: &str,
) -> Result<(), StoreError> {
    let names = shared.names.partition(partition);
    let mut command = cmd("SMEMBERS");
    command.arg(format!("{names}tenants"));
    for tenant in Answer::new(shared.send(&command).await?).all_bytes()? {
        let Ok(tenant) = TenantId::parse(&String::from_utf8_lossy(&tenant)) else { continue };
        let mut after = "-".to_owned();
        loop {
            let mut command = cmd("ZRANGEBYLEX");
            command.arg(format!("{names}names/{tenant}")).arg(&after).arg("+");
            command.arg("LIMIT").arg(0).arg(DUE_AT_ONCE);
            let rooms = Answer::new(shared.send(&command).await?).all_bytes()?;
            let Some(last) = rooms.last() else { break };
            after = format!("({}", String::from_utf8_lossy(last));
            let all = stream::iter(rooms.iter().map(|room| Ok(&room[..])));
            let each = |room| members_of(shared, outboxes, partition, &tenant, room);
            all.try_for_each_concurrent(TRIMS_AT_ONCE, each).await?;
            let mut held = cmd("PEXPIRE");
            held.arg(key).arg(PASS_HELD.as_millis() as u64);
            shared.send(&held).await?;
        }
    }
    Ok(())
}

/// Puts a room among the rooms of all its members.
async fn members_of(
    shared: &Shared,
    outboxes: &Outboxes,
    partition: Partition,
    tenant: &TenantId,
    room: &[u8],
) -> Result<(), StoreError> {
    let mut from = b"-".to_vec();
    loop {
        let call = Call::new(&script::REINDEX, shared, partition);
        let call =
            call.arg(tenant.as_str()).arg(room).arg(&from).arg(SLICE).arg(&shared.head().to_bytes()[..]);
        let mut answer = call.ask(shared).await?;
        if answer.some_bytes()? != b"ok" {
            return Err(StoreError::Overloaded);
        }
        let (number, last) = (answer.count()?, answer.some_bytes()?);
        if number > 0 {
            outboxes.apply(partition, number).await.map_err(|_| StoreError::Unavailable)?;
        }
        if last.is_empty() {
            return Ok(());
        }
        from = [b"(", &last[..]].concat();
    }
}
