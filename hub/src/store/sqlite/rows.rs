//! Entries as rows, and back. Columns stay readable with everyday tools: text is TEXT, data is BLOB, pairs are JSON.

use std::collections::BTreeMap;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, Statement};

use crate::domain::content::{Body, Content, Pairs, TEXT_MEDIA_TYPES};
use crate::domain::entry::{Entry, EntryBody, Event, EventKey, EventName, Message, ReactionKey};
use crate::domain::member::{MembershipChange, Role};
use crate::domain::names::UserId;
use crate::domain::position::{Epoch, Seq, Tag};
use crate::domain::time::Timestamp;

use super::engine::{EngineError, Result};

/// An entry's columns in `log`, and in `journal` after its id.
pub(super) const COLUMNS: &str = "room, seq, tag, kind, sender, number, time, target, version, edited, name, key, \
                                  media_type, content, attributes";

/// Kinds of rows. They are in files: never change one. 0 is no entry (see [`schema`](super::schema)).
pub(super) const MESSAGE: i64 = 1;
pub(super) const EDIT: i64 = 2;
pub(super) const DELETION: i64 = 3;
pub(super) const REACTION: i64 = 4;
pub(super) const MEMBERSHIP: i64 = 5;
pub(super) const ROOM: i64 = 6;
pub(super) const EVENT: i64 = 7;

/// What a message of a service has as its name.
const SERVICE: &str = "service";

/// What a message has as its name: who sent it, where that is a service.
pub(super) fn mark_of(message: &Message) -> Option<&'static str> {
    message.by_service.then_some(SERVICE)
}

/// What of a body goes to which column.
#[derive(Default)]
struct Columns<'a> {
    kind: i64,
    target: Option<i64>,
    version: Option<i64>,
    edited: Option<i64>,
    name: Option<&'a str>,
    key: Option<&'a str>,
    content: Option<&'a Content>,
    attributes: Option<&'a Pairs>,
}

impl<'a> Columns<'a> {
    fn of(body: &'a EntryBody, member: Option<i64>) -> Self {
        let target = |seq: &Seq| Some(seq.0 as i64);
        match body {
            EntryBody::Message(message) => Self {
                kind: MESSAGE,
                target: message.reply_to.map(|seq| seq.0 as i64),
                version: Some(i64::from(message.version)),
                edited: message.edited.map(Timestamp::millis),
                name: mark_of(message),
                content: message.content.as_ref(),
                attributes: Some(&message.attributes),
                ..Self::default()
            },
            EntryBody::Edit { target: seq, content, version } => Self {
                kind: EDIT,
                target: target(seq),
                version: Some(i64::from(*version)),
                content: content.as_ref(),
                ..Self::default()
            },
            EntryBody::Deletion { target: seq } => {
                Self { kind: DELETION, target: target(seq), ..Self::default() }
            }
            EntryBody::Reaction { target: seq, key, add } => Self {
                kind: REACTION,
                target: target(seq),
                version: Some(i64::from(*add)),
                name: Some(key.as_str()),
                ..Self::default()
            },
            EntryBody::Membership { change, role, .. } => Self {
                kind: MEMBERSHIP,
                target: member,
                version: Some(*role as i64),
                name: Some(change_name(*change)),
                ..Self::default()
            },
            EntryBody::Room { created, metadata } => Self {
                kind: ROOM,
                name: Some(if *created { "created" } else { "updated" }),
                attributes: Some(metadata),
                ..Self::default()
            },
            EntryBody::Event(event) => Self {
                kind: EVENT,
                version: event.by_service.then_some(1),
                name: Some(event.name.as_str()),
                key: event.key.as_ref().map(EventKey::as_str),
                content: event.payload.as_ref(),
                ..Self::default()
            },
        }
    }
}

/// Binds an entry's [`COLUMNS`] from parameter `first` on. `member` is the user of a membership.
pub(super) fn bind_entry(
    statement: &mut Statement<'_>,
    first: usize,
    (room, sender, member): (i64, i64, Option<i64>),
    entry: &Entry,
) -> Result<()> {
    let columns = Columns::of(&entry.body, member);
    let (media_type, content) = content_values(columns.content);
    let numbers = [
        Some(room),
        Some(entry.seq.0 as i64),
        Some(i64::from(entry.tag.0)),
        Some(columns.kind),
        Some(sender),
        Some(entry.number as i64),
        Some(entry.time.millis()),
        columns.target,
        columns.version,
        columns.edited,
    ];
    for (offset, number) in numbers.into_iter().enumerate() {
        statement.raw_bind_parameter(first + offset, number)?;
    }
    statement.raw_bind_parameter(first + 10, columns.name)?;
    statement.raw_bind_parameter(first + 11, columns.key)?;
    statement.raw_bind_parameter(first + 12, media_type)?;
    statement.raw_bind_parameter(first + 13, content)?;
    statement.raw_bind_parameter(first + 14, columns.attributes.and_then(pairs_text))?;
    Ok(())
}

/// The columns of a content: the media type (NULL for plain text) and the body.
pub(super) fn content_values(content: Option<&Content>) -> (Option<&str>, ToSqlOutput<'_>) {
    let Some(content) = content else { return (None, ToSqlOutput::Owned(Value::Null)) };
    let media_type = Some(&*content.media_type).filter(|name| *name != TEXT_MEDIA_TYPES[0]);
    let body = match &content.body {
        Body::Text(text) => ValueRef::Text(text.as_str().as_bytes()),
        Body::Data(data) => ValueRef::Blob(data),
    };
    // Data of type text/plain is told from text by its column's type.
    (media_type, ToSqlOutput::Borrowed(body))
}

