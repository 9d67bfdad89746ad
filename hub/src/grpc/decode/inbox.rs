//! The inbox.

use carillon_proto::v1;

use super::fields::{self, InboxPaths};
use crate::domain::command::Stateless;
use crate::domain::error::{Refusal, Violation};
use crate::domain::inbox::{InboxChange, InboxFilter, NotificationKind, Priority};
use crate::domain::limits;

const UP_TO: InboxPaths = InboxPaths { own: "up_to.own", broadcast: "up_to.broadcast" };

impl TryFrom<v1::NotificationsGet> for Stateless {
    type Error = Refusal;

    fn try_from(get: v1::NotificationsGet) -> Result<Self, Refusal> {
        Ok(Self::Notifications {
            cursor: fields::cursor(get.cursor)?,
            filter: get.filter.map(filter).transpose()?.unwrap_or_default(),
            limit: fields::page(get.limit)?,
        })
    }
}

fn filter(filter: v1::NotificationFilter) -> Result<InboxFilter, Violation> {
    if filter.kinds.len() > limits::FILTER_KINDS {
        return Err(Violation { field: "filter.kinds", rule: "at most 16" });
    }
    let kinds = filter
        .kinds
        .iter()
        .map(|kind| NotificationKind::parse(kind).map_err(|v| Violation { field: "filter.kinds[]", ..v }))
        .collect::<Result<_, _>>()?;
    let mut priorities = Vec::new();
    for number in filter.priorities {
        let field = "filter.priorities[]";
        let priority = priority(number, field)?.ok_or(Violation { field, rule: "LOW to CRITICAL" })?;
        // A list as long as the frame allows holds four different ones at most.
        if !priorities.contains(&priority) {
            priorities.push(priority);
        }
    }
    Ok(InboxFilter { unread_only: filter.unread_only, kinds, priorities })
}

/// A priority; `None` where unspecified.
pub(crate) fn priority(number: i32, field: &'static str) -> Result<Option<Priority>, Violation> {
    match v1::NotificationPriority::try_from(number) {
        Ok(v1::NotificationPriority::Unspecified) => Ok(None),
        Ok(v1::NotificationPriority::Low) => Ok(Some(Priority::Low)),
        Ok(v1::NotificationPriority::Normal) => Ok(Some(Priority::Normal)),
        Ok(v1::NotificationPriority::High) => Ok(Some(Priority::High)),
        Ok(v1::NotificationPriority::Critical) => Ok(Some(Priority::Critical)),
        Err(_) => Err(Violation { field, rule: "LOW to CRITICAL" }),
    }
}

impl TryFrom<v1::NotificationRead> for Stateless {
    type Error = Refusal;

    fn try_from(read: v1::NotificationRead) -> Result<Self, Refusal> {
        let change = match (read.ids.as_slice(), read.up_to) {
            ([], Some(up_to)) => InboxChange::ReadUpTo(fields::inbox_position(up_to, UP_TO)?),
            ([_, ..], None) => InboxChange::Read(fields::notification_ids(&read.ids)?),
            _ => return Err(Refusal::invalid("ids", "exactly one of ids and up_to")),
        };
        Ok(Self::Inbox(change))
    }
}

impl TryFrom<v1::NotificationDelete> for Stateless {
    type Error = Refusal;

    fn try_from(delete: v1::NotificationDelete) -> Result<Self, Refusal> {
        if delete.ids.is_empty() {
            return Err(Refusal::invalid("ids", "required"));
        }
        Ok(Self::Inbox(InboxChange::Delete(fields::notification_ids(&delete.ids)?)))
    }
}
