//! Messages, what is done to them, marks and typing.

use carillon_proto::v1;

use super::content::{ContentPaths, content};
use super::fields::required_seq;
use crate::domain::command::{Command, Stateless};
use crate::domain::content::{ATTRIBUTES, Pairs};
use crate::domain::entry::ReactionKey;
use crate::domain::error::Refusal;
use crate::domain::names::RoomName;

impl TryFrom<v1::MessageSend> for Stateless {
    type Error = Refusal;

    fn try_from(send: v1::MessageSend) -> Result<Self, Refusal> {
        Ok(Self::MessageSend {
            room: RoomName::parse(&send.room)?,
            content: content(send.content, ContentPaths::CONTENT)?,
            reply_to: send.reply_to.map(|seq| required_seq(seq, "reply_to")).transpose()?,
            attributes: Pairs::parse(send.attributes, ATTRIBUTES)?,
        })
    }
}

impl TryFrom<v1::MessageEdit> for Stateless {
    type Error = Refusal;

    fn try_from(edit: v1::MessageEdit) -> Result<Self, Refusal> {
        Ok(Self::MessageEdit {
            room: RoomName::parse(&edit.room)?,
            seq: required_seq(edit.seq, "seq")?,
            content: content(edit.content, ContentPaths::CONTENT)?,
            expected_version: edit.expected_version,
        })
    }
}

impl TryFrom<v1::MessageDelete> for Stateless {
    type Error = Refusal;

    fn try_from(delete: v1::MessageDelete) -> Result<Self, Refusal> {
        Ok(Self::MessageDelete {
            room: RoomName::parse(&delete.room)?,
            seq: required_seq(delete.seq, "seq")?,
        })
    }
}

impl TryFrom<v1::ReactionSet> for Stateless {
    type Error = Refusal;

    fn try_from(reaction: v1::ReactionSet) -> Result<Self, Refusal> {
        Ok(Self::Reaction {
            room: RoomName::parse(&reaction.room)?,
            seq: required_seq(reaction.seq, "seq")?,
            key: ReactionKey::parse(&reaction.key)?,
            add: reaction.add,
        })
    }
}

impl TryFrom<v1::MarkDelivered> for Stateless {
    type Error = Refusal;

    fn try_from(mark: v1::MarkDelivered) -> Result<Self, Refusal> {
        Ok(Self::MarkDelivered {
            room: RoomName::parse(&mark.room)?,
            up_to: required_seq(mark.up_to, "up_to")?,
        })
    }
}

impl TryFrom<v1::MarkRead> for Stateless {
    type Error = Refusal;

    fn try_from(mark: v1::MarkRead) -> Result<Self, Refusal> {
        Ok(Self::MarkRead { room: RoomName::parse(&mark.room)?, up_to: required_seq(mark.up_to, "up_to")? })
    }
}

impl TryFrom<v1::TypingSet> for Command {
    type Error = Refusal;

    fn try_from(typing: v1::TypingSet) -> Result<Self, Refusal> {
        Ok(Self::Typing { room: RoomName::parse(&typing.room)?, active: typing.active })
    }
}
