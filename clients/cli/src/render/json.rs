//! JSON objects of what comes. Fields are named as in the protocol; an entry's header stands among them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_client::{Event, v1};
use serde_json::{Map, Value, json};

/// An event with its `type`.
pub(crate) fn event(event: &Event) -> Value {
    let (kind, fields) = fields(event);
    let mut object = Map::from_iter([("type".to_owned(), Value::from(kind))]);
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

fn fields(event: &Event) -> (&'static str, Value) {
    match event {
        Event::Connected(c) => {
            ("connected", json!({"session": c.session, "user": c.user, "tenant": c.tenant}))
        }
        Event::Disconnected(d) => {
            let code = d.code.as_ref().map(|code| code.name().to_owned());
            ("disconnected", json!({"code": code, "reason": d.reason, "will_reconnect": d.will_reconnect()}))
        }
        Event::Truncated { room } => ("truncated", json!({"room": room})),
        Event::InboxTruncated => ("inbox_truncated", json!({})),
        Event::GoingAway { reconnect_after } => {
            ("going_away", json!({"reconnect_after_ms": reconnect_after.as_millis() as u64}))
        }
        Event::Joined(j) => ("joined", joined(j)),
        Event::Left(l) => ("left", json!({"room": l.room, "reason": l.reason().as_str_name()})),
        Event::Gap(g) => ("gap", json!({"room": g.room, "from": g.from, "to": g.to})),
        Event::Occupancy(o) => ("occupancy", json!({"room": o.room, "count": o.count})),
        Event::Unread(u) => ("unread", json!({"room": u.room, "count": u.count, "last_seq": u.last_seq})),
        Event::Marks(m) => ("marks", marks(m)),
        Event::Typing(t) => ("typing", json!({"room": t.room, "user": t.user, "active": t.active})),
        Event::Presence(p) => {
            let mut value = presence(&p.state.clone().unwrap_or_default());
            value["room"] = json!(p.room);
            value["reason"] = json!(p.reason().as_str_name());
            ("presence", value)
        }
        Event::Notification(n) => ("notification", notification(n)),
        Event::NotificationState(s) => (
            "notification_state",
            json!({"ids": s.ids, "read": s.read, "deleted": s.deleted, "inbox_unread": s.inbox_unread}),
        ),
        Event::InboxUnread(u) => ("inbox_unread", json!({"count": u.count, "critical": u.critical})),
        entry => entry_fields(entry),
    }
}

fn entry_fields(event: &Event) -> (&'static str, Value) {
    match event {
        Event::Message(m) => ("message", message(m)),
        Event::MessageEdited(m) => {
            let fields = json!({"target_seq": m.target_seq, "version": m.version});
            ("message_edited", with_content(entry(&m.room, m.header.as_ref(), fields), m.content.as_ref()))
        }
        Event::MessageDeleted(m) => {
            ("message_deleted", entry(&m.room, m.header.as_ref(), json!({"target_seq": m.target_seq})))
        }
        Event::Reaction(r) => {
            let fields = json!({"target_seq": r.target_seq, "key": r.key, "add": r.add});
            ("reaction", entry(&r.room, r.header.as_ref(), fields))
        }
        Event::Membership(m) => {
            let fields = json!({"user": m.user, "change": m.change().as_str_name(), "role": role(m.role())});
            ("membership", entry(&m.room, m.header.as_ref(), fields))
        }
        Event::RoomChanged(r) => {
            let fields = json!({"metadata": r.metadata, "created": r.created});
            ("room_changed", entry(&r.room, r.header.as_ref(), fields))
        }
        Event::Event(e) => {
            let fields = json!({"name": e.name, "key": e.key, "by_service": e.by_service});
            ("event", with_content(entry(&e.room, e.header.as_ref(), fields), e.payload.as_ref()))
        }
        _ => ("unknown", json!({})),
    }
}

/// A message, as pushed or as listed.
pub(crate) fn message(m: &v1::Message) -> Value {
    let reactions: Vec<_> =
        m.reactions.iter().map(|r| json!({"key": r.key, "users": r.users, "count": r.count})).collect();
    let fields = json!({
        "number": m.number, "reply_to": m.reply_to, "attributes": m.attributes, "version": m.version,
        "deleted": m.deleted, "edited_time_ms": m.edited_time_ms, "reactions": reactions,
        "by_service": m.by_service,
    });
    with_content(entry(&m.room, m.header.as_ref(), fields), m.content.as_ref())
}

fn entry(room: &str, header: Option<&v1::EntryHeader>, mut fields: Value) -> Value {
    let header = header.cloned().unwrap_or_default();
    fields["room"] = json!(room);
    fields["seq"] = json!(header.seq);
    fields["epoch"] = json!(header.epoch);
    fields["tag"] = json!(header.tag);
    fields["time_ms"] = json!(header.time_ms);
    fields["sender"] = json!(header.sender);
    fields
}

fn with_content(mut value: Value, content: Option<&v1::Content>) -> Value {
    let Some(content) = content else { return value };
    match &content.body {
        Some(v1::content::Body::Text(text)) => value["text"] = json!(text),
        Some(v1::content::Body::Data(data)) => value["data_base64"] = json!(STANDARD.encode(data)),
        None => {}
    }
    if !content.media_type.is_empty() {
        value["media_type"] = json!(content.media_type);
    }
    value
}

/// A place in a log.
pub(crate) fn position(position: Option<v1::Position>) -> Value {
    position.map_or(Value::Null, |p| json!({"epoch": p.epoch, "seq": p.seq, "tag": p.tag}))
}

/// The reply to a command that wrote an entry.
pub(crate) fn accepted(accepted: &v1::EntryAccepted) -> Value {
    json!({
        "position": position(accepted.position), "time_ms": accepted.time_ms, "duplicate": accepted.duplicate,
        "version": accepted.version,
    })
}

/// The reply to a message.
pub(crate) fn sent(sent: &v1::MessageSent) -> Value {
    let seq = sent.position.unwrap_or_default().seq;
    json!({"seq": seq, "number": sent.number, "time_ms": sent.time_ms, "duplicate": sent.duplicate})
}

fn joined(joined: &v1::Joined) -> Value {
    json!({
        "room": joined.room, "position": position(joined.position), "recovered": joined.recovered,
        "truncated": joined.truncated, "marks": joined.marks.as_ref().map(marks), "occupancy": joined.occupancy,
        "role": role(joined.role()), "presence": joined.presence.iter().map(presence).collect::<Vec<_>>(),
        "reason": joined.reason().as_str_name(),
    })
}

fn marks(marks: &v1::Marks) -> Value {
    json!({"room": marks.room, "user": marks.user, "delivered": marks.delivered, "read": marks.read})
}

/// How one user is.
pub(crate) fn presence(state: &v1::PresenceState) -> Value {
    json!({
        "user": state.user, "status": state.status().as_str_name(), "text": state.text,
        "last_active_ms": state.last_active_ms, "devices": state.devices,
    })
}

/// A notification.
pub(crate) fn notification(n: &v1::Notification) -> Value {
    let value = json!({
        "id": n.id, "kind": n.kind, "title": n.title, "priority": n.priority().as_str_name(), "data": n.data,
        "sender": n.sender, "time_ms": n.time_ms, "read": n.read, "expires_ms": n.expires_ms,
    });
    with_content(value, n.body.as_ref())
}

/// A member.
pub(crate) fn member(member: &v1::Member) -> Value {
    json!({"user": member.user, "role": role(member.role())})
}

/// A room as its member sees it.
pub(crate) fn room_summary(room: &v1::RoomSummary) -> Value {
    json!({
        "room": room.room, "head": position(room.head), "head_number": room.head_number, "unread": room.unread,
        "marks": room.marks.as_ref().map(marks), "last_message": room.last_message.as_ref().map(message),
        "role": role(room.role()), "metadata": room.metadata, "peer": room.peer, "version": room.version,
    })
}

/// A room as the administration sees it.
pub(crate) fn room(room: &v1::Room) -> Value {
    json!({
        "room": room.room, "head": position(room.head), "head_number": room.head_number, "members": room.members,
        "metadata": room.metadata, "version": room.version,
    })
}

/// An open session.
pub(crate) fn session(session: &v1::SessionInfo) -> Value {
    json!({
        "session": session.session, "user": session.user, "instance": session.instance, "client": session.client,
        "connected_ms": session.connected_ms, "last_active_ms": session.last_active_ms, "rooms": session.rooms,
        "token_expires_ms": session.token_expires_ms, "address": session.address, "agent": session.agent,
        "origin": session.origin,
    })
}

fn role(role: v1::Role) -> Value {
    match role {
        v1::Role::Unspecified => Value::Null,
        role => Value::from(super::text::role(role)),
    }
}
