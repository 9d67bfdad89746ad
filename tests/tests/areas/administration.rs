//! `AdminService` for rooms: whose token may, and each call on rooms and members.

use bytes::Bytes;
use carillon_client::{AdminClient, ClientOptions, Event, v1};
use carillon_tests::hub::TENANT;
use carillon_tests::story::{broken, member, seq_of, text_of, verdict, wrong_field};
use carillon_tests::{TestHub, hub};
use v1::Role;

const ROOM: &str = "conversation:case-1";

fn create(room: &str) -> v1::CreateRoomRequest {
    let members = vec![member("alice", Role::Owner), member("bob", Role::Member)];
    let metadata = [("title".to_owned(), "case".to_owned())].into();
    v1::CreateRoomRequest { room: room.into(), members, metadata, ..Default::default() }
}

/// The verdict on every call.
async fn verdicts(admin: &AdminClient) -> Vec<String> {
    let mut verdicts = verdicts_on_rooms(admin).await;
    verdicts.extend(verdicts_on_users_and_sends(admin).await);
    verdicts
}

async fn verdicts_on_rooms(admin: &AdminClient) -> Vec<String> {
    let room = || ROOM.to_owned();
    vec![
        verdict(admin.create_room(create(ROOM)).await),
        verdict(admin.get_room(v1::GetRoomRequest { room: room(), ..Default::default() }).await),
        verdict(admin.list_rooms(v1::ListRoomsRequest::default()).await),
        verdict(admin.update_room(v1::UpdateRoomRequest { room: room(), ..Default::default() }).await),
        verdict(
            admin
                .add_member(v1::AddMemberRequest { room: room(), user: "carol".into(), ..Default::default() })
                .await,
        ),
        verdict(
            admin
                .set_member_role(v1::SetMemberRoleRequest {
                    room: room(),
                    user: "carol".into(),
                    role: Role::Reader.into(),
                    ..Default::default()
                })
                .await,
        ),
        verdict(
            admin
                .remove_member(v1::RemoveMemberRequest {
                    room: room(),
                    user: "carol".into(),
                    ..Default::default()
                })
                .await,
        ),
        verdict(admin.list_members(v1::ListMembersRequest { room: room(), ..Default::default() }).await),
    ]
}

async fn verdicts_on_users_and_sends(admin: &AdminClient) -> Vec<String> {
    let alice = v1::UserInstance { user: "alice".into(), instance: String::new() };
    let users = v1::send_notification_request::Audience::Users(v1::UserList { users: vec!["bob".into()] });
    let room = || ROOM.to_owned();
    vec![
        verdict(admin.list_sessions(v1::ListSessionsRequest::default()).await),
        verdict(
            admin
                .disconnect_session(v1::DisconnectSessionRequest {
                    target: Some(v1::disconnect_session_request::Target::User(alice)),
                    ..Default::default()
                })
                .await,
        ),
        verdict(admin.erase_user(v1::EraseUserRequest { user: "dora".into(), ..Default::default() }).await),
        verdict(
            admin
                .send_notification(v1::SendNotificationRequest {
                    audience: Some(users),
                    kind: "news".into(),
                    title: "hello".into(),
                    ..Default::default()
                })
                .await,
        ),
        verdict(
            admin
                .send_message(v1::SendMessageRequest {
                    room: room(),
                    content: Some(carillon_client::text("hello")),
                    ..Default::default()
                })
                .await,
        ),
        verdict(
            admin
                .publish_event(v1::PublishEventRequest {
                    room: room(),
                    name: "moved".into(),
                    ..Default::default()
                })
                .await,
        ),
        verdict(admin.get_statistics(v1::GetStatisticsRequest::default()).await),
    ]
}

fn admin_with(hub: &TestHub, token: &str, tenant: &str) -> AdminClient {
    AdminClient::new(ClientOptions::new(hub.url()).token(token), tenant).unwrap()
}

#[tokio::test]
async fn only_a_service_of_the_tenant_administers() {
    let hub = hub().start().await;
    let user = admin_with(&hub, &hub.token("alice"), TENANT);
    let elsewhere = admin_with(&hub, &hub.service_token(), "other");
    for admin in [user, elsewhere] {
        assert_eq!(verdicts(&admin).await, vec!["PERMISSION_DENIED"; 15]);
    }
    let bad = admin_with(&hub, "bad", TENANT);
    assert_eq!(verdicts(&bad).await, vec!["INVALID_TOKEN"; 15]);
    let nobody = admin_with(&hub, "", TENANT);
    assert_eq!(verdicts(&nobody).await, vec!["AUTH_REQUIRED"; 15]);
    let nothing = hub.admin().list_rooms(v1::ListRoomsRequest::default()).await.unwrap();
    assert!(nothing.rooms.is_empty());
    assert_eq!(verdicts(&hub.admin()).await, vec!["ok"; 15]);
}

