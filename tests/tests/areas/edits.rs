//! Edits, deletions and reactions: live, in history and in replay.

use carillon_client::{Event, v1};
use carillon_tests::story::{member, seq_of, text_of, verdict};
use carillon_tests::{Person, hub};
use v1::Role;

const ROOM: &str = "room:lobby";

fn edit(seq: u64, words: &str, expected_version: Option<u32>) -> v1::MessageEdit {
    let content = Some(carillon_client::text(words));
    v1::MessageEdit { room: ROOM.into(), seq, content, expected_version }
}

async fn message_at(person: &Person, room: &str, seq: u64) -> v1::Message {
    let log = person.reads(room).await;
    log.into_iter()
        .find_map(|event| match event {
            Event::Message(message) if carillon_tests::seq(&message) == seq => Some(*message),
            _ => None,
        })
        .expect("the message is in the log")
}

#[tokio::test]
async fn edits_are_seen_live_and_in_history() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    bob.joins(ROOM).await;
    let seq = alice.says(ROOM, "helo").await;
    let first = alice.client.edit_message(edit(seq, "hello", Some(1))).await.unwrap();
    assert_eq!(first.version, 2);
    let heard = bob.hears_through(ROOM, seq_of(&first)).await;
    let Some(Event::MessageEdited(edited)) = heard.last() else { panic!("{heard:?}") };
    assert_eq!((edited.target_seq, edited.version, text_of(edited.content.as_ref())), (seq, 2, "hello"));
    assert_eq!(verdict(alice.client.edit_message(edit(seq, "again", Some(1))).await), "CONFLICT");
    let second = alice.client.edit_message(edit(seq, "hello all", None)).await.unwrap();
    assert_eq!(second.version, 3);
    let now = message_at(&bob, ROOM, seq).await;
    assert_eq!((now.version, text_of(now.content.as_ref())), (3, "hello all"));
    assert_eq!(now.edited_time_ms, second.time_ms);
    assert_eq!(verdict(bob.client.edit(ROOM, seq, "mine").await), "PERMISSION_DENIED");
    // A retry under the same key does nothing again.
    let keyed = alice.client.with_key(&b"third-edit"[..]);
    let third = keyed.edit(ROOM, seq, "hello everybody").await.unwrap();
    let retried = keyed.edit(ROOM, seq, "hello everybody").await.unwrap();
    assert!(retried.duplicate && retried.version == 4 && retried.position == third.position);
}

#[tokio::test]
async fn the_edit_window_ends() {
    let brief = |config: &mut carillon_hub::config::Config| {
        for namespace in config.namespaces.iter_mut().filter(|n| n.name == "room") {
            namespace.edit_window = Some(std::time::Duration::from_secs(1));
        }
    };
    let hub = hub().with(brief).start().await;
    let alice = hub.enters("alice").await;
    assert_eq!(alice.joins(ROOM).await.rules.unwrap().edit_window_ms, Some(1_000));
    let sent = alice.client.send(ROOM, "helo").await.unwrap();
    let seq = sent.position.unwrap().seq;
    alice.client.edit(ROOM, seq, "hello").await.unwrap();
    // The hub's own clock says when it is over.
    while alice.client.ping().await.unwrap().time_ms < sent.time_ms + 1_000 {
        // Asks again.
    }
    assert_eq!(verdict(alice.client.edit(ROOM, seq, "too late").await), "PERMISSION_DENIED");
    alice.client.delete(ROOM, seq).await.unwrap();
}

