//! Fields that many commands share.

use std::collections::HashSet;
use std::hash::Hash;

use carillon_proto::v1;

use crate::domain::command::Cursor;
use crate::domain::error::{Refusal, Violation};
use crate::domain::limits;
use crate::domain::member::Role;
use crate::domain::names::{NotificationId, UserId};
use crate::domain::position::{Epoch, InboxPosition, Position, Seq, Tag};

const SEQ_RULE: &str = "at most 9223372036854775807";

/// A seq, 0 included.
pub(crate) fn seq(number: u64, field: &'static str) -> Result<Seq, Violation> {
    if number > limits::SEQ_MAX {
        return Err(Violation { field, rule: SEQ_RULE });
    }
    Ok(Seq(number))
}

/// A seq of an entry: not 0.
pub(crate) fn required_seq(number: u64, field: &'static str) -> Result<Seq, Violation> {
    if number == 0 {
        return Err(Violation { field, rule: "from 1" });
    }
    seq(number, field)
}

/// How a violation names the fields of a position.
#[derive(Clone, Copy)]
pub(super) struct PositionPaths {
    pub(super) seq: &'static str,
    pub(super) tag: &'static str,
}

pub(super) fn position(position: v1::Position, paths: PositionPaths) -> Result<Position, Violation> {
    let seq = seq(position.seq, paths.seq)?;
    if seq == Seq(0) && position.tag != 0 {
        return Err(Violation { field: paths.tag, rule: "0 at seq 0" });
    }
    Ok(Position { epoch: Epoch(position.epoch), seq, tag: Tag(position.tag) })
}

/// How a violation names the fields of a position in an inbox.
#[derive(Clone, Copy)]
pub(super) struct InboxPaths {
    pub(super) own: &'static str,
    pub(super) broadcast: &'static str,
}

pub(super) fn inbox_position(
    position: v1::InboxPosition,
    paths: InboxPaths,
) -> Result<InboxPosition, Violation> {
    Ok(InboxPosition {
        epoch: Epoch(position.epoch),
        own: seq(position.own, paths.own)?,
        broadcast: seq(position.broadcast, paths.broadcast)?,
    })
}

/// Items of a page of anything but history.
pub(crate) fn page(limit: u32) -> Result<u32, Violation> {
    bounded(limit, limits::PAGE_DEFAULT, limits::PAGE_LIMIT)
}

/// Entries of a page of history.
pub(super) fn history_page(limit: u32) -> Result<u32, Violation> {
    bounded(limit, limits::HISTORY_DEFAULT, limits::HISTORY_LIMIT)
}

fn bounded(limit: u32, default: u32, most: u32) -> Result<u32, Violation> {
    match limit {
        0 => Ok(default),
        _ if limit <= most => Ok(limit),
        _ => Err(Violation { field: "limit", rule: "at most 200" }),
    }
}

/// Where a page ended. Whether it was given to this caller is for the area that wrote it.
pub(crate) fn cursor(text: String) -> Result<Cursor, Violation> {
    if text.len() > limits::CURSOR_BYTES {
        return Err(Violation { field: "cursor", rule: "at most 512 bytes" });
    }
    Ok(Cursor(text))
}

/// A role; unspecified means member.
pub(crate) fn role_or_member(number: i32, field: &'static str) -> Result<Role, Violation> {
    Ok(role(number, field)?.unwrap_or(Role::Member))
}

/// A role that must be given.
pub(crate) fn specified_role(number: i32, field: &'static str) -> Result<Role, Violation> {
    role(number, field)?.ok_or(Violation { field, rule: "required" })
}

fn role(number: i32, field: &'static str) -> Result<Option<Role>, Violation> {
    match v1::Role::try_from(number) {
        Ok(v1::Role::Unspecified) => Ok(None),
        Ok(v1::Role::Owner) => Ok(Some(Role::Owner)),
        Ok(v1::Role::Moderator) => Ok(Some(Role::Moderator)),
        Ok(v1::Role::Member) => Ok(Some(Role::Member)),
        Ok(v1::Role::Reader) => Ok(Some(Role::Reader)),
        Err(_) => Err(Violation { field, rule: "OWNER, MODERATOR, MEMBER or READER" }),
    }
}

/// A list of members with their roles: none twice.
pub(crate) fn members(members: Vec<v1::Member>) -> Result<Vec<(UserId, Role)>, Refusal> {
    if members.len() > limits::CREATE_MEMBERS {
        return Err(Refusal::invalid("members", "at most 1000"));
    }
    let members = members
        .into_iter()
        .map(|member| {
            let user = UserId::parse(&member.user).map_err(|v| Violation { field: "members[].user", ..v })?;
            Ok((user, role_or_member(member.role, "members[].role")?))
        })
        .collect::<Result<Vec<_>, Violation>>()?;
    if repeats(members.iter().map(|(user, _)| user)) {
        return Err(Refusal::invalid("members", "no user twice"));
    }
    Ok(members)
}

/// Ids of notifications, in the order given.
pub(super) fn notification_ids(ids: &[String]) -> Result<Vec<NotificationId>, Violation> {
    if ids.len() > limits::NOTIFICATION_IDS {
        return Err(Violation { field: "ids", rule: "at most 200" });
    }
    ids.iter().map(|id| NotificationId::parse(id).map_err(|v| Violation { field: "ids[]", ..v })).collect()
}

/// Whether an item stands twice.
pub(crate) fn repeats<T: Eq + Hash>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.into_iter().any(|item| !seen.insert(item))
}
