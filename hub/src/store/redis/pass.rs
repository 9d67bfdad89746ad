//! The pass over all rooms of namespaces that do not keep everything: their rules may be other ones than when they were last
//! written to. Nodes share it: what a partition was gone over for, by whichever node, is noted in it for a while, and whoever
//! goes over one says so before.

use std::hash::Hasher;

use futures::StreamExt;
use futures::stream;
use redis::{Value, cmd};
use siphasher::sip::SipHasher13;

use crate::domain::names::{RoomKey, RoomName, TenantId};
use crate::redis::Partition;
use crate::redis::slots::Address;
use crate::store::StoreError;

use super::answer::{Answer, bytes};
use super::limits::{DUE_AT_ONCE, PASS_AGAIN, PASS_EVERY, PASS_HELD, PASS_HOLDS, TRIMS_AT_ONCE};
use super::shared::Shared;
use super::trim::trim_or_put_off;

/// Goes over a server's partitions, again and again; never done.
pub(super) async fn run(shared: &Shared, address: &Address) {
    let Some(rules) = rules(shared) else { return std::future::pending().await };
    let mut has_failed = false;
    loop {
        let wait = match go_over(shared, address, &rules).await {
            Ok(()) => PASS_EVERY,
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(error = %error, "not all rooms could be gone over for their retention");
                }
                PASS_AGAIN
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// What retention there is, in short; `None` where everything is kept.
fn rules(shared: &Shared) -> Option<String> {
    let mut hasher = SipHasher13::new();
    let mut is_any = false;
    for rules in shared.options.namespaces.iter() {
        let age = rules.retention_age.map_or(0, |age| age.as_millis() as u64);
        let count = rules.retention_count.unwrap_or(0);
        is_any |= age > 0 || count > 0;
        hasher.write(rules.name.as_bytes());
        hasher.write_u8(0);
        hasher.write_u64(age);
        hasher.write_u64(count);
    }
    is_any.then(|| format!("{:016x}", hasher.finish()))
}

/// Goes over all partitions that need it. One that fails holds up no other; gives the last failure.
async fn go_over(shared: &Shared, address: &Address, rules: &str) -> Result<(), StoreError> {
    let server = shared.link.server_at(address).ok_or(StoreError::Unavailable)?;
    let mut partitions = shared.partitions_at(address);
    // Nodes that begin together begin at different ones.
    let first = shared.options.node as usize % partitions.len().max(1);
    partitions.rotate_left(first);
    let noted = shared.ask_server(&server, &partitions, |names, pipeline| {
        pipeline.cmd("GET").arg(format!("{names}pass"));
    });
    let mut done = Ok(());
    for (partition, noted) in noted.await? {
        if noted.and_then(bytes).is_ok_and(|noted| noted.as_deref() == Some(rules.as_bytes())) {
            continue;
        }
        if let Err(error) = take(shared, partition, rules).await {
            done = Err(error);
        }
    }
    done
}

/// Goes over a partition, unless another node has begun to.
async fn take(shared: &Shared, partition: Partition, rules: &str) -> Result<(), StoreError> {
    let key = format!("{}pass", shared.names.partition(partition));
    let mut take = cmd("SET");
    take.arg(&key).arg(rules).arg("PX").arg(PASS_HELD.as_millis() as u64).arg("GET");
    if bytes(shared.send(&take).await?)?.is_some_and(|noted| noted == rules.as_bytes()) {
        return Ok(());
    }
    let gone_over = rooms_in(shared, partition, &key).await;
    let mut end = cmd(if gone_over.is_ok() { "PEXPIRE" } else { "DEL" });
    end.arg(&key);
    if gone_over.is_ok() {
        end.arg(PASS_HOLDS.as_millis() as u64);
    }
    shared.send(&end).await?;
    gone_over
}

async fn rooms_in(shared: &Shared, partition: Partition, pass: &str) -> Result<(), StoreError> {
    let names = shared.names.partition(partition);
    let mut command = cmd("SMEMBERS");
    command.arg(format!("{names}tenants"));
    for tenant in Answer::new(shared.send(&command).await?).all_bytes()? {
        let Ok(tenant) = TenantId::parse(&String::from_utf8_lossy(&tenant)) else { continue };
        rooms_of(shared, &tenant, &format!("{names}names/{tenant}"), pass).await?;
    }
    Ok(())
}

/// Trims the rooms of a tenant that `names` lists, some at a time.
async fn rooms_of(shared: &Shared, tenant: &TenantId, names: &str, pass: &str) -> Result<(), StoreError> {
    for rules in shared.options.namespaces.iter() {
        if rules.retention_age.is_none() && rules.retention_count.is_none() {
            continue;
        }
        let mut after = format!("[{}:", rules.name);
        let end = format!("({};", rules.name);
        loop {
            let mut command = cmd("ZRANGEBYLEX");
            command.arg(names).arg(&after).arg(&end).arg("LIMIT").arg(0).arg(DUE_AT_ONCE);
            let rooms = Answer::new(shared.send(&command).await?).all_bytes()?;
            let Some(last) = rooms.last() else { break };
            after = format!("({}", String::from_utf8_lossy(last));
            let rooms = rooms.iter().filter_map(|room| {
                let room = RoomName::parse(&String::from_utf8_lossy(room)).ok()?;
                Some(RoomKey { tenant: tenant.clone(), room })
            });
            let trims = stream::iter(rooms);
            trims
                .for_each_concurrent(
                    TRIMS_AT_ONCE,
                    |room| async move { trim_or_put_off(shared, &room).await },
                )
                .await;
            let mut held = cmd("PEXPIRE");
            held.arg(pass).arg(PASS_HELD.as_millis() as u64);
            let _: Value = shared.send(&held).await?;
        }
    }
    Ok(())
}
