//! Joining a room: from the command to a cursor.
//!
//! The order is what makes a join exact. The follower is put into the room's list first, so that every later entry, and
//! a removal of the user, reaches it. Only then is the membership read, which sees every earlier removal. Then `since`
//! is checked against the store. The cursor does the rest.

use std::sync::Arc;

use carillon_proto::Frame;

use crate::access::rules::{Capability, Permit, reads_as_one};
use crate::delivery::follower::Follower;
use crate::delivery::mailbox::Mailbox;
use crate::domain::caller::Caller;
use crate::domain::command::Join;
use crate::domain::entry::{Entry, EntryBody};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::CATCH_UP_BYTES;
use crate::domain::marks::Marks;
use crate::domain::member::Role;
use crate::domain::names::{RoomKey, RoomName};
use crate::domain::namespace::{NamespaceRules, Who};
use crate::domain::position::{Position, Seq};
use crate::domain::reply::JoinReason;
use crate::store::{EntryRange, PageBound, refuse};

use super::catch_up;
use super::permitted::ByRole;
use super::services::Services;
use super::slots::Following;

/// Where a session begins in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// After this entry; those up to the head are recovered. `None`: from now on.
    pub(super) after: Option<Seq>,
    /// Whether the copy that the client has is of another log.
    pub(super) truncated: bool,
}

impl Start {
    /// From now on.
    const HEAD: Self = Self { after: None, truncated: false };
    /// From now on, as the copy that the client has is of another log.
    const TRUNCATED: Self = Self { after: None, truncated: true };

    fn after(seq: Seq) -> Self {
        Self { after: Some(seq), ..Self::HEAD }
    }
}

/// A join that was permitted: what is left is to put it into the session.
pub(super) struct Joining {
    /// The follower in its room.
    pub(super) following: Following,
    /// Where it begins.
    pub(super) start: Start,
    /// The version of the user's membership, where they are a member.
    pub(super) member_since: Option<Seq>,
    /// The user's role, in rooms with members.
    pub(super) role: Option<Role>,
    /// The user's marks.
    pub(super) marks: Marks,
    /// The last event of each key before that, where the namespace keeps those.
    pub(super) state: Vec<Frame>,
    /// Whether the client asked for presence.
    pub(super) presence: bool,
    /// Whether others may see that they type, unless their role or their token says otherwise.
    pub(super) types: bool,
    /// What of it a role of the token gives, which the authoriser was not asked about.
    pub(super) by_role: ByRole,
    /// Why.
    pub(super) reason: JoinReason,
}

/// Joins the room of `join` for the session behind `mailbox`.
pub(super) async fn join(
    services: Arc<Services>,
    caller: Caller,
    mailbox: Arc<Mailbox>,
    slot: u32,
    join: Join,
    reason: JoinReason,
) -> Result<Joining, Refusal> {
    let rules = services.namespaces.rules(&join.room).ok_or(ErrorCode::AccessDenied)?;
    let key = RoomKey { tenant: caller.tenant.clone(), room: join.room.clone() };
    // Asked before anything is made for the room, and again below for exactness.
    services.executor.authorise(&caller, &join.room, Capability::Join).await?;
    let presence = join.presence
        && rules.presence
        && may(&services, rules, &caller, &join, Capability::SeePresence).await?;
    let room = if rules.durable {
        services.delivery.activate(&key, &*services.store).await.map_err(refuse)?
    } else {
        services.delivery.activate_ephemeral(&key, &*services.store).await.map_err(refuse)?
    };
    let following = Following::begin(room, Follower::new(mailbox, slot, presence));
    let permit = services.executor.authorise(&caller, &join.room, Capability::Join).await?;
    let member = permit.member.as_ref().map(|member| member.version);
    // At once: what is heard until then cannot be told from what was read.
    following.follower.joins_as(member.zip(permit.role));
    let mut joining = Joining {
        following,
        start: Start::HEAD,
        member_since: member,
        role: permit.role,
        marks: Marks::default(),
        state: Vec::new(),
        presence,
        types: rules.typing && may_type(&services, rules, &caller, &join.room).await,
        by_role: ByRole::of(rules, &caller),
        reason,
    };
    if rules.durable {
        let marks = services.store.marks(&key, &caller.user);
        let history = may(&services, rules, &caller, &join, Capability::ReadHistory).await?;
        joining.start = find_start(&services, &key, &join, &permit, history).await?;
        joining.marks = marks.await.map_err(refuse)?;
        if rules.latest_per_key && (join.since.is_none() || joining.start.truncated) {
            read_state(&services, &key, &mut joining).await?;
        }
    }
    Ok(joining)
}

