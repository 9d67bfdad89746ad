//! What an item of an outbox causes in one partition: a notice in users' logs, a room among users' rooms.

use std::sync::Arc;

use crate::domain::inbox::{InboxPlace, Notice, Notification};
use crate::domain::names::{RoomName, TenantId, UserId, UserKey};
use crate::domain::position::{Seq, Tag};
use crate::domain::time::Timestamp;
use crate::redis::notice as record;
use crate::store::{Change, StoreError};

use super::super::call::Call;
use super::super::publish;
use super::super::shared::Shared;

/// Puts a notice into the logs of a partition's users, by the call that was begun for it; gives what to tell.
pub(super) async fn notify(
    shared: &Shared,
    call: Call,
    tenant: &TenantId,
    notice: &Arc<Notice>,
    users: &[UserId],
) -> Result<Vec<Change>, StoreError> {
    let mut call = call
        .arg("1")
        .arg(tenant.as_str())
        .arg(record::encode(notice))
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
pub(super) async fn index(
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
