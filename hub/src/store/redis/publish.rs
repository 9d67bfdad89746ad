//! Telling other nodes what scripts do not: under [`Durability::Replicas`], once replicas have it.
//!
//! Whoever dies in between, or hears of too few replicas, has committed what nobody was told. It is not acknowledged either:
//! with the attempt that is, others hear how far the log has got, and read what they miss.

use redis::{Cmd, cmd};

use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use crate::domain::position::{Seq, Tag};
use crate::redis::{Link, LinkError, Names, Server, is_moving, message};
use crate::store::{Change, Committed, Home, InboxLog, Log, Outcome, StoreError};

use super::barrier;
use super::commit::Settled;
use super::options::OpenError;
use super::shared::Shared;

/// Where an outcome belongs, and whose it is.
pub(super) struct Addressed {
    tenant: TenantId,
    home: Home,
    actor: UserId,
}

impl Addressed {
    /// The room, where it belongs to one.
    fn room(&self) -> Option<RoomKey> {
        let Home::Room(room) = &self.home else { return None };
        Some(RoomKey { tenant: self.tenant.clone(), room: room.clone() })
    }

    /// The log in which what was committed has a place.
    pub(super) fn log(&self) -> Option<Log> {
        match &self.home {
            Home::Room(_) => self.room().map(Log::Room),
            Home::Tenant => Some(Log::Inbox(InboxLog::Broadcast(self.tenant.clone()))),
            Home::Inbox(_) => None,
        }
    }
}

impl From<&Outcome> for Addressed {
    fn from(outcome: &Outcome) -> Self {
        Self { tenant: outcome.tenant.clone(), home: outcome.home.clone(), actor: outcome.actor.clone() }
    }
}

/// Whether a server tells commits to other nodes: the user may not have the right, or a cluster no channels of its shards.
pub(super) async fn check(link: &Link, server: &mut Server, names: &Names) -> Result<(), OpenError> {
    // Nobody hears these. Where a slot is on its way to another server, another one is asked for.
    for channel in barrier::beats(link, names, server) {
        let mut publish = cmd(if link.options().cluster { "SPUBLISH" } else { "PUBLISH" });
        publish.arg(channel).arg("");
        match publish.query_async::<u64>(&mut server.connection).await {
            Ok(_) => return Ok(()),
            Err(error) if is_moving(&error) => {}
            Err(error) if error.code().is_none() => return Err(LinkError::unreachable(&error).into()),
            Err(error) => return Err(OpenError::NoPublishing(error.to_string())),
        }
    }
    Ok(())
}

/// Publishes changes where scripts did not. `previous` is the tag of the entry before the first one.
pub(super) async fn publish(shared: &Shared, changes: &[Change], previous: Tag) -> Result<(), StoreError> {
    for command in of_changes(shared, changes, previous) {
        shared.send(&command).await?;
    }
    Ok(())
}

/// What publishes what an outcome came to, where scripts did not; and where it is a retry, what an attempt before may have
/// committed without others having been told.
pub(super) fn commands(shared: &Shared, outcome: &Addressed, settled: &Settled) -> Vec<Cmd> {
    let mut commands = of_changes(shared, &settled.changes, settled.previous);
    if let Ok(committed) = settled.result.as_ref()
        && committed.duplicate
        && is_ours(shared)
    {
        of_retry(shared, outcome, committed, &mut commands);
    }
    commands
}

fn of_changes(shared: &Shared, changes: &[Change], previous: Tag) -> Vec<Cmd> {
    if !is_ours(shared) {
        return Vec::new();
    }
    let mut previous = previous;
    let messages = changes.iter().filter_map(|change| message(shared, change, &mut previous));
    messages.map(|(channel, message)| command(shared, &channel, &message)).collect()
}

fn of_retry(shared: &Shared, outcome: &Addressed, committed: &Committed, commands: &mut Vec<Cmd>) {
    let head = shared.head();
    let channel = match (outcome.room(), &outcome.home) {
        (Some(room), _) => {
            let channel = shared.names.room_channel(&room);
            if let Some(marks) = committed.marks {
                commands.push(command(shared, &channel, &message::marks(head, &outcome.actor, marks)));
            }
            channel
        }
        (None, Home::Tenant) => shared.names.tenant_channel(&outcome.tenant),
        // Nobody else is told of what a user does to their own inbox.
        (None, _) => return,
    };
    commands.push(command(shared, &channel, &message::reached(head, committed.position.seq)));
}

/// Tells all nodes that a user's content was blanked.
pub(super) async fn publish_erased(shared: &Shared, user: &UserKey) -> Result<(), StoreError> {
    let message = message::erased(shared.head(), user);
    shared
        .send(&command(shared, &shared.names.hub_channel(), &message))
        .await
        .map(drop)
        .map_err(StoreError::from)
}

/// Tells users of whom a room is a room from now on, or no longer, where scripts did not.
pub(super) async fn publish_members(
    shared: &Shared,
    tenant: &TenantId,
    room: &RoomName,
    users: impl Iterator<Item = &(bool, UserId)>,
) -> Result<(), StoreError> {
    if !is_ours(shared) {
        return Ok(());
    }
    let head = shared.head_of_nobody();
    for (is_member, user) in users {
        let channel = shared.names.user_channel(&UserKey { tenant: tenant.clone(), user: user.clone() });
        shared.send(&command(shared, &channel, &message::member(head, room, *is_member))).await?;
    }
    Ok(())
}

/// Has other nodes look at users' inboxes: something may have arrived there without their having been told.
pub(super) async fn publish_inboxes(
    shared: &Shared,
    tenant: &TenantId,
    users: &[UserId],
) -> Result<(), StoreError> {
    if !is_ours(shared) {
        return Ok(());
    }
    for user in users {
        let channel = shared.names.user_channel(&UserKey { tenant: tenant.clone(), user: user.clone() });
        shared.send(&command(shared, &channel, &message::reached(shared.head(), Seq::MAX))).await?;
    }
    Ok(())
}

fn is_ours(shared: &Shared) -> bool {
    shared.waits_for_replicas()
}

fn command(shared: &Shared, channel: &str, message: &[u8]) -> Cmd {
    let mut command = cmd(shared.publishes_with());
    command.arg(channel).arg(message);
    command
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
        Change::Revoked(_) => (names.hub_channel(), message::revoked(head)),
        _ => return None,
    })
}
