//! `chat`: what is typed, and what is shown.

use carillon_tests::process::HubProcess;
use serde_json::{Value, json};

/// A room's entries, oldest first.
fn stored(hub: &HubProcess, room: &str) -> Vec<Value> {
    hub.carillon("alice", &["history", room, "--all", "--json"]).run().good().objects()
}

#[test]
fn a_chat_that_is_piped_says_what_was_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let good = hub.carillon("alice", &["chat", "room:a"]).input("hello\n/quit\n").run().good();
    assert!(good.out.contains("hello"), "{good:?}");
    let bad = hub.carillon("alice", &["chat", "room:a"]).input("/edit #99 other words\nstill here\n").run();
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.out.contains("* not done: ") && bad.out.contains("still here"), "{bad:?}");
    assert!(bad.err.starts_with("error: not all that was typed was done"), "{bad:?}");
}

#[test]
fn what_names_no_message_is_about_the_line_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    hub.carillon("bob", &["send", "room:a", "first of all"]).run().good();
    let lines = "one\n/edit uno\n/react +1\ntwo\n/delete\n";
    hub.carillon("alice", &["chat", "room:a"]).input(lines).run().good();
    let stored = stored(&hub, "room:a");
    let changes: Vec<_> = stored
        .iter()
        .filter(|entry| entry["type"] != "message")
        .map(|entry| (entry["type"].as_str().unwrap(), entry["target_seq"].as_u64().unwrap()))
        .collect();
    assert_eq!(changes, [("message_edited", 2), ("reaction", 2), ("message_deleted", 5)]);
    assert_eq!((&stored[1]["text"], &stored[0]["text"]), (&json!("uno"), &json!("first of all")));
}

#[test]
fn what_was_typed_while_the_hub_was_away_is_about_what_was_said_then() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = HubProcess::start(folder.path());
    let mut chat = hub.carillon("alice", &["chat", "room:a"]).start_typing();
    chat.types("precious\n");
    chat.says("precious");
    hub.is_killed_and_starts_again(|| {
        chat.says("* reconnecting");
        chat.types("typo\n/delete\n");
    });
    let ran = chat.ended();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let stored = stored(&hub, "room:a");
    assert_eq!((&stored[0]["deleted"], &stored[0]["text"]), (&json!(false), &json!("precious")));
    assert_eq!((&stored[1]["deleted"], &stored[2]["target_seq"]), (&json!(true), &json!(2)));
}

#[test]
fn nothing_older_is_deleted_for_a_line_that_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let mut chat = hub.carillon("alice", &["chat", "room:a"]).start_typing();
    chat.types("precious\n");
    chat.says("precious");
    // Whether it is known already that the line was refused does not matter.
    chat.types(&format!("{}\n/delete\n", "x".repeat(10_001)));
    chat.says("* not done: ");
    chat.types("/delete\n");
    let ran = chat.ended();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("* which message: name it"), "{ran:?}");
    let stored = stored(&hub, "room:a");
    assert_eq!((stored.len(), &stored[0]["deleted"]), (1, &json!(false)));
}

#[test]
fn a_chat_goes_on_in_a_log_that_took_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = HubProcess::start(folder.path());
    let lines = (1..=9).map(|n| format!("old {n}\n")).collect::<Vec<_>>().concat();
    let mut alice = hub.carillon("alice", &["chat", "room:a"]).start_typing();
    let mut bob = hub.carillon("bob", &["chat", "room:a"]).start_typing();
    bob.says("room:a, ");
    alice.types(&lines);
    alice.says("✓✓ #9 read by bob");
    bob.says("old 9");
    hub.is_killed_and_starts_again(|| {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        let database = files.filter(|file| file.to_str().unwrap().contains("/carillon."));
        database.for_each(|file| std::fs::remove_file(file).unwrap());
    });
    alice.says("messages were missed that cannot be recovered");
    bob.says("messages were missed that cannot be recovered");
    // None of the old log's is meant.
    alice.types("/delete\n");
    alice.says("* which message: name it");
    alice.types("new one\n");
    alice.says("#1 ");
    alice.types("/edit corrected\n/react +1\n/delete\n");
    for heard in ["new one", "edited #1: corrected", "reacted to #1", "deleted #1"] {
        bob.says(heard);
    }
    alice.types("another\n");
    alice.says("✓✓ #5 read by bob");
    assert_eq!(alice.ended().code, Some(1), "the first deletion was refused");
    assert_eq!(bob.ended().code, Some(0));
}