#[tokio::test]
async fn a_room_is_made_under_a_chosen_name() {
    let hub = hub().start().await;
    let (admin, mut alice) = (hub.admin(), hub.enters("alice").await);
    let keyed = v1::CreateRoomRequest { idempotency_key: Bytes::from_static(b"case-one"), ..create(ROOM) };
    let created = admin.create_room(keyed.clone()).await.unwrap();
    let room = created.room.unwrap();
    assert_eq!((room.room.as_str(), room.members, created.duplicate), (ROOM, 2, false));
    assert_eq!((room.metadata["title"].as_str(), room.head_number), ("case", 0));
    assert!(admin.create_room(keyed.clone()).await.unwrap().duplicate);
    assert_eq!(verdict(admin.create_room(create(ROOM)).await), "CONFLICT");
    let other = v1::CreateRoomRequest { members: vec![], ..keyed };
    assert_eq!(verdict(admin.create_room(other).await), "CONFLICT");
    assert_eq!(verdict(admin.create_room(create("unknown:1")).await), "NOT_FOUND");
    assert_eq!(wrong_field(admin.create_room(create("nonsense")).await), "room");
    let twice =
        v1::CreateRoomRequest { members: vec![member("a", Role::Member); 2], ..create("conversation:2") };
    assert_eq!(wrong_field(admin.create_room(twice).await), "members");
    assert_eq!(alice.joins(ROOM).await.role(), Role::Owner);
    // The service posts and publishes without being a member.
    let send = v1::SendMessageRequest {
        room: ROOM.into(),
        content: Some(carillon_client::text("from the service")),
        idempotency_key: Bytes::from_static(b"a-message"),
        ..Default::default()
    };
    let sent = admin.send_message(send.clone()).await.unwrap();
    let again = admin.send_message(send).await.unwrap();
    assert!(again.duplicate && again.position == sent.position && sent.number == 1);
    let heard = alice.hears(ROOM).await;
    assert_eq!(
        (text_of(heard.content.as_ref()), heard.header.unwrap().sender),
        ("from the service", "billing".into())
    );
    let publish = |room: &str| v1::PublishEventRequest {
        room: room.into(),
        name: "moved".into(),
        ..Default::default()
    };
    assert!(admin.publish_event(publish(ROOM)).await.unwrap().entry.is_some());
    alice.joins("live:1").await;
    assert_eq!(admin.publish_event(publish("live:1")).await.unwrap().entry, None);
    let ephemeral = alice.waits_for(|event| match event {
        Event::Event(event) if event.room == "live:1" => Some(event.header.unwrap().sender),
        _ => None,
    });
    assert_eq!(ephemeral.await, "billing");
    let nowhere = v1::SendMessageRequest {
        room: "conversation:none".into(),
        content: Some(carillon_client::text("x")),
        ..Default::default()
    };
    assert_eq!(verdict(admin.send_message(nowhere).await), "NOT_FOUND");
    assert_eq!(verdict(admin.publish_event(publish("conversation:none")).await), "NOT_FOUND");
}

/// Where nothing is kept there is nothing that could have members or metadata.
#[tokio::test]
async fn a_room_of_an_ephemeral_namespace_has_no_members() {
    let hub = hub().start().await;
    let (admin, alice) = (hub.admin(), hub.enters("alice").await);
    alice.joins("live:1").await;
    let (room, user) = (|| "live:1".to_owned(), || "alice".to_owned());
    let rule = || ("INVALID_ARGUMENT".to_owned(), "room".to_owned(), "a durable namespace".to_owned());
    assert_eq!(broken(admin.create_room(create("live:1")).await), rule());
    let alone = v1::CreateRoomRequest { members: vec![], ..create("live:1") };
    assert_eq!(broken(admin.create_room(alone).await), rule());
    let add = v1::AddMemberRequest { room: room(), user: user(), ..Default::default() };
    assert_eq!(broken(admin.add_member(add).await), rule());
    let role = Role::Owner.into();
    let change = v1::SetMemberRoleRequest { room: room(), user: user(), role, ..Default::default() };
    assert_eq!(broken(admin.set_member_role(change).await), rule());
    let update = v1::UpdateRoomRequest { room: room(), ..Default::default() };
    assert_eq!(broken(admin.update_room(update).await), rule());
    assert_eq!(broken(alice.client.member_add("live:1", "bob", Role::Member).await), rule());
    assert_eq!(broken(alice.client.member_remove("live:1", "alice").await), rule());
    let update = v1::ConversationUpdate { room: room(), ..Default::default() };
    assert_eq!(broken(alice.client.conversation_update(update).await), rule());
    assert!(admin.list_rooms(v1::ListRoomsRequest::default()).await.unwrap().rooms.is_empty());
}

