//! What goes on by itself: what retention removes, effects that wait, counts of keys; and asking all partitions.

use std::sync::Arc;

use redis::{Pipeline, Value};
use tokio::time::{Instant, MissedTickBehavior};

use crate::domain::names::{RoomKey, RoomName, TenantId};
use crate::domain::position::{Epoch, Seq};
use crate::redis::Partition;
use crate::store::{Change, StoreError};

use super::answer::Answer;
use super::call::Call;
use super::limits::{DUE_AT_ONCE, KEYS_INTERVAL, PARTITIONS_AT_ONCE};
use super::outbox::Outboxes;
use super::script;
use super::shared::Shared;

/// Looks for what is due until cancelled. First all rooms are looked at: their rules may be other ones than before.
pub(super) async fn run(shared: Arc<Shared>, outboxes: Outboxes) {
    let cancel = shared.cancel.clone();
    let upkeep = async {
        let mut ticks = tokio::time::interval(shared.options.sweep);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looked_at_all, mut counted) = (false, Instant::now());
        loop {
            ticks.tick().await;
            let looked = async {
                if !looked_at_all {
                    look_at_all(&shared).await?;
                }
                look(&shared, &outboxes).await
            };
            match looked.await {
                Ok(()) => {
                    looked_at_all = true;
                    shared.note_seen();
                }
                Err(error) => tracing::debug!(error = %error, "upkeep has to wait"),
            }
            if counted.elapsed() > KEYS_INTERVAL {
                counted = Instant::now();
                if let Err(error) = shared.count_keys().await {
                    tracing::debug!(error = %error, "keys could not be counted");
                }
            }
        }
    };
    tokio::select! {
        () = upkeep => {}
        () = cancel.cancelled() => {}
    }
}

/// Does what is due in all partitions.
async fn look(shared: &Shared, outboxes: &Outboxes) -> Result<(), StoreError> {
    // Another node may have found that something was lost.
    let mut epoch = redis::cmd("HGET");
    epoch.arg(shared.names.hub()).arg("epoch");
    let asked = Instant::now();
    let epoch = super::answer::number(&shared.send(&epoch).await?)?.cast_unsigned();
    shared.counters.note_round_trip(asked.elapsed());
    super::survival::adopt(shared, Epoch(epoch));
    let now = shared.now().millis();
    let due = shared.ask_partitions(|names, pipeline| {
        let command = pipeline.cmd("ZRANGEBYSCORE").arg(format!("{names}due")).arg("-inf").arg(now);
        command.arg("LIMIT").arg(0).arg(DUE_AT_ONCE);
    });
    for (partition, value) in due.await? {
        let mut ended = false;
        for member in Answer::new(value).all_bytes()? {
            let member = String::from_utf8(member).unwrap_or_default();
            match member.split_once('/') {
                None => drop(outboxes.apply(partition, 0)),
                Some(("a", room)) => {
                    if let Some(room) = parse_room(room) {
                        trim(shared, &room).await?;
                    }
                }
                Some(_) => ended = true,
            }
        }
        if ended {
            let call = Call::new(&script::ENDED, shared, partition).arg(now).arg(DUE_AT_ONCE);
            call.ask(shared).await?;
        }
    }
    Ok(())
}

fn parse_room(text: &str) -> Option<RoomKey> {
    let (tenant, room) = text.split_once('/')?;
    Some(RoomKey { tenant: TenantId::parse(tenant).ok()?, room: RoomName::parse(room).ok()? })
}

/// Trims a room by its rules, in steps.
async fn trim(shared: &Shared, key: &RoomKey) -> Result<(), StoreError> {
    let rules = shared.rules(&key.room);
    let count = rules.and_then(|rules| rules.retention_count).unwrap_or(0);
    let age = rules.and_then(|rules| rules.retention_age).map_or(0, |age| age.as_millis() as u64);
    loop {
        let call = Call::new(&script::TRIM, shared, Partition::of_room(&key.tenant, &key.room));
        let call = call
            .arg(shared.now().millis())
            .arg(key.tenant.as_str())
            .arg(key.room.as_str())
            .arg(count)
            .arg(age);
        let mut answer = call.ask(shared).await?;
        let (first, more) = (Seq(answer.count()?), answer.count()? > 0);
        shared.stored.change(&key.tenant, answer.number()?);
        if first.0 > 0 {
            shared.tell(&[Change::Trimmed { room: key.clone(), first }]);
        }
        if !more || shared.is_closing() {
            return Ok(());
        }
    }
}

/// Looks at all rooms of namespaces that do not keep everything.
async fn look_at_all(shared: &Shared) -> Result<(), StoreError> {
    let tenants = shared.ask_partitions(|names, pipeline| {
        pipeline.cmd("SMEMBERS").arg(format!("{names}tenants"));
    });
    for (partition, value) in tenants.await? {
        for tenant in Answer::new(value).all_bytes()? {
            let Ok(tenant) = TenantId::parse(&String::from_utf8_lossy(&tenant)) else { continue };
            look_at_rooms(shared, partition, &tenant).await?;
        }
    }
    Ok(())
}

async fn look_at_rooms(shared: &Shared, partition: Partition, tenant: &TenantId) -> Result<(), StoreError> {
    let key = format!("{}names/{tenant}", shared.names.partition(partition));
    for rules in shared.options.namespaces.iter() {
        if rules.retention_age.is_none() && rules.retention_count.is_none() {
            continue;
        }
        let mut after = format!("[{}:", rules.name);
        let end = format!("({};", rules.name);
        loop {
            let mut command = redis::cmd("ZRANGEBYLEX");
            command.arg(&key).arg(&after).arg(&end).arg("LIMIT").arg(0).arg(DUE_AT_ONCE);
            let rooms = Answer::new(shared.send(&command).await?).all_bytes()?;
            let Some(last) = rooms.last() else { break };
            after = format!("({}", String::from_utf8_lossy(last));
            for room in &rooms {
                let Ok(room) = RoomName::parse(&String::from_utf8_lossy(room)) else { continue };
                trim(shared, &RoomKey { tenant: tenant.clone(), room }).await?;
            }
            if shared.is_closing() {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl Shared {
    /// Asks all partitions the same, some at a time; `ask` is given what their keys begin with. Gives each one's answer.
    pub(super) async fn ask_partitions(
        &self,
        ask: impl Fn(&str, &mut Pipeline),
    ) -> Result<Vec<(Partition, Value)>, StoreError> {
        let all: Vec<Partition> = Partition::all().collect();
        let mut answers = Vec::with_capacity(all.len());
        for some in all.chunks(PARTITIONS_AT_ONCE) {
            let mut pipeline = Pipeline::with_capacity(some.len());
            for partition in some {
                ask(&self.names.partition(*partition), &mut pipeline);
            }
            answers.extend(some.iter().copied().zip(self.send_all(&pipeline).await?));
        }
        Ok(answers)
    }

    /// Reads how many idempotency keys each partition has.
    pub(super) async fn count_keys(&self) -> Result<(), StoreError> {
        let counts = self.ask_partitions(|names, pipeline| {
            pipeline.cmd("HLEN").arg(format!("{names}keys"));
        });
        for (partition, value) in counts.await? {
            self.keys.set(partition, u32::try_from(super::answer::number(&value)?).unwrap_or(u32::MAX));
        }
        Ok(())
    }
}