/// The content that [`content_values`] wrote.
pub(super) fn read_content(media_type: ValueRef<'_>, body: ValueRef<'_>) -> Result<Option<Content>> {
    let body = match body {
        ValueRef::Null => return Ok(None),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|_| EngineError::Damaged("content is not UTF-8"))?;
            Body::Text(text.into())
        }
        ValueRef::Blob(data) => Body::Data(bytes::Bytes::copy_from_slice(data)),
        _ => return Err(EngineError::Damaged("content")),
    };
    let media_type = text_or(media_type, TEXT_MEDIA_TYPES[0])?;
    Ok(Some(Content::stored(body, media_type)))
}

fn text_or<'a>(value: ValueRef<'a>, default: &'a str) -> Result<&'a str> {
    match value {
        ValueRef::Null => Ok(default),
        ValueRef::Text(text) => std::str::from_utf8(text).map_err(|_| EngineError::Damaged("text")),
        _ => Err(EngineError::Damaged("text")),
    }
}

/// Pairs as JSON; `None` where there are none.
pub(super) fn pairs_text(pairs: &Pairs) -> Option<String> {
    if pairs.is_empty() { None } else { serde_json::to_string(pairs.as_map()).ok() }
}

/// The pairs that [`pairs_text`] wrote.
pub(super) fn read_pairs(value: ValueRef<'_>) -> Result<Pairs> {
    match value {
        ValueRef::Null => Ok(Pairs::default()),
        ValueRef::Text(text) => {
            let pairs: BTreeMap<String, String> =
                serde_json::from_slice(text).map_err(|_| EngineError::Damaged("pairs"))?;
            Ok(Pairs::stored(pairs))
        }
        _ => Err(EngineError::Damaged("pairs")),
    }
}

/// Reads a row of [`COLUMNS`]; `user` gives the name of an interned user.
pub(super) fn read_entry(
    row: &Row<'_>,
    epoch: Epoch,
    mut user: impl FnMut(i64) -> Result<UserId>,
) -> Result<Entry> {
    let member = if row.get::<_, i64>(3)? == MEMBERSHIP { Some(user(row.get(7)?)?) } else { None };
    Ok(Entry {
        epoch,
        seq: seq(row.get(1)?),
        tag: Tag(row.get::<_, i64>(2)? as u32),
        time: Timestamp(row.get(6)?),
        sender: user(row.get(4)?)?,
        number: row.get::<_, i64>(5)? as u64,
        body: read_body(row, member)?,
    })
}

fn read_body(row: &Row<'_>, member: Option<UserId>) -> Result<EntryBody> {
    let target = row.get::<_, Option<i64>>(7)?.map(seq);
    let aimed = || target.ok_or(EngineError::Damaged("target"));
    let version: i64 = row.get::<_, Option<i64>>(8)?.unwrap_or(0);
    let content = read_content(row.get_ref(12)?, row.get_ref(13)?)?;
    let name = || text_or(row.get_ref(10)?, "");
    Ok(match row.get::<_, i64>(3)? {
        MESSAGE => EntryBody::Message(Message {
            by_service: name()? == SERVICE,
            content,
            reply_to: target,
            attributes: read_pairs(row.get_ref(14)?)?,
            version: version as u32,
            edited: row.get::<_, Option<i64>>(9)?.map(Timestamp),
            reactions: Vec::new(),
            reactions_total: 0,
        }),
        EDIT => EntryBody::Edit { target: aimed()?, content, version: version as u32 },
        DELETION => EntryBody::Deletion { target: aimed()? },
        REACTION => EntryBody::Reaction {
            target: aimed()?,
            key: ReactionKey::parse(name()?).map_err(|_| EngineError::Damaged("reaction"))?,
            add: version != 0,
        },
        MEMBERSHIP => EntryBody::Membership {
            user: member.ok_or(EngineError::Damaged("member"))?,
            change: read_change(name()?)?,
            role: read_role(version)?,
        },
        ROOM => EntryBody::Room { created: name()? == "created", metadata: read_pairs(row.get_ref(14)?)? },
        EVENT => EntryBody::Event(read_event((name()?, version != 0), row.get_ref(11)?, content)?),
        _ => return Err(EngineError::Damaged("kind")),
    })
}

/// An event from its columns: its name, and whether a service published it, its key, its payload.
pub(super) fn read_event(
    (name, by_service): (&str, bool),
    key: ValueRef<'_>,
    payload: Option<Content>,
) -> Result<Event> {
    let key = match text_or(key, "")? {
        "" => None,
        key => Some(EventKey::parse(key).map_err(|_| EngineError::Damaged("event key"))?),
    };
    let name = EventName::parse(name).map_err(|_| EngineError::Damaged("event name"))?;
    Ok(Event { by_service, name, key, payload })
}

fn change_name(change: MembershipChange) -> &'static str {
    match change {
        MembershipChange::Added => "added",
        MembershipChange::Removed => "removed",
        MembershipChange::Left => "left",
        MembershipChange::RoleChanged => "role changed",
    }
}

fn read_change(name: &str) -> Result<MembershipChange> {
    Ok(match name {
        "added" => MembershipChange::Added,
        "removed" => MembershipChange::Removed,
        "left" => MembershipChange::Left,
        "role changed" => MembershipChange::RoleChanged,
        _ => return Err(EngineError::Damaged("membership change")),
    })
}

/// A role from its number.
pub(super) fn read_role(number: i64) -> Result<Role> {
    u8::try_from(number).ok().and_then(Role::from_number).ok_or(EngineError::Damaged("role"))
}

/// A place from its column.
pub(super) fn seq(number: i64) -> Seq {
    Seq(number as u64)
}
