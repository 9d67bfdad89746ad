//! Each call: what reaches the hub, what comes back, and which fields are refused.
#![expect(clippy::unnecessary_wraps, reason = "what the calls take are options and results")]

use carillon_proto::v1::disconnect_session_request::Target;
use carillon_proto::v1::send_notification_request::Audience as WireAudience;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::*;
use crate::administration::commands::{Audience, Disconnect, DisconnectTarget};
use crate::domain::command::Cursor;
use crate::domain::content::Content;
use crate::domain::inbox::Priority;
use crate::domain::member::{Member, Role};
use crate::domain::names::{RoomName, SessionId, UserId};
use crate::domain::position::{Position, Seq};
use crate::domain::reply::Reply;
use crate::domain::time::Timestamp;
use crate::grpc::fakes::{ALICE, Asked, CLINIC, FakeHub};

fn tenant() -> String {
    "acme".to_owned()
}

fn room() -> String {
    "conversation:1".to_owned()
}

fn request<Q>(message: Q, token: &str) -> Request<Q> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// The answer to a call, and what the hub was asked.
macro_rules! called {
    ($call:ident, $reply:expr, $message:expr) => {{
        let hub = FakeHub::answering($reply);
        let answer = hub.admin_api().$call(request($message, CLINIC)).await.unwrap().into_inner();
        (answer, hub.asked())
    }};
}

/// The refusal of a call that never reaches the hub.
macro_rules! refused {
    ($call:ident, $message:expr) => {{
        let hub = FakeHub::answering(None);
        let status = hub.admin_api().$call(request($message, CLINIC)).await.unwrap_err();
        assert!(hub.was_asked_nothing());
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone());
        violations.unwrap_or_default().remove(0).field
    }};
}

fn accepted() -> Result<Reply, Refusal> {
    let position = Position { seq: Seq(7), ..Position::default() };
    Ok(Reply::EntryAccepted { position, time: Timestamp(1), version: 0, duplicate: true })
}

#[tokio::test]
async fn only_services_of_the_tenant_may() {
    let of = |tenant: &str| v1::GetStatisticsRequest { tenant: tenant.to_owned() };
    let hub = FakeHub::answering(None);
    let api = hub.admin_api();
    for (request, reason) in [
        (Request::new(of("acme")), "AUTH_REQUIRED"),
        (request(of("acme"), "other"), "INVALID_TOKEN"),
        (request(of("acme"), ALICE), "PERMISSION_DENIED"),
        (request(of("other"), CLINIC), "PERMISSION_DENIED"),
        (request(of(""), CLINIC), "INVALID_ARGUMENT"),
    ] {
        let status = api.get_statistics(request).await.unwrap_err();
        assert_eq!(status.get_error_details().error_info().unwrap().reason, reason);
    }
    assert!(hub.was_asked_nothing());
}

#[tokio::test]
async fn rooms_are_created_found_and_listed() {
    let members = vec![v1::Member { user: "bob".into(), role: 0 }];
    let create = v1::CreateRoomRequest {
        tenant: tenant(),
        room: room(),
        members,
        idempotency_key: "attempt-1".into(),
        ..Default::default()
    };
    let (answer, asked) = called!(create_room, None, create.clone());
    let Asked::CreateRoom(asked) = asked else { panic!() };
    assert_eq!(asked.members, [(UserId::parse("bob").unwrap(), Role::Member)]);
    let found = answer.room.unwrap();
    assert_eq!((answer.duplicate, found.head.unwrap().seq, found.members, found.version), (true, 7, 4, 2));

    // Another attempt of the same request has the same fingerprint, under another key too.
    let again = v1::CreateRoomRequest { idempotency_key: "attempt-2".into(), ..create };
    let Asked::CreateRoom(again) = called!(create_room, None, again).1 else { panic!() };
    assert_eq!(again.idempotency.unwrap().fingerprint, asked.idempotency.unwrap().fingerprint);

    let (_, asked) = called!(get_room, None, v1::GetRoomRequest { tenant: tenant(), room: room() });
    assert_eq!(asked, Asked::GetRoom(RoomName::parse(&room()).unwrap()));

    let list = v1::ListRoomsRequest { tenant: tenant(), prefix: "conv".into(), ..Default::default() };
    let (answer, asked) = called!(list_rooms, None, list);
    let Asked::ListRooms(asked) = asked else { panic!() };
    assert_eq!((asked.prefix.as_str(), asked.limit), ("conv", 50));
    assert_eq!((answer.rooms[1].head, &*answer.next_cursor), (None, "next"));
}