/// Whether who may join may do this as well.
async fn may(
    services: &Services,
    rules: &NamespaceRules,
    caller: &Caller,
    join: &Join,
    capability: Capability,
) -> Result<bool, Refusal> {
    if reads_as_one(rules, caller) {
        return Ok(true);
    }
    match services.executor.authorise(caller, &join.room, capability).await {
        Ok(_) => Ok(true),
        Err(refusal) if matches!(refusal.code, ErrorCode::AccessDenied | ErrorCode::PermissionDenied) => {
            Ok(false)
        }
        Err(refusal) => Err(refusal),
    }
}

/// Whether the authoriser, where it decides who sends, lets them show that they type. It is asked once in a join; who
/// cannot be asked about does not type.
async fn may_type(services: &Services, rules: &NamespaceRules, caller: &Caller, room: &RoomName) -> bool {
    rules.send != Who::Authorizer || services.executor.authorise(caller, room, Capability::Type).await.is_ok()
}

/// Checks `since` against the log, or counts back from its head.
async fn find_start(
    services: &Services,
    key: &RoomKey,
    join: &Join,
    permit: &Permit,
    history: bool,
) -> Result<Start, Refusal> {
    let Some(since) = join.since else {
        if join.rewind == 0 || !history {
            return Ok(Start::HEAD);
        }
        let page = read(services, key, EntryRange::Before(Seq(u64::MAX)), 1).await?;
        let from = page.head.seq.0.saturating_sub(u64::from(join.rewind));
        let from = from.max(page.first.0 - 1).max(permit.history_from.0.saturating_sub(1));
        return Ok(Start::after(Seq(from)));
    };
    let before = Seq(since.seq.0.saturating_sub(1));
    let page = read(services, key, EntryRange::After(before), 1).await?;
    if !is_in_log(since, page.entries.first(), page.head, services.store.epoch()) {
        return Ok(Start::TRUNCATED);
    }
    // Who may not read history goes on where they have been: the tag of an entry that is there proves it, and at the head
    // there is nothing to read. The beginning proves nothing, nor does an entry that was removed.
    let is_proven = page.entries.first().is_some_and(|entry| entry.seq == since.seq);
    if !history && !is_proven && since.seq != page.head.seq {
        return Ok(Start::TRUNCATED);
    }
    // What lies between is not theirs to read, so the copy cannot be made complete.
    if since.seq.next() < permit.history_from {
        return Ok(Start::TRUNCATED);
    }
    Ok(Start::after(since.seq))
}

async fn read(
    services: &Services,
    key: &RoomKey,
    range: EntryRange,
    items: u32,
) -> Result<crate::store::EntryPage, Refusal> {
    let page = services.store.entries(key, range, PageBound { items, bytes: CATCH_UP_BYTES });
    page.await.map_err(refuse)
}

/// Whether a client that was at `since` saw this log: `at` is the first entry that is kept from there on.
fn is_in_log(
    since: Position,
    at: Option<&Entry>,
    head: Position,
    epoch: crate::domain::position::Epoch,
) -> bool {
    if since.epoch != epoch || since.seq > head.seq {
        return false;
    }
    match at {
        Some(entry) if entry.seq == since.seq => entry.tag == since.tag,
        // Retention removed the entry itself; the epoch is what is left to compare.
        _ => true,
    }
}

/// Shared state is handed over on join: the last event of each key up to where the session begins. Who comes back from a
/// position has what was before that; where the log has lost what follows, catching up hands it over.
async fn read_state(services: &Services, key: &RoomKey, joining: &mut Joining) -> Result<(), Refusal> {
    let begins = joining.start.after.unwrap_or_else(|| joining.following.room.head().seq);
    let events = catch_up::latest_events(&*services.store, key).await.map_err(refuse)?;
    let encoder = services.delivery.encoder();
    joining.state = events
        .iter()
        // Later ones come past the cursor. Keys that were emptied are for those who have a copy.
        .filter(|event| event.seq <= begins && !is_emptied(event))
        .map(|event| encoder.entry(&key.room, event))
        .collect();
    joining.start.after = Some(begins);
    Ok(())
}

/// Whether it is an event that takes its key out of the room's state.
fn is_emptied(entry: &Entry) -> bool {
    matches!(&entry.body, EntryBody::Event(event) if event.payload.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::{Epoch, Tag};

    #[test]
    fn a_position_of_another_log_is_told_apart() {
        let at = |epoch, seq, tag| Position { epoch: Epoch(epoch), seq: Seq(seq), tag: Tag(tag) };
        let head = at(1, 9, 5);
        assert!(is_in_log(at(1, 0, 0), None, head, Epoch(1)));
        assert!(is_in_log(at(1, 3, 7), None, head, Epoch(1)), "trimmed: only the epoch is left");
        assert!(!is_in_log(at(2, 3, 7), None, head, Epoch(1)), "another epoch");
        assert!(!is_in_log(at(1, 10, 7), None, head, Epoch(1)), "from the future");
    }
}
