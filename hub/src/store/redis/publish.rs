//! Telling other nodes what scripts do not: under [`Durability::Replicas`], once replicas have it. What is lost on the way
//! other nodes find missing and read.

use redis::cmd;

use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::position::Tag;
use crate::redis::{Durability, message};
use crate::store::Change;

use super::shared::Shared;

/// Publishes changes where scripts did not. `previous` is the tag of the entry before the first one.
pub(super) async fn publish(shared: &Shared, changes: &[Change], previous: Tag) {
    if !matches!(shared.options.durability, Durability::Replicas(_)) {
        return;
    }
    let mut previous = previous;
    for change in changes {
        let Some((channel, message)) = message(shared, change, &mut previous) else { continue };
        let mut command = cmd(shared.publishes_with());
        command.arg(channel).arg(message);
        if shared.send(&command).await.is_err() {
            tracing::debug!("a change was not published");
        }
    }
}

/// The channel that a change is for, and what is said there.
fn message(shared: &Shared, change: &Change, previous: &mut Tag) -> Option<(String, Vec<u8>)> {
    let (names, head) = (&shared.names, shared.head());
    let notice = |notification: &Notification, is_broadcast| {
        let (InboxPlace::Own(seq) | InboxPlace::Broadcast(seq)) = notification.place;
        message::notice(head, seq, notification.time, &notification.notice, is_broadcast)
    };
    Some(match change {
        Change::Entry { room, entry } => {
            let previous = std::mem::replace(previous, entry.tag);
            (names.room_channel(room), message::entry(head, entry, previous))
        }
        Change::Marks { room, user, marks } => (names.room_channel(room), message::marks(head, user, *marks)),
        Change::Notified { user, notification } => (names.user_channel(user), notice(notification, false)),
        Change::Broadcast { tenant, notification } => {
            (names.tenant_channel(tenant), notice(notification, true))
        }
        _ => return None,
    })
}
