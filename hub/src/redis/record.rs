//! The byte form of an entry: what the log keeps of it, and what nodes tell each other.
//!
//! A header of [`HEADER`] bytes (kind u8, tag u32, time i64, number u64, version u32, edited i64: 0 for never), the sender
//! after its length in one byte, then the body. The version of an event is [`EVENT_OF_SERVICE`] where a service published it, else
//! 0: who does not know that reads the event all the same. Scripts read and write the header; of the body they know where content
//! stands (see [`MESSAGE_CONTENT`]), so that they can replace and blank it. Numbers are little endian.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::domain::content::{Body, Content, Pairs, Text};
use crate::domain::entry::{Entry, EntryBody, Event, EventKey, EventName, Message, ReactionKey};
use crate::domain::member::{MembershipChange, Role};
use crate::domain::names::UserId;
use crate::domain::position::{Epoch, Seq, Tag};
use crate::domain::time::Timestamp;

use super::wire::{Malformed, Reader, put_bytes16, put_bytes32, shared, text};

/// Bytes before the sender.
pub const HEADER: usize = 33;
/// Set in a message's `reply_to` where a service sent it: no place is as high.
const BY_SERVICE: u64 = 1 << 63;
/// The version of an event that a service published.
const EVENT_OF_SERVICE: u32 = 1;
/// Where a message's content stands in its body: after `reply_to`; its length first. Attributes follow.
pub const MESSAGE_CONTENT: usize = 8;

/// What an entry is, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// reply_to u64 (0: none; the highest bit: a service sent it), content, attributes.
    Message = 1,
    /// target u64, content.
    Edit = 2,
    /// target u64.
    Deletion = 3,
    /// target u64, add u8, key.
    Reaction = 4,
    /// change u8, role u8, user.
    Membership = 5,
    /// created u8, metadata.
    Room = 6,
    /// content, key (length u8; 0: none), name.
    Event = 7,
}

/// What kind of entry a body makes.
pub fn kind(body: &EntryBody) -> Kind {
    match body {
        EntryBody::Message(_) => Kind::Message,
        EntryBody::Edit { .. } => Kind::Edit,
        EntryBody::Deletion { .. } => Kind::Deletion,
        EntryBody::Reaction { .. } => Kind::Reaction,
        EntryBody::Membership { .. } => Kind::Membership,
        EntryBody::Room { .. } => Kind::Room,
        EntryBody::Event(_) => Kind::Event,
    }
}

/// The byte form of a body.
pub fn encode_body(body: &EntryBody) -> Vec<u8> {
    let mut to = Vec::with_capacity(64);
    match body {
        EntryBody::Message(message) => {
            let service = if message.by_service { BY_SERVICE } else { 0 };
            to.extend_from_slice(&(message.reply_to.unwrap_or_default().0 | service).to_le_bytes());
            put_content(&mut to, message.content.as_ref());
            put_pairs(&mut to, &message.attributes);
        }
        EntryBody::Edit { target, content, .. } => {
            to.extend_from_slice(&target.0.to_le_bytes());
            put_content(&mut to, content.as_ref());
        }
        EntryBody::Deletion { target } => to.extend_from_slice(&target.0.to_le_bytes()),
        EntryBody::Reaction { target, key, add } => {
            to.extend_from_slice(&target.0.to_le_bytes());
            to.push(u8::from(*add));
            to.extend_from_slice(key.as_str().as_bytes());
        }
        EntryBody::Membership { user, change, role } => {
            to.extend_from_slice(&[*change as u8, *role as u8]);
            to.extend_from_slice(user.as_str().as_bytes());
        }
        EntryBody::Room { created, metadata } => {
            to.push(u8::from(*created));
            put_pairs(&mut to, metadata);
        }
        EntryBody::Event(event) => {
            put_content(&mut to, event.payload.as_ref());
            let key = event.key.as_ref().map_or("", EventKey::as_str);
            to.push(key.len() as u8);
            to.extend_from_slice(key.as_bytes());
            to.extend_from_slice(event.name.as_str().as_bytes());
        }
    }
    to
}

/// The version that an entry has from the beginning; of messages and edits the store gives it.
pub fn first_version(body: &EntryBody) -> u32 {
    match body {
        EntryBody::Event(event) if event.by_service => EVENT_OF_SERVICE,
        _ => 0,
    }
}

/// The byte form of an entry.
pub fn encode(entry: &Entry) -> Vec<u8> {
    let (version, edited) = match &entry.body {
        EntryBody::Message(message) => (message.version, message.edited),
        EntryBody::Edit { version, .. } => (*version, None),
        other => (first_version(other), None),
    };
    let mut to = Vec::with_capacity(HEADER + 96);
    to.push(kind(&entry.body) as u8);
    to.extend_from_slice(&entry.tag.0.to_le_bytes());
    to.extend_from_slice(&entry.time.millis().to_le_bytes());
    to.extend_from_slice(&entry.number.to_le_bytes());
    to.extend_from_slice(&version.to_le_bytes());
    to.extend_from_slice(&edited.map_or(0, Timestamp::millis).to_le_bytes());
    to.push(entry.sender.as_str().len() as u8);
    to.extend_from_slice(entry.sender.as_str().as_bytes());
    to.extend_from_slice(&encode_body(&entry.body));
    to
}

/// Reads an entry's byte form. Reactions are kept elsewhere: there are none in it.
pub fn decode(epoch: Epoch, seq: Seq, bytes: &[u8]) -> Result<Entry, Malformed> {
    let mut from = Reader::new(bytes);
    let kind = from.u8()?;
    let tag = Tag(from.u32()?);
    let time = Timestamp(from.i64()?);
    let number = from.u64()?;
    let version = from.u32()?;
    let edited = from.i64()?;
    let sender = from.u8()?;
    let sender = user(from.take(sender.into())?)?;
    let edited = (edited != 0).then_some(Timestamp(edited));
    let body = decode_body(kind, (version, edited), from)?;
    Ok(Entry { epoch, seq, tag, time, sender, number, body })
}

