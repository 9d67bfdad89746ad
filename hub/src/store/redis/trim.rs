//! Removing from rooms what their retention does not keep.

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::domain::names::RoomKey;
use crate::domain::position::Seq;
use crate::redis::Partition;
use crate::store::{Change, StoreError};

use super::call::Call;
use super::limits::{PUT_OFF, PUT_OFF_KNOWN};
use super::script;
use super::shared::Shared;

/// Rooms that could not be trimmed, of which it was said so; no more than [`PUT_OFF_KNOWN`].
#[derive(Default)]
pub(super) struct PutOff(Mutex<FxHashSet<RoomKey>>);

impl PutOff {
    fn is_new(&self, room: &RoomKey) -> bool {
        let mut known = self.0.lock();
        known.len() < PUT_OFF_KNOWN && known.insert(room.clone())
    }
}

/// Trims a room. One that cannot be is put off, and said to be so once: others do not wait for it.
pub(super) async fn trim_or_put_off(shared: &Shared, room: &RoomKey) {
    match trim(shared, room).await {
        Ok(()) => {}
        // It is found again.
        Err(StoreError::Unavailable) => tracing::debug!("a room has to wait for retention"),
        Err(error) => {
            let partition = Partition::of_room(&room.tenant, &room.room);
            if shared.put_off.is_new(room) {
                let partition = partition.number();
                tracing::warn!(partition, error = %error, "retention of a room is put off: it cannot be trimmed");
            }
            let mut later = redis::cmd("ZADD");
            later.arg(format!("{}due", shared.names.partition(partition))).arg("XX");
            later.arg(shared.now().millis() + PUT_OFF.as_millis() as i64);
            later.arg(format!("a/{}/{}", room.tenant, room.room));
            if shared.send(&later).await.is_err() {
                tracing::debug!("a room that cannot be trimmed is still due");
            }
        }
    }
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
