//! What goes over the bus, as bytes.
//!
//! Little endian: version u8, kind u8, the publisher's id u64, the store's epoch u64, then by kind. What the store publishes
//! (1 to 4, 6, 7, 12, and 10 of members) is written by it ([`crate::redis::message`]), what nodes say to each other (9 to 11,
//! 13, 14) here. A later version only adds kinds, or bytes after those of a kind; where it must do otherwise it says another
//! version, and whoever cannot read that knows at least that something happened, and asks the store.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::sessions::Batch;
use crate::domain::entry::Entry;
use crate::domain::inbox::Notice;
use crate::domain::marks::Marks;
use crate::domain::names::{InstanceId, RoomName, SessionId, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, Seq, Tag};
use crate::domain::time::Timestamp;
use crate::redis::message::{self, VERSION};
use crate::redis::{Malformed, Reader, notice, put_bytes16, put_bytes32, record};

pub use crate::redis::message::Head;

/// Which followers of a room something live is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum For {
    /// All who follow the topic, or all sessions of its user.
    All,
    /// All but a session.
    Except(SessionId),
    /// All but a user.
    Others(UserId),
    /// Those that asked for presence.
    PresenceFollowers,
}

/// Something that is in no log, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// For whom.
    pub to: For,
    /// A hash of what it is about: of those that wait the latest stays.
    pub merge: Option<u64>,
    /// Whether it tells of the hub's own state.
    pub of_state: bool,
    /// The encoded message.
    pub message: Bytes,
}

/// What one node wants of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A user has become a member of a room, or is none any more: on the user's topic.
    Member {
        /// The room.
        room: RoomName,
        /// Whether they are one now.
        is_member: bool,
    },
    /// A newer session of an instance has taken over: older ones end. On the user's topic.
    Replaced {
        /// The tab or process.
        instance: InstanceId,
        /// The newer session.
        by: SessionId,
        /// When it was let in, by the registry's clock in microseconds; 0 where that is not known.
        at: u64,
    },
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// An entry of a room's log, with the tag of the one before it.
    Entry(Arc<Entry>, Tag),
    /// A user's marks in a room.
    Marks(UserId, Marks),
    /// A notification in a user's own log, or in the tenant's: the topic says which.
    Notice(Seq, Timestamp, Arc<Notice>),
    /// The log has got at least this far.
    Reached(Seq),
    /// Tokens are good no more: the store says which.
    Revoked,
    /// A user's content was blanked.
    Erased(UserKey),
    /// To be passed on as it is.
    Live(Live),
    /// To be acted on.
    Control(Control),
    /// Another node's sessions of a tenant: on the tenant's topic. A [`Batch`].
    Sessions(Bytes),
    /// Something that all nodes are asked, by its number at the asker: on the hub's topic.
    Question(u64, Bytes),
    /// What one answers, to which asker and question: on the hub's topic.
    Answer((u64, u64), Bytes),
    /// Of a kind that is not known here: a later version's.
    Unknown,
}

/// What can be said of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// They were read.
    Read(Head, Body),
    /// A node published them that is this one. Of what has a place in a log: that, and of an entry the tag of the one before.
    Own(Option<(Seq, Option<Tag>)>),
    /// They are of another version.
    Foreign,
}

/// Reads what came. `own` is this node's id: of what it published itself no more is read than is needed.
pub fn read(bytes: &Bytes, own: u64) -> Result<Envelope, Malformed> {
    let mut from = Reader::new(bytes);
    if from.u8()? != VERSION {
        return Ok(Envelope::Foreign);
    }
    let kind = from.u8()?;
    let head = Head { node: from.u64()?, epoch: Epoch(from.u64()?) };
    if head.node == own {
        let place = match kind {
            1 => Some((Seq(from.u64()?), Some(Tag(from.u32()?)))),
            3 | 4 | 12 => Some((Seq(from.u64()?), None)),
            _ => None,
        };
        return Ok(Envelope::Own(place));
    }
    let body = match kind {
        1 => {
            let (seq, previous) = (Seq(from.u64()?), Tag(from.u32()?));
            Body::Entry(Arc::new(record::decode(head.epoch, seq, from.rest())?), previous)
        }
        2 => {
            let user = user(&mut from)?;
            let (delivered, read) = (Seq(from.u64()?), Seq(from.u64()?));
            Body::Marks(user, Marks { delivered, read, read_number: from.u64()? })
        }
        3 | 4 => {
            let (seq, time) = (Seq(from.u64()?), Timestamp(from.i64()?));
            Body::Notice(seq, time, notice::decode(from.rest())?)
        }
        6 => Body::Revoked,
        7 => {
            let tenant = TenantId::parse(from.text16()?).map_err(|_| Malformed("tenant"))?;
            Body::Erased(UserKey { tenant, user: user(&mut from)? })
        }
        9 => Body::Live(read_live(from, bytes)?),
        10 => read_control(from)?,
        11 => Body::Sessions(bytes.slice_ref(from.rest())),
        12 => Body::Reached(Seq(from.u64()?)),
        13 => Body::Question(from.u64()?, bytes.slice_ref(from.bytes32()?)),
        14 => Body::Answer((from.u64()?, from.u64()?), bytes.slice_ref(from.bytes32()?)),
        _ => Body::Unknown,
    };
    Ok(Envelope::Read(head, body))
}