fn decode_body(
    kind: u8,
    (version, edited): (u32, Option<Timestamp>),
    mut from: Reader<'_>,
) -> Result<EntryBody, Malformed> {
    Ok(match kind {
        1 => {
            let first = from.u64()?;
            let reply_to = first & !BY_SERVICE;
            EntryBody::Message(Message {
                by_service: first & BY_SERVICE != 0,
                content: take_content(&mut from)?,
                reply_to: (reply_to != 0).then_some(Seq(reply_to)),
                attributes: take_pairs(&mut from)?,
                version,
                edited,
                reactions: Vec::new(),
                reactions_total: 0,
            })
        }
        2 => EntryBody::Edit { target: Seq(from.u64()?), content: take_content(&mut from)?, version },
        3 => EntryBody::Deletion { target: Seq(from.u64()?) },
        4 => {
            let (target, add) = (Seq(from.u64()?), from.u8()? != 0);
            let key = ReactionKey::parse(text(from.rest())?).map_err(|_| Malformed("reaction"))?;
            EntryBody::Reaction { target, key, add }
        }
        5 => {
            let change = MembershipChange::from_number(from.u8()?).ok_or(Malformed("membership"))?;
            let role = Role::from_number(from.u8()?).ok_or(Malformed("role"))?;
            EntryBody::Membership { user: user(from.rest())?, change, role }
        }
        6 => EntryBody::Room { created: from.u8()? != 0, metadata: take_pairs(&mut from)? },
        7 => {
            let payload = take_content(&mut from)?;
            let key = from.u8()?;
            let key = text(from.take(key.into())?)?;
            let name = EventName::parse(text(from.rest())?).map_err(|_| Malformed("event name"))?;
            let key = (!key.is_empty()).then(|| EventKey::parse(key)).transpose();
            let key = key.map_err(|_| Malformed("event key"))?;
            EntryBody::Event(Event { by_service: version == EVENT_OF_SERVICE, name, key, payload })
        }
        _ => return Err(Malformed("an entry of an unknown kind")),
    })
}

fn user(bytes: &[u8]) -> Result<UserId, Malformed> {
    UserId::parse(text(bytes)?).map_err(|_| Malformed("user"))
}

/// Writes content after its length; none is the length 0.
pub(super) fn put_content(to: &mut Vec<u8>, content: Option<&Content>) {
    put_bytes32(to, &content.map(encode_content).unwrap_or_default());
}

/// The byte form of content: is text u8, media type (length u8), the rest is the body.
pub fn encode_content(content: &Content) -> Vec<u8> {
    let bytes = content.as_bytes();
    let media_type = content.media_type.as_bytes();
    let mut to = Vec::with_capacity(2 + media_type.len() + bytes.len());
    to.push(u8::from(matches!(content.body, Body::Text(_))));
    to.push(media_type.len() as u8);
    to.extend_from_slice(media_type);
    to.extend_from_slice(bytes);
    to
}

pub(super) fn take_content(from: &mut Reader<'_>) -> Result<Option<Content>, Malformed> {
    let bytes = from.bytes32()?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut from = Reader::new(bytes);
    let is_text = from.u8()? != 0;
    let media_type = from.u8()?;
    let media_type = shared(from.take(media_type.into())?)?;
    let body = if is_text {
        Body::Text(Text::from(text(from.rest())?))
    } else {
        Body::Data(Bytes::copy_from_slice(from.rest()))
    };
    Ok(Some(Content { body, media_type }))
}

/// The byte form of pairs: each key and value after its length in two bytes.
pub fn encode_pairs(pairs: &Pairs) -> Vec<u8> {
    let mut to = Vec::with_capacity(pairs.size());
    put_pairs(&mut to, pairs);
    to
}

/// Reads what [`encode_pairs`] wrote.
pub fn decode_pairs(bytes: &[u8]) -> Result<Pairs, Malformed> {
    take_pairs(&mut Reader::new(bytes))
}

fn put_pairs(to: &mut Vec<u8>, pairs: &Pairs) {
    for (key, value) in pairs.as_map() {
        put_bytes16(to, key.as_bytes());
        put_bytes16(to, value.as_bytes());
    }
}

/// Takes all that is left.
fn take_pairs(from: &mut Reader<'_>) -> Result<Pairs, Malformed> {
    let mut pairs = BTreeMap::new();
    while !from.is_empty() {
        pairs.insert(from.text16()?.to_owned(), from.text16()?.to_owned());
    }
    Ok(Pairs::stored(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(by_service: bool) -> Entry {
        let name = EventName::parse("moved").expect("a name");
        let key = Some(EventKey::parse("cursor").expect("a key"));
        Entry {
            epoch: Epoch(1),
            seq: Seq(2),
            tag: Tag(3),
            time: Timestamp(4),
            sender: UserId::parse("billing").expect("an id"),
            number: 5,
            body: EntryBody::Event(Event { by_service, name, key, payload: None }),
        }
    }

    /// Nodes of before read the body, and pass over an event's version.
    #[test]
    fn a_services_event_reads_as_an_event_where_nobody_looks_for_services() {
        let (of_service, of_user) = (event(true), event(false));
        assert_eq!(encode_body(&of_service.body), encode_body(&of_user.body));
        for entry in [of_service, of_user] {
            assert_eq!(decode(entry.epoch, entry.seq, &encode(&entry)).expect("it is whole"), entry);
        }
    }
}
