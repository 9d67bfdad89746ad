//! Notifications and the inbox that they arrive in: the merge of a user's own log and the tenant's broadcast log.

use std::sync::Arc;

use super::content::{Content, Pairs};
use super::error::Violation;
use super::limits;
use super::names::{NotificationId, UserId};
use super::position::{InboxPosition, Seq};
use super::time::Timestamp;

/// Bytes of a notification besides what [`Notification::size`] counts, at most: numbers, and what frames them.
const OVERHEAD: usize = 160;

/// How urgent a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// May wait.
    Low = 1,
    /// The default.
    Normal = 2,
    /// Soon.
    High = 3,
    /// Now; exempt from limits (row W14a).
    Critical = 4,
}

impl Priority {
    /// The priority that the store kept as a number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Low),
            2 => Some(Self::Normal),
            3 => Some(Self::High),
            4 => Some(Self::Critical),
            _ => None,
        }
    }
}

/// A notification's kind, as the application names it: 1 to 64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NotificationKind(Arc<str>);

impl NotificationKind {
    /// Parses and checks it.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.is_empty()
            || text.len() > limits::NOTIFICATION_KIND_BYTES
            || text.chars().any(char::is_control)
        {
            return Err(Violation { field: "kind", rule: "1 to 64 bytes without control characters" });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a sender says: the same for every recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Derived by the hub from tenant, sender and idempotency key, so that a retry has the same id.
    pub id: NotificationId,
    /// The application's kind.
    pub kind: NotificationKind,
    /// One line, at most 256 characters.
    pub title: Arc<str>,
    /// More, if there is more.
    pub body: Option<Content>,
    /// How urgent.
    pub priority: Priority,
    /// The application's pairs.
    pub data: Pairs,
    /// Who sent it.
    pub sender: UserId,
    /// After this it is neither listed nor counted.
    pub expires: Option<Timestamp>,
}

impl Notice {
    /// Checks a title: 1 to 256 characters, none of them control characters.
    pub fn parse_title(text: &str) -> Result<Arc<str>, Violation> {
        let too_long = text.chars().nth(limits::NOTIFICATION_TITLE_CHARACTERS).is_some();
        if text.is_empty() || too_long || text.chars().any(char::is_control) {
            return Err(Violation { field: "title", rule: "1 to 256 characters, no control characters" });
        }
        Ok(text.into())
    }
}

/// A place in one of the two logs that an inbox merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InboxPlace {
    /// In the user's own log.
    Own(Seq),
    /// In the tenant's broadcast log.
    Broadcast(Seq),
}

/// A notification in one user's inbox, with that user's state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What was said.
    pub notice: Arc<Notice>,
    /// Where it stands.
    pub place: InboxPlace,
    /// When the store accepted it.
    pub time: Timestamp,
    /// Whether this user has read it.
    pub read: bool,
}

impl Notification {
    /// Bytes of it as it is sent, never less: what pages are bounded by.
    pub fn size(&self) -> usize {
        let notice = &*self.notice;
        let texts =
            [notice.id.as_str(), notice.kind.as_str(), &*notice.title, notice.sender.as_str()].map(str::len);
        let body = notice.body.as_ref().map_or(0, Content::size);
        OVERHEAD + texts.iter().sum::<usize>() + body + notice.data.size()
    }
}

/// What a user's inbox holds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxSummary {
    /// The last places of both logs.
    pub head: InboxPosition,
    /// Notifications that are neither read, deleted nor expired; at most [`limits::INBOX_COUNTED`].
    pub unread: u64,
    /// Those of them that are critical; at most as many.
    pub critical: u64,
}

/// Which notifications a page lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Only those not read.
    pub unread_only: bool,
    /// Only these kinds; all where empty.
    pub kinds: Vec<NotificationKind>,
    /// Only these priorities; all where empty.
    pub priorities: Vec<Priority>,
}

impl InboxFilter {
    /// Whether a notification is listed.
    pub fn passes(&self, notification: &Notification) -> bool {
        let notice = &notification.notice;
        (!self.unread_only || !notification.read)
            && (self.kinds.is_empty() || self.kinds.contains(&notice.kind))
            && (self.priorities.is_empty() || self.priorities.contains(&notice.priority))
    }
}

/// What a command does to notifications of the user's own inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxChange {
    /// These are read.
    Read(Vec<NotificationId>),
    /// All up to here are read.
    ReadUpTo(InboxPosition),
    /// These are gone.
    Delete(Vec<NotificationId>),
}
