//! What a caller is told, as the vectors write it.

use carillon_client::v1::SessionResponse;
use carillon_client::v1::session_response::Kind;
use carillon_client::{Disconnected, Event};
use serde_json::{Value, json};

/// One event: an object whose only field is the event's name.
pub fn told(event: Event) -> Value {
    match event {
        Event::Disconnected(how) => disconnected(&how),
        Event::Truncated { room } => json!({ "truncated": { "room": room } }),
        Event::InboxTruncated => json!({ "inboxTruncated": {} }),
        Event::GoingAway { reconnect_after } => {
            json!({ "goingAway": { "reconnectAfterMs": reconnect_after.as_millis() } })
        }
        event => of_kind(kind(event)),
    }
}

/// A reply or push alone.
pub fn of_kind(kind: Kind) -> Value {
    serde_json::to_value(SessionResponse { command_id: 0, kind: Some(kind) }).unwrap()
}

fn disconnected(how: &Disconnected) -> Value {
    let after = how.reconnect_after.map(|after| u64::try_from(after.as_millis()).unwrap());
    let code = how.code.as_ref().map(carillon_client::Code::name);
    json!({ "disconnected": { "code": code, "reconnect": how.will_reconnect(), "afterMs": after } })
}

/// The push that an event was.
fn kind(event: Event) -> Kind {
    match event {
        Event::Connected(connected) => Kind::Connected((*connected).clone()),
        Event::Joined(joined) => Kind::Joined(*joined),
        Event::Left(left) => Kind::Left(left),
        Event::Gap(gap) => Kind::Gap(gap),
        Event::Occupancy(occupancy) => Kind::Occupancy(occupancy),
        Event::Unread(unread) => Kind::Unread(*unread),
        Event::Message(message) => Kind::Message(*message),
        Event::MessageEdited(edited) => Kind::MessageEdited(*edited),
        Event::MessageDeleted(deleted) => Kind::MessageDeleted(deleted),
        Event::Reaction(reaction) => Kind::Reaction(reaction),
        Event::Membership(membership) => Kind::Membership(membership),
        Event::RoomChanged(changed) => Kind::RoomChanged(changed),
        Event::Event(event) => Kind::Event(*event),
        Event::Marks(marks) => Kind::Marks(marks),
        Event::Typing(typing) => Kind::Typing(typing),
        Event::Presence(presence) => Kind::Presence(presence),
        Event::Notification(notification) => Kind::Notification(*notification),
        Event::NotificationState(state) => Kind::NotificationState(state),
        Event::InboxUnread(unread) => Kind::InboxUnread(unread),
        other => panic!("an event that the vectors have no name for: {other:?}"),
    }
}