#[tokio::test]
async fn rooms_and_members_are_changed_as_users_change_them() {
    let update = v1::UpdateRoomRequest { tenant: tenant(), room: room(), ..Default::default() };
    let (answer, asked) = called!(update_room, accepted(), update);
    assert!(
        matches!(&asked, Asked::Execute(user, None, Stateless::ConversationUpdate { .. }) if user == "clinic")
    );
    assert!(answer.entry.unwrap().duplicate);

    let user = || "bob".to_owned();
    let add = v1::AddMemberRequest { tenant: tenant(), room: room(), user: user(), ..Default::default() };
    let (_, asked) = called!(add_member, accepted(), add);
    assert!(matches!(asked, Asked::Execute(_, _, Stateless::MemberAdd { role: Role::Member, .. })));

    let remove = v1::RemoveMemberRequest {
        tenant: tenant(),
        room: room(),
        user: user(),
        idempotency_key: "attempt-1".into(),
    };
    let (_, asked) = called!(remove_member, accepted(), remove);
    assert!(matches!(asked, Asked::Execute(_, Some(_), Stateless::MemberRemove { .. })));

    let role =
        v1::SetMemberRoleRequest { tenant: tenant(), room: room(), user: user(), ..Default::default() };
    assert_eq!(refused!(set_member_role, role.clone()), "role");
    let role = v1::SetMemberRoleRequest { role: v1::Role::Owner.into(), ..role };
    let (_, asked) = called!(set_member_role, accepted(), role);
    assert!(matches!(asked, Asked::Execute(_, _, Stateless::MemberRole { role: Role::Owner, .. })));

    let (version, joined, history_from) = (Seq(1), Seq(1), Seq(1));
    let bob = UserId::parse("bob").unwrap();
    let members = vec![Member { user: bob, role: Role::Reader, version, joined, history_from }];
    let page = Ok(Reply::Members { members, next: Cursor::default() });
    let list = v1::ListMembersRequest { tenant: tenant(), room: room(), ..Default::default() };
    let (answer, _) = called!(list_members, page, list);
    assert_eq!(answer.members, [v1::Member { user: "bob".into(), role: v1::Role::Reader.into() }]);
}

#[tokio::test]
async fn messages_and_events_are_sent_as_the_service() {
    let content = || {
        let body = Some(v1::content::Body::Text("hello".into()));
        Some(v1::Content { body, media_type: String::new() })
    };
    let send =
        v1::SendMessageRequest { tenant: tenant(), room: room(), content: content(), ..Default::default() };
    let position = Position { seq: Seq(7), ..Position::default() };
    let reply = Ok(Reply::MessageSent { position, number: 5, time: Timestamp(1), duplicate: true });
    let (answer, asked) = called!(send_message, reply, send);
    assert_eq!((answer.position.unwrap().seq, answer.number, answer.duplicate), (7, 5, true));
    assert!(matches!(&asked, Asked::Execute(user, ..) if user == "clinic"));

    let publish = v1::PublishEventRequest {
        tenant: tenant(),
        room: room(),
        name: "moved".into(),
        payload: content(),
        ..Default::default()
    };
    let (answer, _) = called!(publish_event, accepted(), publish.clone());
    assert_eq!(answer.entry.unwrap().position.unwrap().seq, 7);
    let (answer, _) = called!(publish_event, Ok(Reply::Done), publish);
    assert_eq!(answer.entry, None);
}

fn notify() -> v1::SendNotificationRequest {
    v1::SendNotificationRequest {
        tenant: tenant(),
        audience: Some(WireAudience::AllUsers(true)),
        kind: "reminder".into(),
        title: "take it".into(),
        ..Default::default()
    }
}

fn users(users: &[&str]) -> Option<WireAudience> {
    let users = users.iter().map(|&user| user.to_owned()).collect();
    Some(WireAudience::Users(v1::UserList { users }))
}

#[tokio::test]
async fn a_notification_is_sent_to_its_audience() {
    let body =
        Some(v1::Content { body: Some(v1::content::Body::Text("now".into())), media_type: String::new() });
    for (wire, audience) in [
        (Some(WireAudience::AllUsers(true)), Audience::AllUsers),
        (Some(WireAudience::RoomMembers(room())), Audience::RoomMembers(RoomName::parse(&room()).unwrap())),
        (users(&["bob"]), Audience::Users(vec![UserId::parse("bob").unwrap()])),
    ] {
        let notify =
            v1::SendNotificationRequest { audience: wire, body: body.clone(), expires_ms: 9, ..notify() };
        let (answer, asked) = called!(send_notification, None, notify);
        let Asked::SendNotification(asked) = asked else { panic!() };
        assert_eq!((asked.audience, asked.priority), (audience, Priority::Normal));
        assert_eq!(asked.body, Some(Content::text("now", "").unwrap()));
        assert_eq!(asked.expires, Some(Timestamp(9)));
        assert_eq!((&*answer.id, answer.recipients, answer.duplicate), ("n1", 2, false));
    }
}

