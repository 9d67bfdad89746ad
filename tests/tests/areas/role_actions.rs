//! Roles by configuration: what a namespace says that members and bearers of a role may do.

use std::collections::BTreeMap;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_hub::config::{NamespaceRoles, NamespaceSection};
use carillon_tests::story::member;
use carillon_tests::wire::{Opening, code, greeting, join, say};
use carillon_tests::{TestHub, Wire, hub};
use serde_json::json;
use v1::Role;

const WARD: &str = "ward:7";

fn list(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

/// A hub with a ward, in which members do not edit, readers do react and type, nurses come and go, and the board listens;
/// its member `meg` and its reader `ray`.
async fn with_a_ward() -> TestHub {
    let token_roles = [
        ("nurse", list(&["room.*", "message.*", "member.add"])),
        ("board", list(&["room.join"])),
        ("auditor", list(&["history.read"])),
    ];
    let ward = NamespaceSection {
        name: "ward".to_owned(),
        roles: NamespaceRoles {
            member: Some(list(&["room.join", "history.read", "message.send", "member.add"])),
            reader: Some(list(&["room.join", "message.react", "message.type"])),
            ..NamespaceRoles::default()
        },
        token_roles: BTreeMap::from(token_roles.map(|(name, list)| (name.to_owned(), list))),
        ..NamespaceSection::default()
    };
    // Before the one in which everybody may make conversations.
    let hub = hub().with(|config| config.namespaces.insert(0, ward)).start().await;
    let members = vec![member("olga", Role::Owner), member("meg", Role::Member), member("ray", Role::Reader)];
    let create = v1::CreateRoomRequest { room: WARD.to_owned(), members, ..Default::default() };
    hub.admin().create_room(create).await.unwrap();
    hub
}

async fn enters(hub: &TestHub, user: &str, roles: &[&str]) -> Wire {
    let token = hub.token_that_says(&json!({"sub": user, "roles": roles}));
    Wire::enters_with(hub, v1::Hello { token, ..greeting() }).await
}

#[tokio::test]
async fn who_may_not_read_history_is_shown_no_message_in_lists_and_counts() {
    let hub = with_a_ward().await;
    let mut meg = enters(&hub, "meg", &[]).await;
    let (mut ray, mut auditor) = (enters(&hub, "ray", &[]).await, enters(&hub, "ray", &["auditor"]).await);
    assert!(matches!(meg.asks(say(WARD, "for members")).await, Kind::MessageSent(_)));
    let told = ray.until(|kind| match kind {
        Kind::Unread(unread) if unread.room == WARD => Some(unread.clone()),
        _ => None,
    });
    let told = told.await;
    assert_eq!((told.count, told.last_message), (1, None));
    let listed = async |wire: &mut Wire| {
        let Kind::RoomsPage(page) = wire.asks(Command::Rooms(v1::RoomsGet::default())).await else {
            panic!("no list")
        };
        let [room] = &page.rooms[..] else { panic!("{:?}", page.rooms) };
        (room.unread, room.last_message.is_some())
    };
    assert_eq!((listed(&mut ray).await, listed(&mut auditor).await), ((1, false), (1, true)));
    for (roles, shows) in [(&[][..], false), (&["auditor"][..], true)] {
        let token = hub.token_that_says(&json!({"sub": "ray", "roles": roles}));
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        let connected = wire.greets(v1::Hello { token, ..greeting() }).await;
        let [room] = &connected.unread[..] else { panic!("{:?}", connected.unread) };
        assert_eq!((room.unread, room.last_message.is_some()), (1, shows), "{roles:?}");
    }
}

/// The code of a refusal; empty where there is none.
async fn tries(wire: &mut Wire, command: Command) -> String {
    code(&wire.asks(command).await).to_owned()
}

fn history() -> Command {
    Command::History(v1::HistoryGet { room: WARD.to_owned(), ..Default::default() })
}

fn add(user: &str, role: Role) -> Command {
    Command::MemberAdd(v1::MemberAdd { room: WARD.to_owned(), user: user.to_owned(), role: role.into() })
}

fn edit(seq: u64) -> Command {
    let content = Some(carillon_client::text("better"));
    Command::MessageEdit(v1::MessageEdit { room: WARD.to_owned(), seq, content, ..Default::default() })
}

fn react(seq: u64) -> Command {
    let (room, key) = (WARD.to_owned(), "+1".to_owned());
    Command::Reaction(v1::ReactionSet { room, seq, key, add: true })
}

#[tokio::test]
async fn a_members_role_may_do_what_its_namespace_says() {
    let hub = with_a_ward().await;
    let (mut meg, mut ray) = (enters(&hub, "meg", &[]).await, enters(&hub, "ray", &[]).await);
    let Kind::MessageSent(sent) = meg.asks(say(WARD, "words")).await else { panic!("members send") };
    let seq = sent.position.unwrap().seq;
    for (who, command, expected) in [
        (0, edit(seq), "PERMISSION_DENIED"),
        (0, history(), ""),
        (0, add("new1", Role::Member), ""),
        (0, add("new2", Role::Moderator), "PERMISSION_DENIED"),
        (1, react(seq), ""),
        (1, say(WARD, "words"), "PERMISSION_DENIED"),
        (1, history(), "PERMISSION_DENIED"),
    ] {
        let wire = if who == 0 { &mut meg } else { &mut ray };
        let asked = format!("{command:?}");
        assert_eq!(tries(wire, command).await, expected, "{asked}");
    }
    // Who may not read what was is shown none of it when they join, and hears what comes.
    let joined = ray.joins(v1::Join { rewind: 10, ..join(WARD) }).await;
    assert!(!joined.recovered, "{joined:?}");
    meg.joins(join(WARD)).await;
    ray.asks(Command::Typing(v1::TypingSet { room: WARD.to_owned(), active: true })).await;
    let typing = meg.until(|kind| match kind {
        Kind::Typing(typing) => Some(typing.user.clone()),
        _ => None,
    });
    assert_eq!(typing.await, "ray");
    meg.asks(say(WARD, "words")).await;
    let heard = ray.until(|kind| match kind {
        Kind::Message(message) => Some(message.number),
        _ => None,
    });
    assert_eq!(heard.await, 2);
}

#[tokio::test]
async fn a_role_of_the_token_reaches_rooms_that_its_bearer_is_no_member_of() {
    let hub = with_a_ward().await;
    let mut nurse = enters(&hub, "nina", &["cook", "nurse"]).await;
    let mut auditor = enters(&hub, "audrey", &["auditor"]).await;
    // A role that the ward does not know, though members have one of that name.
    let mut guest = enters(&hub, "gus", &["owner"]).await;
    nurse.joins(join(WARD)).await;
    for (who, command, expected) in [
        (0, say(WARD, "words"), ""),
        (0, history(), "PERMISSION_DENIED"),
        (0, add("new1", Role::Member), ""),
        (0, add("new2", Role::Owner), "PERMISSION_DENIED"),
        (0, say("ward:none", "words"), "NOT_FOUND"),
        (0, say("conversation:1", "words"), "ACCESS_DENIED"),
        (1, history(), ""),
        (1, say(WARD, "words"), "PERMISSION_DENIED"),
        (1, Command::Join(join(WARD)), "PERMISSION_DENIED"),
        (2, history(), "ACCESS_DENIED"),
        (2, Command::Join(join(WARD)), "ACCESS_DENIED"),
    ] {
        let wire = [&mut nurse, &mut auditor, &mut guest].into_iter().nth(who).unwrap();
        let asked = format!("{who}: {command:?}");
        assert_eq!(tries(wire, command).await, expected, "{asked}");
    }
    // Rooms are made in the first namespace that lets one.
    let mut made = Vec::new();
    for wire in [&mut nurse, &mut guest] {
        let create = Command::ConversationCreate(v1::ConversationCreate::default());
        let Kind::ConversationCreated(created) = wire.asks(create).await else { panic!("created") };
        made.push(created.room.split_once(':').unwrap().0.to_owned());
    }
    assert_eq!(made, ["ward", "conversation"]);
}

#[tokio::test]
async fn a_new_token_without_the_role_ends_what_it_gave() {
    let hub = with_a_ward().await;
    let mut wires =
        [("carl", enters(&hub, "carl", &["board"]).await), ("meg", enters(&hub, "meg", &["board"]).await)];
    for (user, wire) in &mut wires {
        wire.joins(join(WARD)).await;
        let token = hub.token_that_says(&json!({"sub": user, "roles": []}));
        let refreshed = wire.asks(Command::RefreshToken(v1::RefreshToken { token })).await;
        assert!(matches!(refreshed, Kind::Done(_)));
    }
    let mut olga = enters(&hub, "olga", &[]).await;
    olga.asks(say(WARD, "words")).await;
    let [(_, carl), (_, meg)] = &mut wires;
    let next = |kind: &Kind| match kind {
        Kind::Left(left) => Some(format!("{:?}", left.reason())),
        Kind::Message(message) => Some(message.number.to_string()),
        _ => None,
    };
    assert_eq!(carl.until(next).await, "Denied");
    assert_eq!(meg.until(next).await, "1", "who is a member as well goes on");
    assert_eq!(code(&carl.asks(Command::Join(join(WARD))).await), "ACCESS_DENIED");
}
