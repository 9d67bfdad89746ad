//! What a token itself allows: rooms to users, abilities to services.

use carillon_client::v1::send_notification_request::Audience;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{AdminClient, ClientOptions, v1};
use carillon_hub::config::NamespaceSection;
use carillon_hub::domain::namespace::Who;
use carillon_tests::hub::TENANT;
use carillon_tests::story::{message, verdict};
use carillon_tests::wire::{Opening, code, greeting, join};
use carillon_tests::{PATIENCE, TestHub, Wire, hub};
use serde_json::{Value, json};

/// A hub with cases, whose rooms go by grants.
async fn with_cases() -> TestHub {
    let cases = NamespaceSection {
        name: "case".to_owned(),
        join: Who::Granted,
        send: Who::Granted,
        ..NamespaceSection::default()
    };
    hub().with(|config| config.namespaces.push(cases)).start().await
}

/// A token of alice that grants this in these rooms.
fn grants(hub: &TestHub, room: &str, can: &[&str]) -> String {
    hub.token_that_says(&json!({"rooms": [{"room": room, "can": can}]}))
}

async fn enters(hub: &TestHub, token: String) -> Wire {
    Wire::enters_with(hub, v1::Hello { token, ..greeting() }).await
}

#[tokio::test]
async fn a_token_says_in_which_rooms_its_bearer_may_do_what() {
    let hub = with_cases().await;
    let mut lawyer = enters(&hub, grants(&hub, "case:7*", &["join", "send", "history", "presence"])).await;
    lawyer.joins(join("case:7")).await;
    for words in ["one", "two"] {
        let sent = lawyer.asks(Command::MessageSend(message("case:7", words))).await;
        assert!(matches!(sent, Kind::MessageSent(_)), "{sent:?}");
    }
    assert_eq!(code(&lawyer.asks(Command::Join(join("case:8"))).await), "ACCESS_DENIED");
    let publish = v1::EventPublish { room: "case:7".into(), name: "filed".into(), ..Default::default() };
    assert_eq!(code(&lawyer.asks(Command::EventPublish(publish)).await), "PERMISSION_DENIED");

    // Who may follow and no more hears what comes, and cannot read what was.
    let mut clerk = enters(&hub, grants(&hub, "case:7", &["join"])).await;
    let joined = clerk.joins(v1::Join { rewind: 10, ..join("case:7") }).await;
    assert!(!joined.recovered, "{joined:?}");
    assert!(joined.presence.is_empty(), "{joined:?}");
    let history = v1::HistoryGet { room: "case:7".into(), ..Default::default() };
    assert_eq!(code(&clerk.asks(Command::History(history)).await), "PERMISSION_DENIED");
    let present = v1::PresenceGet { room: "case:7".into(), ..Default::default() };
    assert_eq!(code(&clerk.asks(Command::PresenceGet(present)).await), "PERMISSION_DENIED");
    assert_eq!(code(&clerk.asks(Command::MessageSend(message("case:7", "x"))).await), "PERMISSION_DENIED");
    lawyer.asks(Command::MessageSend(message("case:7", "three"))).await;
    let heard = clerk.until(|kind| match kind {
        Kind::Message(message) => Some(message.number),
        _ => None,
    });
    assert_eq!(heard.await, 3, "the first that it hears");
}

#[tokio::test]
async fn a_place_that_was_seen_is_where_a_follower_goes_on() {
    let hub = with_cases().await;
    let mut lawyer = enters(&hub, grants(&hub, "case:7", &["join", "send"])).await;
    let mut clerk = enters(&hub, grants(&hub, "case:7", &["join"])).await;
    let say = |words: &str| Command::MessageSend(message("case:7", words));
    lawyer.asks(say("before")).await;
    let joined = clerk.joins(join("case:7")).await;
    lawyer.asks(say("heard")).await;
    let place = clerk.until(|kind| match kind {
        Kind::Message(message) => message.header.clone(),
        _ => None,
    });
    let header = place.await;
    let epoch = joined.position.unwrap().epoch;
    let place = v1::Position { epoch, seq: header.seq, tag: header.tag };
    drop(clerk);
    lawyer.asks(say("missed")).await;
    let mut clerk = enters(&hub, grants(&hub, "case:7", &["join"])).await;
    let since = |position| v1::Join { since: Some(position), ..join("case:7") };
    let joined = clerk.joins(since(place)).await;
    assert!(joined.recovered && !joined.truncated, "{joined:?}");
    // The beginning, which nobody need have seen, is no such place.
    clerk.asks(Command::Leave(v1::Leave { room: "case:7".into() })).await;
    let joined = clerk.joins(since(v1::Position { seq: 0, tag: 0, ..place })).await;
    assert!(joined.truncated && !joined.recovered, "{joined:?}");
}

