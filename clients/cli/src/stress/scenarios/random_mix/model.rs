//! What the room must be: the log's length, each message's state, and who may do what.

use std::collections::{BTreeMap, BTreeSet};

use carillon_client::{Code, v1};

use crate::stress::fault::{Outcome, same};
use crate::stress::person::words;

/// A message as it must be.
#[derive(Clone, Debug)]
pub(super) struct Message {
    sender: String,
    text: String,
    version: u32,
    deleted: bool,
    number: u64,
    reply_to: Option<u64>,
    /// Who reacted with what.
    reactions: BTreeMap<String, BTreeSet<String>>,
}

/// The room.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Seq of the last entry.
    pub(super) head: u64,
    /// Messages by seq.
    messages: BTreeMap<u64, Message>,
    /// The seq up to which each user has read.
    read: BTreeMap<String, u64>,
    owner: String,
}

impl Model {
    /// A room with entries that are no messages.
    pub(super) fn new(head: u64, owner: &str) -> Self {
        Self { head, owner: owner.to_owned(), ..Self::default() }
    }

    /// Seqs that a command may name: those of messages, those of other entries, and some beyond.
    pub(super) fn places(&self) -> usize {
        self.head as usize + 2
    }

    /// A message is sent. Gives its seq and number; `reply_to` beyond the head is refused.
    pub(super) fn send(&mut self, user: &str, text: &str, reply_to: Option<u64>) -> Result<(u64, u64), Code> {
        if reply_to.is_some_and(|seq| seq > self.head) {
            return Err(Code::InvalidArgument);
        }
        self.head += 1;
        let number = self.messages.len() as u64 + 1;
        let message = Message {
            sender: user.to_owned(),
            text: text.to_owned(),
            version: 1,
            deleted: false,
            number,
            reply_to,
            reactions: BTreeMap::new(),
        };
        self.messages.insert(self.head, message);
        self.mark(user, self.head);
        Ok((self.head, number))
    }

    fn message(&mut self, seq: u64) -> Result<&mut Message, Code> {
        if seq > self.head {
            return Err(Code::InvalidArgument);
        }
        self.messages.get_mut(&seq).ok_or(Code::NotFound)
    }

    /// An edit; gives its seq and the message's version.
    pub(super) fn edit(
        &mut self,
        user: &str,
        seq: u64,
        text: &str,
        expected: Option<u32>,
    ) -> Result<(u64, u32), Code> {
        let message = self.message(seq)?;
        if message.sender != user {
            return Err(Code::PermissionDenied);
        }
        if message.deleted || expected.is_some_and(|version| version != message.version) {
            return Err(Code::Conflict);
        }
        text.clone_into(&mut message.text);
        message.version += 1;
        let version = message.version;
        self.head += 1;
        Ok((self.head, version))
    }

    /// A deletion; gives the seq of its entry, `None` where the message was gone already.
    pub(super) fn delete(&mut self, user: &str, seq: u64) -> Result<Option<u64>, Code> {
        let moderates = user == self.owner;
        let message = self.message(seq)?;
        if message.sender != user && !moderates {
            return Err(Code::PermissionDenied);
        }
        if std::mem::replace(&mut message.deleted, true) {
            return Ok(None);
        }
        message.reactions.clear();
        self.head += 1;
        Ok(Some(self.head))
    }

    /// A reaction; gives its seq.
    pub(super) fn react(&mut self, user: &str, seq: u64, key: &str, add: bool) -> Result<u64, Code> {
        let message = self.message(seq)?;
        if message.deleted {
            return Err(Code::Conflict);
        }
        let users = message.reactions.entry(key.to_owned()).or_default();
        if add {
            users.insert(user.to_owned());
        } else {
            users.remove(user);
        }
        message.reactions.retain(|_, users| !users.is_empty());
        self.head += 1;
        Ok(self.head)
    }

    /// A mark; gives the read mark.
    pub(super) fn mark_read(&mut self, user: &str, up_to: u64) -> Result<u64, Code> {
        if up_to == 0 || up_to > self.head {
            return Err(Code::InvalidArgument);
        }
        Ok(self.mark(user, up_to))
    }

    fn mark(&mut self, user: &str, up_to: u64) -> u64 {
        let mark = self.read.entry(user.to_owned()).or_default();
        *mark = up_to.max(*mark);
        *mark
    }

    /// Messages past the user's read mark.
    pub(super) fn unread(&self, user: &str) -> u64 {
        let read = self.read.get(user).copied().unwrap_or_default();
        self.messages.range(read + 1..).count() as u64
    }

    /// That the stored messages are these.
    pub(super) fn compare(&self, stored: &[v1::Message]) -> Outcome<()> {
        let seqs: Vec<_> = stored.iter().map(|m| m.header.as_ref().map_or(0, |header| header.seq)).collect();
        same("the stored messages", seqs, self.messages.keys().copied().collect())?;
        for (message, (seq, expected)) in stored.iter().zip(&self.messages) {
            let sender = message.header.as_ref().map(|header| header.sender.as_str());
            same(format!("sender of {seq}"), sender, Some(expected.sender.as_str()))?;
            let state = (message.number, message.deleted, message.reply_to);
            let text = if expected.deleted { "" } else { expected.text.as_str() };
            same(format!("state of {seq}"), state, (expected.number, expected.deleted, expected.reply_to))?;
            same(format!("text of {seq}"), words(message.content.as_ref()), text)?;
            if !expected.deleted {
                same(format!("version of {seq}"), message.version, expected.version)?;
            }
            let reactions: BTreeMap<_, BTreeSet<_>> = message
                .reactions
                .iter()
                .map(|summary| (summary.key.clone(), summary.users.iter().cloned().collect()))
                .collect();
            same(format!("reactions to {seq}"), &reactions, &expected.reactions)?;
        }
        Ok(())
    }
}