#[tokio::test]
async fn a_deletion_leaves_a_tombstone_everywhere() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Moderator), ("carol", Role::Member)]).await;
    let since = bob.joins(&room).await.position;
    let seq = alice.says(&room, "a secret").await;
    let edited = seq_of(&alice.client.edit(&room, seq, "a better secret").await.unwrap());
    alice.client.react(&room, seq, "+1", true).await.unwrap();
    let carol = hub.enters("carol").await;
    assert_eq!(verdict(carol.client.delete(&room, seq).await), "PERMISSION_DENIED");
    let deleted = bob.client.delete(&room, seq).await.unwrap();
    let heard = bob.hears_through(&room, seq_of(&deleted)).await;
    let Some(Event::MessageDeleted(deletion)) = heard.last() else { panic!("{heard:?}") };
    assert_eq!((deletion.target_seq, deletion.header.as_ref().unwrap().sender.as_str()), (seq, "bob"));
    // By replay and by history alike.
    let mut late = hub.enters("carol").await;
    let join = v1::Join { room: room.clone(), since, ..Default::default() };
    assert!(late.client.join_with(join).await.unwrap().recovered);
    let replay = late.hears_through(&room, seq_of(&deleted)).await;
    let replay: Vec<_> = replay.into_iter().filter(|event| event.entry().is_some()).collect();
    let history = carol.reads(&room).await;
    assert_eq!(replay, history[history.len() - replay.len()..]);
    assert!(!format!("{replay:?}").contains("secret"));
    for event in &replay {
        match event {
            Event::Message(message) => {
                assert!(message.deleted && message.content.is_none() && message.reactions.is_empty());
            }
            Event::MessageEdited(edit) => {
                assert_eq!(edit.header.as_ref().unwrap().seq, edited);
                assert!(edit.content.is_none());
            }
            _ => {}
        }
    }
    let again = alice.client.delete(&room, seq).await.unwrap();
    assert!(again.duplicate, "what is deleted is deleted");
    assert_eq!(verdict(alice.client.edit(&room, seq, "back").await), "CONFLICT");
    assert_eq!(verdict(alice.client.react(&room, seq, "+1", true).await), "CONFLICT");
}

#[tokio::test]
async fn an_edit_of_what_waits_in_the_tail_never_shows_what_was_deleted() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let bystander = hub.enters("dora").await;
    bystander.joins(ROOM).await;
    let seq = alice.says(ROOM, "a secret").await;
    alice.client.delete(ROOM, seq).await.unwrap();
    // The room is live and its tail has the message: whoever joins now gets the tombstone all the same.
    let mut bob = hub.enters("bob").await;
    bob.joins_from_the_start(ROOM).await;
    let heard = bob.hears_through(ROOM, seq + 1).await;
    assert!(!format!("{heard:?}").contains("secret"), "{heard:?}");
}

#[tokio::test]
async fn reactions_add_up_and_are_taken_back() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let names: Vec<String> = (0..23).map(|n| format!("u{n:02}")).collect();
    let members = names.iter().map(|name| member(name, Role::Member)).collect();
    let create = v1::ConversationCreate { members, ..Default::default() };
    let room = alice.client.conversation_create(create).await.unwrap().room;
    let seq = alice.says(&room, "who comes?").await;
    let mut listener = hub.enters("u00").await;
    listener.joins(&room).await;
    for name in &names {
        let person = carillon_client::Executor::new(hub.options(name)).unwrap();
        let reaction = v1::ReactionSet { room: room.clone(), seq, key: "👍".into(), add: true };
        let command = v1::session_request::Command::Reaction(reaction);
        person.call::<v1::EntryAccepted>(command).await.unwrap();
    }
    alice.client.react(&room, seq, "👎", true).await.unwrap();
    alice.client.react(&room, seq, "👎", true).await.unwrap();
    let taken = listener.client.react(&room, seq, "👍", false).await.unwrap();
    let heard = listener.hears_through(&room, seq_of(&taken)).await;
    let Some(Event::Reaction(last)) = heard.last() else { panic!("{heard:?}") };
    assert_eq!((last.target_seq, last.key.as_str(), last.add), (seq, "👍", false));
    let reactions = message_at(&alice, &room, seq).await.reactions;
    let summary: Vec<_> = reactions.iter().map(|r| (r.key.as_str(), r.count, r.users.len())).collect();
    assert_eq!(summary, [("👍", 22, 20), ("👎", 1, 1)], "in the order of their keys");
    assert_eq!(reactions[0].users[0], "u01");
    let keyed = alice.client.with_key(&b"same-key"[..]);
    keyed.react(&room, seq, "x", true).await.unwrap();
    assert_eq!(verdict(keyed.react(&room, seq, "y", true).await), "CONFLICT", "another command under a key");
}