#[tokio::test]
async fn a_new_token_that_grants_less_ends_what_it_does_not_grant() {
    let hub = with_cases().await;
    let mut alice = enters(&hub, grants(&hub, "case:*", &["join"])).await;
    for room in ["case:7", "case:8", "room:lobby"] {
        alice.joins(join(room)).await;
    }
    let token = grants(&hub, "case:8", &["join"]);
    let refreshed = alice.asks(Command::RefreshToken(v1::RefreshToken { token })).await;
    assert!(matches!(refreshed, Kind::Done(_)));
    let left = alice.until(|kind| match kind {
        Kind::Left(left) => Some((left.room.clone(), left.reason())),
        _ => None,
    });
    assert_eq!(left.await, ("case:7".to_owned(), v1::LeaveReason::Denied));
    // What is left is the others: what comes there is heard.
    let mut other = enters(&hub, grants(&hub, "case:*", &["send"])).await;
    for room in ["case:7", "case:8"] {
        other.asks(Command::MessageSend(message(room, "words"))).await;
    }
    let heard = alice.until(|kind| match kind {
        Kind::Message(message) => Some(message.room.clone()),
        _ => None,
    });
    assert_eq!(heard.await, "case:8");
    assert_eq!(code(&alice.asks(Command::Join(join("case:7"))).await), "ACCESS_DENIED");
}

#[tokio::test]
async fn a_new_token_without_presence_ends_what_is_told_of_others() {
    let hub = with_cases().await;
    let all = ["join", "send", "presence"];
    let of = |user: &str, can: &[&str]| {
        hub.token_that_says(&json!({"sub": user, "rooms": [{"room": "case:*", "can": can}]}))
    };
    let mut alice = enters(&hub, of("alice", &all)).await;
    let mut carol = enters(&hub, of("carol", &all)).await;
    for wire in [&mut alice, &mut carol] {
        wire.joins(v1::Join { presence: true, ..join("case:7") }).await;
    }
    let mut bob = enters(&hub, of("bob", &all)).await;
    bob.joins(join("case:7")).await;
    let seen = alice.until(|kind| match kind {
        Kind::Presence(presence) => {
            presence.state.as_ref().map(|state| state.user.clone()).filter(|user| user == "bob")
        }
        _ => None,
    });
    seen.await;
    let token = of("alice", &["join", "send"]);
    let refreshed = alice.asks(Command::RefreshToken(v1::RefreshToken { token })).await;
    assert!(matches!(refreshed, Kind::Done(_)));
    let mut dave = enters(&hub, of("dave", &all)).await;
    dave.joins(join("case:7")).await;
    // Carol is told, so that it was told before what comes next.
    carol
        .until(|kind| match kind {
            Kind::Presence(presence) => {
                presence.state.as_ref().filter(|state| state.user == "dave").map(|_| ())
            }
            _ => None,
        })
        .await;
    dave.asks(Command::MessageSend(message("case:7", "words"))).await;
    let told = alice.until(|kind| match kind {
        Kind::Presence(presence) => Some(format!("{presence:?}")),
        Kind::Message(message) => Some(message.room.clone()),
        _ => None,
    });
    assert_eq!(told.await, "case:7");
    // With one that grants it again it has to be asked for again.
    let token = of("alice", &all);
    assert!(matches!(alice.asks(Command::RefreshToken(v1::RefreshToken { token })).await, Kind::Done(_)));
    let joined = alice.joins(v1::Join { presence: true, ..join("case:7") }).await;
    let present: Vec<_> = joined.presence.iter().map(|state| state.user.as_str()).collect();
    assert_eq!(present, ["alice", "bob", "carol", "dave"]);
}

#[tokio::test]
async fn a_moderator_by_grant_deletes_and_changes_members_below() {
    let hub = with_cases().await;
    let mut lawyer = enters(&hub, grants(&hub, "case:7", &["join", "send"])).await;
    lawyer.asks(Command::MessageSend(message("case:7", "wrong room"))).await;
    let clerk = hub.token_that_says(&json!({"sub": "clerk", "rooms": [{"room": "case:7", "can": ["join"]}]}));
    let chief = json!({"sub": "chief", "rooms": [{"room": "case:7", "can": ["join", "moderate"]}]});
    let delete = || Command::MessageDelete(v1::MessageDelete { room: "case:7".into(), seq: 1 });
    let mut clerk = enters(&hub, clerk).await;
    assert_eq!(code(&clerk.asks(delete()).await), "PERMISSION_DENIED");
    let mut chief = enters(&hub, hub.token_that_says(&chief)).await;
    assert!(matches!(chief.asks(delete()).await, Kind::EntryAccepted(_)));
}