fn user(from: &mut Reader<'_>) -> Result<UserId, Malformed> {
    UserId::parse(from.text16()?).map_err(|_| Malformed("user"))
}

fn read_live(mut from: Reader<'_>, bytes: &Bytes) -> Result<Live, Malformed> {
    let to = match from.u8()? {
        1 => For::All,
        2 => For::Except(session(&mut from)?),
        3 => For::Others(user(&mut from)?),
        4 => For::PresenceFollowers,
        _ => return Err(Malformed("for whom")),
    };
    let flags = from.u8()?;
    let merge = from.u64()?;
    let merge = (flags & HAS_MERGE != 0).then_some(merge);
    let message = bytes.slice_ref(from.bytes32()?);
    Ok(Live { to, merge, of_state: flags & OF_STATE != 0, message })
}

fn read_control(mut from: Reader<'_>) -> Result<Body, Malformed> {
    let control = match from.u8()? {
        1 => {
            let room = RoomName::parse(from.text16()?).map_err(|_| Malformed("room"))?;
            Control::Member { room, is_member: from.u8()? != 0 }
        }
        2 => {
            let instance = InstanceId::parse(from.text16()?).map_err(|_| Malformed("instance"))?;
            Control::Replaced { instance, by: session(&mut from)?, at: from.u64().unwrap_or_default() }
        }
        _ => return Ok(Body::Unknown),
    };
    Ok(Body::Control(control))
}

fn session(from: &mut Reader<'_>) -> Result<SessionId, Malformed> {
    let (low, high) = (from.u64()?, from.u64()?);
    Ok(SessionId(u128::from(low) | u128::from(high) << 64))
}

const HAS_MERGE: u8 = 1;
const OF_STATE: u8 = 2;

/// Writes something live.
pub fn live(head: Head, live: &Live) -> Bytes {
    let mut to = head.begin(9, 40 + live.message.len());
    match &live.to {
        For::All => to.push(1),
        For::Except(session) => {
            to.push(2);
            to.extend_from_slice(&session.0.to_le_bytes());
        }
        For::Others(user) => {
            to.push(3);
            put_bytes16(&mut to, user.as_str().as_bytes());
        }
        For::PresenceFollowers => to.push(4),
    }
    let merge = if live.merge.is_some() { HAS_MERGE } else { 0 };
    to.push(merge | if live.of_state { OF_STATE } else { 0 });
    to.extend_from_slice(&live.merge.unwrap_or_default().to_le_bytes());
    let mut to = BytesMut::from(Bytes::from(to));
    to.put_u32_le(live.message.len() as u32);
    to.extend_from_slice(&live.message);
    to.freeze()
}

/// Writes a control message.
pub fn control(head: Head, control: &Control) -> Bytes {
    let mut to = head.begin(10, 64);
    match control {
        Control::Member { room, is_member } => return message::member(head, room, *is_member).into(),
        Control::Replaced { instance, by, at } => {
            to.push(2);
            put_bytes16(&mut to, instance.as_str().as_bytes());
            to.extend_from_slice(&by.0.to_le_bytes());
            to.extend_from_slice(&at.to_le_bytes());
        }
    }
    to.into()
}

/// Writes what has changed among this node's sessions of a tenant.
pub fn sessions(head: Head, batch: &Batch) -> Bytes {
    let mut to = head.begin(11, 64 + batch.told.len() * 128);
    batch.encode(&mut to);
    to.into()
}

/// Writes a question to all nodes, with its number here.
pub fn question(head: Head, id: u64, question: &[u8]) -> Bytes {
    let mut to = head.begin(13, 12 + question.len());
    to.extend_from_slice(&id.to_le_bytes());
    put_bytes32(&mut to, question);
    to.into()
}

/// Writes an answer to a node's question.
pub fn answer(head: Head, (asker, id): (u64, u64), answer: &[u8]) -> Bytes {
    let mut to = head.begin(14, 20 + answer.len());
    to.extend_from_slice(&asker.to_le_bytes());
    to.extend_from_slice(&id.to_le_bytes());
    put_bytes32(&mut to, answer);
    to.into()
}

#[cfg(test)]
mod tests;
