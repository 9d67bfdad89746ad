//! Telling other nodes what scripts do not: under [`Durability::Replicas`], once replicas have it. What is lost on the way
//! other nodes find missing and read.

use redis::cmd;

use crate::domain::inbox::{InboxPlace, Notification};
use crate::redis::{Durability, notice, record};
use crate::store::Change;

use super::shared::Shared;

/// The envelope's version and kinds, as scripts write them.
const VERSION: u8 = 1;
const ENTRY: u8 = 1;
const MARKS: u8 = 2;
const NOTIFIED: u8 = 3;
const BROADCAST: u8 = 4;

/// Publishes changes where scripts did not. `previous` is the tag of the entry before the first one.
pub(super) async fn publish(shared: &Shared, changes: &[Change], previous: u32) {
    if !matches!(shared.options.durability, Durability::Replicas(_)) {
        return;
    }
    let mut previous = previous;
    for change in changes {
        let Some((channel, message)) = message(shared, change, &mut previous) else { continue };
        let mut command = cmd(shared.publish_command());
        command.arg(channel).arg(message);
        if shared.send(&command).await.is_err() {
            tracing::debug!("a change was not published");
        }
    }
}

fn message(shared: &Shared, change: &Change, previous: &mut u32) -> Option<(String, Vec<u8>)> {
    let begin = |kind: u8| {
        let mut bytes = vec![VERSION, kind];
        bytes.extend_from_slice(&shared.head());
        bytes
    };
    let names = &shared.names;
    match change {
        Change::Entry { room, entry } => {
            let mut bytes = begin(ENTRY);
            bytes.extend_from_slice(&entry.seq.0.to_le_bytes());
            bytes.extend_from_slice(&previous.to_le_bytes());
            bytes.extend_from_slice(&record::encode(entry));
            *previous = entry.tag.0;
            Some((names.room_channel(room), bytes))
        }
        Change::Marks { room, user, marks } => {
            let mut bytes = begin(MARKS);
            crate::redis::put_bytes16(&mut bytes, user.as_str().as_bytes());
            for number in [marks.delivered.0, marks.read.0, marks.read_number] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Some((names.room_channel(room), bytes))
        }
        Change::Notified { user, notification } => {
            Some((names.user_channel(user), notified(begin(NOTIFIED), notification)))
        }
        Change::Broadcast { tenant, notification } => {
            Some((names.tenant_channel(tenant), notified(begin(BROADCAST), notification)))
        }
        _ => None,
    }
}

fn notified(mut bytes: Vec<u8>, notification: &Notification) -> Vec<u8> {
    let (InboxPlace::Own(seq) | InboxPlace::Broadcast(seq)) = notification.place;
    bytes.extend_from_slice(&seq.0.to_le_bytes());
    bytes.extend_from_slice(&notification.time.millis().to_le_bytes());
    bytes.extend_from_slice(&notice::encode(&notification.notice));
    bytes
}
