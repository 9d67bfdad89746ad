//! What frames say, read back as a client reads them.
#![expect(clippy::unnecessary_wraps, reason = "the fields of generated types are options")]

mod entries;
mod pushes;
mod replies;

use std::sync::Arc;

use carillon_proto::v1::session_response::Kind;
use carillon_proto::{Frame, v1};
use prost::Message as _;

use super::ProtobufEncoder;
use crate::delivery::encoder::FrameEncoder;
use crate::domain::content::{Content, Pairs};
use crate::domain::entry::{Entry, EntryBody, Event, EventKey, EventName, Message};
use crate::domain::inbox::{InboxPlace, InboxSummary, Notice, Notification, NotificationKind, Priority};
use crate::domain::marks::Marks;
use crate::domain::names::{NotificationId, RoomName, UserId};
use crate::domain::position::{Epoch, InboxPosition, Position, Seq, Tag};
use crate::domain::presence::{Status, UserState};
use crate::domain::push::Push;
use crate::domain::reply::Reply;
use crate::domain::time::Timestamp;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn encoder() -> ProtobufEncoder {
    ProtobufEncoder::new(|| NOW)
}

fn response(frame: &Frame) -> v1::SessionResponse {
    v1::SessionResponse::decode(frame.message()).unwrap()
}

fn replied(reply: &Reply) -> Kind {
    let response = response(&encoder().reply(7, reply));
    assert_eq!(response.command_id, 7);
    response.kind.unwrap()
}

fn pushed(push: &Push) -> Kind {
    let response = response(&encoder().push(push));
    assert_eq!(response.command_id, 0);
    response.kind.unwrap()
}

fn room() -> RoomName {
    RoomName::parse("conversation:1").unwrap()
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn position() -> Position {
    Position { epoch: Epoch(3), seq: Seq(7), tag: Tag(0xfeed) }
}

fn wire_position() -> Option<v1::Position> {
    Some(v1::Position { epoch: 3, seq: 7, tag: 0xfeed })
}

fn entry(body: EntryBody) -> Entry {
    let Position { epoch, seq, tag } = position();
    Entry { epoch, seq, tag, time: NOW, sender: user("alice"), number: 5, body }
}

fn header() -> Option<v1::EntryHeader> {
    let sender = "alice".to_owned();
    Some(v1::EntryHeader { seq: 7, tag: 0xfeed, epoch: 3, time_ms: NOW.millis(), sender })
}

fn message() -> Message {
    let attributes = [("b", "2"), ("a", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let attributes = Pairs::stored(attributes.into());
    Message::new(Content::text("hello", "").unwrap(), Some(Seq(2)), attributes)
}

fn wire_text(text: &str) -> Option<v1::Content> {
    let body = Some(v1::content::Body::Text(text.to_owned()));
    Some(v1::Content { body, media_type: String::new() })
}

fn event() -> Event {
    Event {
        by_service: false,
        name: EventName::parse("moved").unwrap(),
        key: Some(EventKey::parse("cursor").unwrap()),
        payload: Some(Content::data(vec![1, 2].into(), "application/x-moves").unwrap()),
    }
}

fn marks() -> Marks {
    Marks { delivered: Seq(6), read: Seq(4), read_number: 3 }
}

fn wire_marks() -> v1::Marks {
    v1::Marks { room: "conversation:1".into(), user: "alice".into(), delivered: 6, read: 4 }
}

fn state() -> UserState {
    UserState { user: user("bob"), status: Status::Away, text: "lunch".into(), last_active: NOW, devices: 2 }
}

fn wire_state() -> v1::PresenceState {
    v1::PresenceState {
        user: "bob".into(),
        status: v1::PresenceStatus::Away.into(),
        text: "lunch".into(),
        last_active_ms: NOW.millis(),
        devices: 2,
    }
}

fn notification() -> Notification {
    let notice = Notice {
        id: NotificationId::parse("n1").unwrap(),
        kind: NotificationKind::parse("reminder").unwrap(),
        title: "take it".into(),
        body: Some(Content::text("now", "").unwrap()),
        priority: Priority::Critical,
        data: Pairs::stored([("dose".to_owned(), "1".to_owned())].into()),
        sender: user("clinic"),
        expires: None,
    };
    Notification { notice: Arc::new(notice), place: InboxPlace::Broadcast(Seq(9)), time: NOW, read: true }
}

fn wire_notification(own: u64, broadcast: u64) -> v1::Notification {
    v1::Notification {
        id: "n1".into(),
        position: Some(v1::InboxPosition { own, broadcast, epoch: 3 }),
        kind: "reminder".into(),
        title: "take it".into(),
        body: wire_text("now"),
        priority: v1::NotificationPriority::Critical.into(),
        data: [("dose".to_owned(), "1".to_owned())].into(),
        sender: "clinic".into(),
        time_ms: NOW.millis(),
        read: true,
        expires_ms: 0,
    }
}

fn summary() -> InboxSummary {
    let head = InboxPosition { epoch: Epoch(3), own: Seq(4), broadcast: Seq(9) };
    InboxSummary { head, unread: 12, critical: 1 }
}
