//! What a durable room's log holds.

use std::sync::Arc;

use super::content::{Content, Pairs};
use super::error::Violation;
use super::limits;
use super::member::{MembershipChange, Role};
use super::names::UserId;
use super::position::{Epoch, Position, Seq, Tag};
use super::time::Timestamp;

/// Bytes of an entry besides what [`Entry::size`] counts, at most: its room's name, numbers, and what frames them.
const OVERHEAD: usize = 320;
/// Bytes that frame one part of a list on the wire, at most.
const PART_OVERHEAD: usize = 8;

/// One entry of a log, as it reads now: an edited message carries its current content, a deleted one is blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its log's epoch.
    pub epoch: Epoch,
    /// Its place.
    pub seq: Seq,
    /// Its random bits.
    pub tag: Tag,
    /// When the store accepted it; never before the entry before it.
    pub time: Timestamp,
    /// Who caused it.
    pub sender: UserId,
    /// Messages of the room up to and including this entry.
    pub number: u64,
    /// What it says.
    pub body: EntryBody,
}

impl Entry {
    /// Where it stands.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq, tag: self.tag }
    }

    /// Bytes of it as it is sent, never less: what pages are bounded by.
    pub fn size(&self) -> usize {
        OVERHEAD + self.sender.as_str().len() + self.body.size()
    }
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// A message.
    Message(Message),
    /// New content for the message at `target`.
    Edit {
        /// The message.
        target: Seq,
        /// The new content; `None` once the message was deleted.
        content: Option<Content>,
        /// 2 for the first edit.
        version: u32,
    },
    /// The message at `target` is gone.
    Deletion {
        /// The message.
        target: Seq,
    },
    /// `sender` added or took back a reaction.
    Reaction {
        /// The message.
        target: Seq,
        /// As an emoji; at most 64 bytes.
        key: ReactionKey,
        /// Added, or taken back.
        add: bool,
    },
    /// A member came, went or changed role.
    Membership {
        /// Whose membership.
        user: UserId,
        /// How.
        change: MembershipChange,
        /// The role afterwards; the last role where the membership ended.
        role: Role,
    },
    /// The room was created, or its metadata changed.
    Room {
        /// Whether this entry created the room.
        created: bool,
        /// The metadata afterwards.
        metadata: Pairs,
    },
    /// A durable event.
    Event(Event),
}

impl EntryBody {
    /// What it counts as in its tenant's storage, bytes: of content, attributes, metadata, names and keys those that they
    /// have, and [`STORED_OVERHEAD`](limits::STORED_OVERHEAD) for the rest.
    pub fn stored_bytes(&self) -> u64 {
        let content =
            |content: &Option<Content>| content.as_ref().map_or(0, |content| content.as_bytes().len());
        let pairs = |pairs: &Pairs| pairs.as_map().iter().map(|(key, value)| key.len() + value.len()).sum();
        let own: usize = match self {
            Self::Message(message) => content(&message.content) + pairs(&message.attributes),
            Self::Edit { content: edited, .. } => content(edited),
            Self::Deletion { .. } | Self::Membership { .. } => 0,
            Self::Reaction { key, .. } => key.as_str().len(),
            Self::Room { metadata, .. } => pairs(metadata),
            Self::Event(event) => {
                let key = event.key.as_ref().map_or(0, |key| key.as_str().len());
                event.name.as_str().len() + key + content(&event.payload)
            }
        };
        limits::STORED_OVERHEAD + own as u64
    }

    fn size(&self) -> usize {
        let content = |content: &Option<Content>| content.as_ref().map_or(0, Content::size);
        match self {
            Self::Message(message) => {
                let reactions: usize = message.reactions.iter().map(ReactionSummary::size).sum();
                content(&message.content) + message.attributes.size() + reactions
            }
            Self::Edit { content: edited, .. } => content(edited),
            Self::Deletion { .. } => 0,
            Self::Reaction { key, .. } => key.as_str().len(),
            Self::Membership { user, .. } => user.as_str().len(),
            Self::Room { metadata, .. } => metadata.size(),
            Self::Event(event) => {
                let key = event.key.as_ref().map_or(0, |key| key.as_str().len());
                event.name.as_str().len() + key + content(&event.payload)
            }
        }
    }
}

/// A message as it reads now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether a service sent it. A service's name may be a user's id too: nobody is the sender of what the other sent.
    pub by_service: bool,
    /// `None` once deleted: the tombstone remains.
    pub content: Option<Content>,
    /// The entry that it answers.
    pub reply_to: Option<Seq>,
    /// The sender's own pairs; empty once deleted.
    pub attributes: Pairs,
    /// 1 at first, one more per edit.
    pub version: u32,
    /// When it was last edited.
    pub edited: Option<Timestamp>,
    /// Reactions as they stand, of the [`limits::REACTION_KEYS_SHOWN`] keys with the most, in order of the keys: filled
    /// in by reads, empty in what is committed.
    pub reactions: Vec<ReactionSummary>,
    /// Reactions in all, those of other keys too: filled in by reads.
    pub reactions_total: u32,
}

impl Message {
    /// A new message of a user.
    pub fn new(content: Content, reply_to: Option<Seq>, attributes: Pairs) -> Self {
        Self {
            by_service: false,
            content: Some(content),
            reply_to,
            attributes,
            version: 1,
            edited: None,
            reactions: Vec::new(),
            reactions_total: 0,
        }
    }
}

/// All reactions of one key to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionSummary {
    /// The key.
    pub key: ReactionKey,
    /// How many users.
    pub count: u32,
    /// The first [`limits::REACTION_USERS_SHOWN`] of them, in order of their ids.
    pub users: Vec<UserId>,
}

impl ReactionSummary {
    fn size(&self) -> usize {
        let users: usize = self.users.iter().map(|user| user.as_str().len() + PART_OVERHEAD).sum();
        self.key.as_str().len() + 2 * PART_OVERHEAD + users
    }
}

/// A reaction's key: 1 to 64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReactionKey(Arc<str>);

impl ReactionKey {
    /// Parses and checks it.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.is_empty() || text.len() > limits::REACTION_KEY_BYTES || text.chars().any(char::is_control) {
            return Err(Violation { field: "key", rule: "1 to 64 bytes without control characters" });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An application's event. In a durable room an entry, else ephemeral.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether a service published it. A service's name may be a user's id too: nobody is the sender of what the other sent.
    pub by_service: bool,
    /// At most 100 characters.
    pub name: EventName,
    /// Events of one key merge, latest wins; `None` never merges.
    pub key: Option<EventKey>,
    /// What it carries; blank once its sender was erased.
    pub payload: Option<Content>,
}

/// An event's name: 1 to 100 characters, none of them control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventName(Arc<str>);

impl EventName {
    /// Parses and checks it.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let too_long = text.chars().nth(limits::EVENT_NAME_CHARACTERS).is_some();
        if text.is_empty() || too_long || text.chars().any(char::is_control) {
            return Err(Violation { field: "name", rule: "1 to 100 characters, no control characters" });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An event's merge key: 1 to 64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(Arc<str>);

impl EventKey {
    /// Parses and checks it.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.is_empty() || text.len() > limits::EVENT_KEY_BYTES || text.chars().any(char::is_control) {
            return Err(Violation { field: "key", rule: "1 to 64 bytes without control characters" });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