#[tokio::test]
async fn a_wrong_notification_is_refused() {
    let many: Vec<String> = (0..1_001).map(|number| format!("u{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let control =
        Some(v1::Content { body: Some(v1::content::Body::Text("\u{7}".into())), media_type: String::new() });
    let with = |audience| v1::SendNotificationRequest { audience, ..notify() };
    for (notify, field) in [
        (with(None), "audience"),
        (with(users(&[])), "users.users"),
        (with(users(&many)), "users.users"),
        (with(users(&["bob", "bob"])), "users.users"),
        (with(users(&["a b"])), "users.users[]"),
        (with(Some(WireAudience::RoomMembers("x".into()))), "room_members"),
        (with(Some(WireAudience::AllUsers(false))), "all_users"),
        (v1::SendNotificationRequest { idempotency_key: "short".into(), ..notify() }, "idempotency_key"),
        (v1::SendNotificationRequest { kind: String::new(), ..notify() }, "kind"),
        (v1::SendNotificationRequest { kind: "x".repeat(65), ..notify() }, "kind"),
        (v1::SendNotificationRequest { title: "a\nb".into(), ..notify() }, "title"),
        (v1::SendNotificationRequest { title: "x".repeat(257), ..notify() }, "title"),
        (v1::SendNotificationRequest { body: control, ..notify() }, "body.text"),
        (v1::SendNotificationRequest { priority: 7, ..notify() }, "priority"),
        (v1::SendNotificationRequest { data: [(String::new(), String::new())].into(), ..notify() }, "data"),
        (v1::SendNotificationRequest { expires_ms: -1, ..notify() }, "expires_ms"),
    ] {
        assert_eq!(refused!(send_notification, notify), field);
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let list = v1::ListSessionsRequest { tenant: tenant(), user: "bob".into(), ..Default::default() };
    let (answer, asked) = called!(list_sessions, None, list);
    let Asked::Sessions(asked) = asked else { panic!() };
    assert_eq!(asked.user, Some(UserId::parse("bob").unwrap()));
    assert_eq!(answer.sessions[0].session, SessionId(0xab).to_string());

    let end =
        |target, code: &str| v1::DisconnectSessionRequest { tenant: tenant(), target, code: code.to_owned() };
    let session = || Some(Target::Session(SessionId(0xab).to_string()));
    let user = |user: &str, instance: &str| {
        Some(Target::User(v1::UserInstance { user: user.to_owned(), instance: instance.to_owned() }))
    };
    for (name, code) in [
        ("", ErrorCode::SessionInvalidated),
        ("SESSION_INVALIDATED", ErrorCode::SessionInvalidated),
        ("GOING_AWAY", ErrorCode::GoingAway),
        ("UNAVAILABLE", ErrorCode::Unavailable),
    ] {
        let (answer, asked) = called!(disconnect_session, None, end(session(), name));
        let target = DisconnectTarget::Session(SessionId(0xab));
        assert_eq!((answer.disconnected, asked), (2, Asked::Disconnect(Disconnect { target, code })));
    }
    for (request, field) in [
        (end(None, ""), "target"),
        (end(Some(Target::Session("x".into())), ""), "session"),
        (end(user("", ""), ""), "user.user"),
        (end(user("bob", "a b"), ""), "user.instance"),
        (end(session(), "INTERNAL"), "code"),
    ] {
        assert_eq!(refused!(disconnect_session, request), field);
    }
}

#[tokio::test]
async fn a_user_is_erased_and_the_tenant_counted() {
    let erase = v1::EraseUserRequest { tenant: tenant(), user: "bob".into() };
    let (answer, asked) = called!(erase_user, None, erase);
    assert_eq!(asked, Asked::Erase(UserId::parse("bob").unwrap()));
    assert_eq!((answer.messages_blanked, answer.notifications_removed), (5, 6));

    let (answer, _) = called!(get_statistics, None, v1::GetStatisticsRequest { tenant: tenant() });
    assert_eq!((answer.sessions, answer.messages), (1, 2));
}

#[tokio::test]
async fn a_refusal_of_the_hub_is_told() {
    let hub = FakeHub::answering(Err(ErrorCode::NotFound.into()));
    let get = v1::ListMembersRequest { tenant: tenant(), room: room(), ..Default::default() };
    let status = hub.admin_api().list_members(request(get, CLINIC)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "NOT_FOUND");
}
