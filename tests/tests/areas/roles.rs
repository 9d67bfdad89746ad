//! Who may do what: each role with each action.

use carillon_client::{Client, CommandError, v1};
use carillon_tests::story::{member, verdict};
use carillon_tests::{Person, hub};
use v1::Role;

const ACTIONS: [&str; 17] = [
    "join",
    "history",
    "send",
    "edit",
    "react",
    "mark",
    "delete own",
    "delete another's",
    "add member",
    "add moderator",
    "add owner",
    "remove member",
    "remove moderator",
    "remove owner",
    "promote",
    "update",
    "leave",
];

/// Acts in a conversation of the owners ann and olga, the moderators mo and max, the members meg and tom, the readers
/// ray and ray2. `own` is a message of the actor's, `anns` one of ann's.
async fn acts(client: &Client, actor: &str, room: &str, own: u64, anns: u64, action: &str) -> String {
    let other = |name: &str, twin: &str| if actor == name { twin.to_owned() } else { name.to_owned() };
    match action {
        "join" => verdict(client.join(room).await),
        "history" => {
            let page = v1::HistoryGet { room: room.into(), ..Default::default() };
            verdict(client.history(page).await)
        }
        "send" => verdict(client.send(room, "hello").await),
        "edit" => verdict(client.edit(room, own, "better").await),
        "delete own" => verdict(client.delete(room, own).await),
        "delete another's" => verdict(client.delete(room, anns).await),
        "react" => verdict(client.react(room, anns, "+1", true).await),
        "mark" => verdict(client.mark_read(room, anns).await),
        "add member" => verdict(client.member_add(room, "new1", Role::Member).await),
        "add moderator" => verdict(client.member_add(room, "new2", Role::Moderator).await),
        "add owner" => verdict(client.member_add(room, "new3", Role::Owner).await),
        "remove member" => verdict(client.member_remove(room, other("tom", "meg")).await),
        "remove moderator" => verdict(client.member_remove(room, other("max", "mo")).await),
        "remove owner" => verdict(client.member_remove(room, other("olga", "ann")).await),
        "promote" => verdict(client.member_role(room, "ray2", Role::Member).await),
        "update" => {
            let metadata = [("title".to_owned(), action.to_owned())].into();
            let update = v1::ConversationUpdate { room: room.into(), metadata, ..Default::default() };
            verdict(client.conversation_update(update).await)
        }
        _ => verdict(client.member_remove(room, actor).await),
    }
}

async fn conversation(ann: &Person) -> String {
    let others = [
        ("olga", Role::Owner),
        ("mo", Role::Moderator),
        ("max", Role::Moderator),
        ("meg", Role::Member),
        ("tom", Role::Member),
        ("ray", Role::Reader),
        ("ray2", Role::Reader),
    ];
    ann.creates(&others).await
}

#[tokio::test]
async fn each_role_may_do_what_it_may() {
    let hub = hub().start().await;
    let ann = hub.enters("ann").await;
    // 1: ok, 0: PERMISSION_DENIED, 2: ACCESS_DENIED. An owner leaves with another owner in place.
    let table = [
        ("olga", [1; 17]),
        ("mo", [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1]),
        ("meg", [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("ray", [1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("nobody", [2; 17]),
    ];
    for (actor, expected) in table {
        let room = conversation(&ann).await;
        let person = hub.enters(actor).await;
        let anns = ann.says(&room, "first").await;
        // A reader has no message of their own: another's stands for it.
        let own = match person.client.send(&room, "mine").await {
            Ok(sent) => sent.position.unwrap().seq,
            Err(CommandError::Refused(_)) => ann.says(&room, "second").await,
            Err(other) => panic!("{other}"),
        };
        for (action, expected) in ACTIONS.iter().zip(expected) {
            let verdict = acts(&person.client, actor, &room, own, anns, action).await;
            let expected = ["PERMISSION_DENIED", "ok", "ACCESS_DENIED"][expected];
            assert_eq!(verdict, expected, "{actor}: {action}");
        }
    }
}

#[tokio::test]
async fn a_conversation_keeps_an_owner() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    assert_eq!(verdict(alice.client.member_remove(&room, "alice").await), "CONFLICT");
    assert_eq!(verdict(alice.client.member_role(&room, "alice", Role::Member).await), "CONFLICT");
    alice.client.member_role(&room, "bob", Role::Owner).await.unwrap();
    // Both at once: one of them stays.
    let (hers, his) =
        tokio::join!(alice.client.member_remove(&room, "alice"), bob.client.member_remove(&room, "bob"));
    let mut verdicts = [verdict(hers), verdict(his)];
    verdicts.sort();
    assert_eq!(verdicts, ["CONFLICT", "ok"]);
}

#[tokio::test]
async fn members_are_added_once_and_roles_are_of_members() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let again = alice.client.member_add(&room, "bob", Role::Member).await.unwrap();
    assert!(again.duplicate && again.position.unwrap().seq > 0);
    assert_eq!(verdict(alice.client.member_add(&room, "bob", Role::Reader).await), "CONFLICT");
    assert_eq!(verdict(alice.client.member_remove(&room, "carol").await), "NOT_FOUND");
    assert_eq!(verdict(alice.client.member_role(&room, "carol", Role::Reader).await), "NOT_FOUND");
    assert!(alice.client.member_role(&room, "bob", Role::Member).await.unwrap().duplicate);
    let unspecified = alice.client.member_role(&room, "bob", Role::Unspecified).await;
    assert_eq!(carillon_tests::story::wrong_field(unspecified), "role");
    alice.client.member_add(&room, "dora", Role::Unspecified).await.unwrap();
    let page = v1::MembersGet { room: room.clone(), ..Default::default() };
    let members = alice.client.members(page).await.unwrap().members;
    let expected = [member("alice", Role::Owner), member("bob", Role::Member), member("dora", Role::Member)];
    assert_eq!(members, expected);
    // A retry of a removal is answered as the removal was.
    let keyed = alice.client.with_key(&b"remove-bob"[..]);
    let removed = keyed.member_remove(&room, "bob").await.unwrap();
    let retried = keyed.member_remove(&room, "bob").await.unwrap();
    assert!(!removed.duplicate && retried.duplicate && removed.position == retried.position);
}