#[tokio::test]
async fn a_grant_that_is_none_makes_no_token() {
    let hub = with_cases().await;
    for rooms in [
        json!("case:7"),
        json!([{"room": "*", "can": ["join"]}]),
        json!([{"room": "case:7", "can": ["everything"]}]),
        json!([{"room": "case:7", "can": "join"}]),
        json!([{"room": "case:7", "can": ["join"], "cannot": ["send"]}]),
        json!([{"room": "case:7"}]),
        json!(vec![json!({"room": "case:7", "can": []}); 101]),
    ] {
        let token = hub.token_that_says(&json!({"rooms": rooms}));
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        let refused = wire.asks(Command::Hello(v1::Hello { token, ..greeting() })).await;
        assert_eq!(code(&refused), "INVALID_TOKEN", "{rooms}");
    }
}

#[tokio::test]
async fn a_service_does_what_its_token_says() {
    let hub = hub().start().await;
    let service = |abilities: Value| {
        let claims = json!({"sub": "billing", "svc": true, "tenants": [TENANT], "abilities": abilities});
        let options = ClientOptions::new(hub.url()).token(hub.token_that_says(&claims));
        AdminClient::new(options, TENANT).unwrap()
    };
    let all = ["read", "rooms", "send", "notify", "sessions", "revoke", "erase"];
    for ability in all {
        let admin = service(json!([ability]));
        let room = || "room:lobby".to_owned();
        let alice = || "alice".to_owned();
        let notify = v1::SendNotificationRequest {
            audience: Some(Audience::Users(v1::UserList { users: vec![alice()] })),
            kind: "reminder".to_owned(),
            title: "now".to_owned(),
            ..Default::default()
        };
        let send = v1::SendMessageRequest {
            room: room(),
            content: Some(carillon_client::text("words")),
            ..Default::default()
        };
        let revoke = v1::RevokeTokensRequest {
            what: Some(v1::revoke_tokens_request::What::User("nobody".into())),
            ..Default::default()
        };
        let erase = v1::EraseUserRequest { user: "nobody".into(), ..Default::default() };
        let create = v1::CreateRoomRequest { room: format!("room:by-{ability}"), ..Default::default() };
        let reset = v1::ResetLimitsRequest { user: alice(), ..Default::default() };
        let done = [
            ("read", verdict(admin.get_statistics(v1::GetStatisticsRequest::default()).await)),
            ("rooms", verdict(admin.create_room(create).await)),
            ("send", verdict(admin.send_message(send).await)),
            ("notify", verdict(admin.send_notification(notify).await)),
            ("sessions", verdict(admin.reset_limits(reset).await)),
            ("revoke", verdict(admin.revoke_tokens(revoke).await)),
            ("erase", verdict(admin.erase_user(erase).await)),
        ];
        for (needed, verdict) in done {
            let expected = if needed == ability { "ok" } else { "PERMISSION_DENIED" };
            assert_eq!(verdict, expected, "{needed} with {ability}");
        }
    }
    let nothing = service(json!(["reed"])).get_statistics(v1::GetStatisticsRequest::default()).await;
    assert_eq!(verdict(nothing), "INVALID_TOKEN", "a word that is none of these");
}

/// That an entry was removed proves nothing: who may only listen is given none of what is left.
#[tokio::test]
async fn a_place_that_was_trimmed_is_no_way_into_the_history() {
    let cases = NamespaceSection {
        name: "case".to_owned(),
        join: Who::Granted,
        send: Who::Granted,
        retention_count: Some(3),
        ..NamespaceSection::default()
    };
    let hub = hub().with(|config| config.namespaces.push(cases)).start().await;
    let mut writer = enters(&hub, grants(&hub, "case:7", &["join", "send", "history"])).await;
    let epoch = writer.joins(join("case:7")).await.position.unwrap().epoch;
    for n in 0..10 {
        writer.asks(Command::MessageSend(message("case:7", &n.to_string()))).await;
    }
    let trimmed = async {
        loop {
            let bound = Some(v1::history_get::Bound::After(0));
            let oldest = v1::HistoryGet { room: "case:7".into(), bound, limit: 10 };
            let Kind::HistoryPage(page) = writer.asks(Command::History(oldest)).await else {
                panic!("a page")
            };
            if page.entries.len() <= 3 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, trimmed).await.expect("what is past the count goes");
    let mut listener = enters(&hub, grants(&hub, "case:7", &["join"])).await;
    for seq in [1, 2, 5, 7] {
        let since = Some(v1::Position { epoch, seq, tag: 12_345 });
        let joined = listener.joins(v1::Join { since, ..join("case:7") }).await;
        assert!(joined.truncated && !joined.recovered, "{seq}: {joined:?}");
    }
}