#[tokio::test]
async fn members_and_metadata_are_managed() {
    let hub = hub().start().await;
    let (admin, mut alice) = (hub.admin(), hub.enters("alice").await);
    let room = admin.create_room(create(ROOM)).await.unwrap().room.unwrap();
    alice.joins(ROOM).await;
    let add = |user: &str, key: &'static [u8]| v1::AddMemberRequest {
        room: ROOM.into(),
        user: user.into(),
        idempotency_key: Bytes::from_static(key),
        ..Default::default()
    };
    let added = admin.add_member(add("carol", b"add-carol")).await.unwrap().entry.unwrap();
    assert!(admin.add_member(add("carol", b"add-carol")).await.unwrap().entry.unwrap().duplicate);
    let heard = alice.hears_through(ROOM, seq_of(&added)).await;
    assert!(matches!(heard.last(), Some(Event::Membership(change))
        if change.user == "carol" && change.header.as_ref().unwrap().sender == "billing"));
    let role = |user: &str, role: Role| v1::SetMemberRoleRequest {
        room: ROOM.into(),
        user: user.into(),
        role: role.into(),
        ..Default::default()
    };
    admin.set_member_role(role("carol", Role::Moderator)).await.unwrap();
    assert_eq!(verdict(admin.set_member_role(role("dora", Role::Reader)).await), "NOT_FOUND");
    assert_eq!(verdict(admin.set_member_role(role("alice", Role::Reader)).await), "CONFLICT");
    assert_eq!(wrong_field(admin.set_member_role(role("carol", Role::Unspecified)).await), "role");
    let remove =
        |user: &str| v1::RemoveMemberRequest { room: ROOM.into(), user: user.into(), ..Default::default() };
    admin.remove_member(remove("bob")).await.unwrap();
    assert_eq!(verdict(admin.remove_member(remove("bob")).await), "NOT_FOUND");
    assert_eq!(verdict(admin.remove_member(remove("alice")).await), "CONFLICT", "the last owner");
    let page =
        |cursor: String| v1::ListMembersRequest { room: ROOM.into(), cursor, limit: 1, ..Default::default() };
    let first = admin.list_members(page(String::new())).await.unwrap();
    assert_eq!(first.members, [member("alice", Role::Owner)]);
    let second = admin.list_members(page(first.next_cursor)).await.unwrap();
    assert_eq!((second.members, second.next_cursor), (vec![member("carol", Role::Moderator)], String::new()));
    let update = |expected_version| v1::UpdateRoomRequest {
        room: ROOM.into(),
        metadata: [("state".to_owned(), "open".to_owned())].into(),
        remove_keys: vec!["title".into()],
        expected_version,
        ..Default::default()
    };
    let updated = admin.update_room(update(Some(room.version))).await.unwrap().entry.unwrap();
    assert_eq!(verdict(admin.update_room(update(Some(room.version))).await), "CONFLICT");
    let now = admin.get_room(v1::GetRoomRequest { room: ROOM.into(), ..Default::default() }).await.unwrap();
    let now = now.room.unwrap();
    assert_eq!(
        (now.version, now.metadata),
        (seq_of(&updated), [("state".to_owned(), "open".to_owned())].into())
    );
    for name in ["conversation:none", "room:lobby"] {
        let get = v1::GetRoomRequest { room: name.into(), ..Default::default() };
        assert_eq!(verdict(admin.get_room(get).await), "NOT_FOUND");
    }
}

#[tokio::test]
async fn rooms_are_listed_by_prefix() {
    let hub = hub().start().await;
    let admin = hub.admin();
    for n in 0..5 {
        admin.create_room(create(&format!("conversation:case-{n}"))).await.unwrap();
    }
    hub.enters("alice").await.says("room:lobby", "hello").await;
    let list = |prefix: &str, cursor: String| v1::ListRoomsRequest {
        prefix: prefix.into(),
        cursor,
        limit: 3,
        ..Default::default()
    };
    let names =
        |page: &v1::ListRoomsResponse| page.rooms.iter().map(|room| room.room.clone()).collect::<Vec<_>>();
    let first = admin.list_rooms(list("conversation:case", String::new())).await.unwrap();
    assert_eq!(names(&first), ["conversation:case-0", "conversation:case-1", "conversation:case-2"]);
    let cursor = first.next_cursor.clone();
    let second = admin.list_rooms(list("conversation:case", cursor.clone())).await.unwrap();
    assert_eq!((names(&second).len(), second.next_cursor.as_str()), (2, ""));
    assert_eq!(wrong_field(admin.list_rooms(list("room:", cursor)).await), "cursor");
    let lobby = admin.list_rooms(list("room:", String::new())).await.unwrap();
    assert_eq!((names(&lobby), lobby.rooms[0].head_number), (vec!["room:lobby".to_owned()], 1));
    assert_eq!(wrong_field(admin.list_rooms(list("a b", String::new())).await), "prefix");
}
