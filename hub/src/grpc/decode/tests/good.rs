//! Commands that are accepted, and what they become.

use super::super::input;
use super::*;
use crate::domain::command::{HistoryBound, Join, Token};
use crate::domain::content::Content;
use crate::domain::inbox::{InboxChange, InboxFilter, NotificationKind, Priority};
use crate::domain::member::Role;
use crate::domain::names::{NotificationId, RoomName, UserId};
use crate::domain::position::{Epoch, InboxPosition, Position, Seq, Tag};
use crate::domain::presence::Status;
use crate::session::Input;

fn name() -> RoomName {
    RoomName::parse(ROOM).unwrap()
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

#[test]
fn a_message() {
    let Stateless::MessageSend { room, content, reply_to, attributes } =
        stateless(SessionMember::MessageSend(v1::MessageSend {
            reply_to: Some(3),
            attributes: [("a".to_owned(), "1".to_owned())].into(),
            ..send()
        }))
    else {
        panic!()
    };
    assert_eq!((room, content, reply_to), (name(), Content::text("hello", "").unwrap(), Some(Seq(3))));
    assert_eq!(attributes.as_map()["a"], "1");
}

#[test]
fn the_largest_contents() {
    for content in [text("é".repeat(10_000)), data(65_536, ""), data(1, "image/png"), text("a\tb\r\n")] {
        stateless(SessionMember::MessageSend(v1::MessageSend { content, ..send() }));
    }
}

#[test]
fn an_event_without_payload_and_key() {
    for payload in [None, Some(v1::Content::default()), text(""), data(0, "")] {
        let publish = v1::EventPublish { room: room(), name: "moved".into(), payload, ..Default::default() };
        let Stateless::EventPublish { event, exclude_self: false, .. } =
            stateless(SessionMember::EventPublish(publish))
        else {
            panic!()
        };
        assert_eq!((event.payload, event.key, event.name.as_str()), (None, None, "moved"));
    }
}

#[test]
fn a_hello_with_everything() {
    let since = v1::Position { epoch: 1, seq: 9, tag: 5 };
    let Command::Hello(hello) = accepted(SessionMember::Hello(v1::Hello {
        token: "abc".into(),
        client: "web/1".into(),
        instance: "tab-1".into(),
        resume: Some(v1::Resume {
            rooms: vec![v1::RoomPosition { room: room(), position: Some(since), presence: true }],
            inbox: Some(v1::InboxPosition { own: 4, broadcast: 2, epoch: 1 }),
        }),
        ..hello()
    })) else {
        panic!()
    };
    assert_eq!((hello.token, hello.protocol), (Some(Token("abc".into())), 1));
    assert_eq!(hello.instance.unwrap().as_str(), "tab-1");
    let resume = hello.resume.unwrap();
    let since = Some(Position { epoch: Epoch(1), seq: Seq(9), tag: Tag(5) });
    assert_eq!(resume.rooms, [Join { room: name(), since, rewind: 0, presence: true }]);
    assert_eq!(resume.inbox, Some(InboxPosition { epoch: Epoch(1), own: Seq(4), broadcast: Seq(2) }));
}

#[test]
fn a_bare_hello() {
    let Command::Hello(hello) = accepted(SessionMember::Hello(hello())) else { panic!() };
    assert_eq!((hello.token, hello.instance, hello.resume), (None, None, None));
}

#[test]
fn pages_without_a_limit_have_the_default() {
    for (given, taken) in [(0, 50), (1, 1), (200, 200)] {
        let Stateless::History { limit, bound: None, .. } =
            stateless(SessionMember::History(v1::HistoryGet { room: room(), limit: given, bound: None }))
        else {
            panic!()
        };
        let Stateless::Rooms { limit: rooms, .. } =
            stateless(SessionMember::Rooms(v1::RoomsGet { limit: given, ..Default::default() }))
        else {
            panic!()
        };
        assert_eq!((limit, rooms), (taken, taken));
    }
}

#[test]
fn history_goes_either_way() {
    use v1::history_get::Bound;
    for (bound, expected) in
        [(Bound::Before(5), HistoryBound::Before(Seq(5))), (Bound::After(0), HistoryBound::After(Seq(0)))]
    {
        let get = v1::HistoryGet { room: room(), bound: Some(bound), limit: 0 };
        let Stateless::History { bound, .. } = stateless(SessionMember::History(get)) else { panic!() };
        assert_eq!(bound, Some(expected));
    }
}

#[test]
fn an_unspecified_role_is_member() {
    for (number, role) in [
        (v1::Role::Unspecified, Role::Member),
        (v1::Role::Owner, Role::Owner),
        (v1::Role::Moderator, Role::Moderator),
        (v1::Role::Member, Role::Member),
        (v1::Role::Reader, Role::Reader),
    ] {
        let add = v1::MemberAdd { room: room(), user: "bob".into(), role: number.into() };
        assert_eq!(
            stateless(SessionMember::MemberAdd(add)),
            Stateless::MemberAdd { room: name(), user: user("bob"), role }
        );
    }
}

#[test]
fn a_direct_conversation_has_one_other() {
    let create = v1::ConversationCreate {
        members: vec![v1::Member { user: "bob".into(), role: 0 }],
        direct: true,
        ..Default::default()
    };
    let Stateless::ConversationCreate { members, direct: true, .. } =
        stateless(SessionMember::ConversationCreate(create))
    else {
        panic!()
    };
    assert_eq!(members, [(user("bob"), Role::Member)]);
}

#[test]
fn watched_users_are_watched_once() {
    let users = ["bob", "carol", "bob"].map(str::to_owned).to_vec();
    let watch = accepted(SessionMember::PresenceWatch(v1::PresenceWatch { users }));
    assert_eq!(watch, Command::PresenceWatch(vec![user("bob"), user("carol")]));
}

#[test]
fn presence_is_set() {
    let set = v1::PresenceSet { status: v1::PresenceStatus::Busy.into(), text: "é".repeat(128) };
    let Command::PresenceSet { status: Status::Busy, text } = accepted(SessionMember::PresenceSet(set))
    else {
        panic!()
    };
    assert_eq!(text.chars().count(), 128);
}

#[test]
fn notifications_are_filtered_read_and_deleted() {
    let filter = v1::NotificationFilter {
        unread_only: true,
        kinds: vec!["reminder".into()],
        priorities: vec![4, 3, 4],
    };
    let get = v1::NotificationsGet { filter: Some(filter), ..Default::default() };
    let Stateless::Notifications { filter, .. } = stateless(SessionMember::Notifications(get)) else {
        panic!()
    };
    let kinds = vec![NotificationKind::parse("reminder").unwrap()];
    let priorities = vec![Priority::Critical, Priority::High];
    assert_eq!(filter, InboxFilter { unread_only: true, kinds, priorities });

    let ids = || vec!["n1".to_owned()];
    let id = NotificationId::parse("n1").unwrap();
    let read = SessionMember::NotificationRead(v1::NotificationRead { ids: ids(), up_to: None });
    assert_eq!(stateless(read), Stateless::Inbox(InboxChange::Read(vec![id.clone()])));
    let delete = SessionMember::NotificationDelete(v1::NotificationDelete { ids: ids() });
    assert_eq!(stateless(delete), Stateless::Inbox(InboxChange::Delete(vec![id])));
}

/// To sanitise is work: whoever is held back anyway does not get it done.
#[test]
fn html_is_read_for_those_who_are_not_held_back() {
    let held_back = || Err(ErrorCode::RateLimited.into());
    for (media_type, is_read) in
        [("text/html", false), ("Text/HTML", false), ("text/plain", true), ("", true)]
    {
        let content = v1::Content {
            body: Some(v1::content::Body::Text("<b>x</b>".to_owned())),
            media_type: media_type.to_owned(),
        };
        let send = v1::MessageSend { room: ROOM.to_owned(), content: Some(content), ..Default::default() };
        let sent = || frame(7, b"", SessionMember::MessageSend(send.clone()));
        match input(sent(), held_back) {
            Input::Request(_) => assert!(is_read, "{media_type}"),
            Input::Refused(7, refusal) => {
                assert_eq!((is_read, refusal.code), (false, ErrorCode::RateLimited), "{media_type}");
            }
            _ => panic!("{media_type}"),
        }
        assert_eq!(matches!(input(sent(), || Ok(())), Input::Request(_)), media_type != "Text/HTML");
    }
}
