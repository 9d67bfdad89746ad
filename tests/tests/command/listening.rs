//! `listen`, `rooms` and `notify`'s other end.

use carillon_tests::process::HubProcess;
use serde_json::json;

#[test]
fn what_happens_is_printed_as_it_happens() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    hub.carillon("alice", &["send", "room:a", "before"]).run().good();
    let mut text = hub.carillon("bob", &["listen", "room:a", "--rewind", "1", "--count", "2"]).start();
    assert_eq!(text.line(), "* connected as bob");
    text.says("before");
    let mut objects =
        hub.carillon("bob", &["listen", "room:a", "--json", "--count", "1", "--presence"]).start();
    objects.says("\"type\":\"joined\"");
    hub.carillon("alice", &["send", "room:a", "after"]).run().good();
    assert!(text.says("after").contains("room:a #2 alice"));
    let ran = text.ended();
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let message: serde_json::Value = serde_json::from_str(&objects.says("\"type\":\"message\"")).unwrap();
    assert_eq!((&message["text"], &message["seq"]), (&json!("after"), &json!(2)));
    assert_eq!(objects.ended().code, Some(0));
}

#[test]
fn what_could_not_be_printed_is_printed_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let file = folder.path().join("since.json");
    let listen = |count: &str| {
        hub.carillon("bob", &["listen", "room:a", "--rewind", "10", "--json", "--count", count])
            .arg("--since-file")
            .arg(&file)
    };
    let texts = |ran: carillon_tests::command::Ran| -> Vec<String> {
        let messages = ran.good().objects().into_iter().filter(|object| object["type"] == "message");
        messages.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    };
    hub.carillon("alice", &["send", "room:a"]).input("one").run().good();
    assert_eq!(texts(listen("1").run()), ["one"]);
    let mut broken = listen("9").start();
    // Its own room, and the two that the hub joins by itself: what comes next is an entry.
    for _ in 0..3 {
        broken.says("\"type\":\"joined\"");
    }
    broken.is_read_no_more();
    hub.carillon("alice", &["send", "room:a"]).input("two\nthree").run().good();
    // As `head` ends what it reads from: that is no error, but this was not printed.
    let ran = broken.ended();
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(texts(listen("2").run()), ["two", "three"]);
}

#[test]
fn only_rooms_that_are_named_are_carried_on_and_the_others_places_stay() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let file = folder.path().join("since.json");
    let listen = |arguments: &[&str]| {
        let arguments = [&["listen", "--json", "--since-file", file.to_str().unwrap()], arguments].concat();
        hub.carillon("bob", &arguments)
    };
    for room in ["room:a", "room:b", "org:dev"] {
        hub.carillon("alice", &["send", room]).input("one").run().good();
    }
    // Two of rooms that are named, and one of a room that the hub joins by itself, which begins at its end.
    let mut first = listen(&["room:a", "room:b", "--rewind", "5", "--count", "3"]).start();
    first.says("\"text\":\"one\"");
    first.says("\"text\":\"one\"");
    hub.carillon("alice", &["send", "org:dev", "two"]).run().good();
    assert_eq!(first.ended().code, Some(0));

    hub.carillon("alice", &["send", "room:b"]).input("two\nthree").run().good();
    hub.carillon("alice", &["send", "org:dev", "three"]).run().good();
    hub.carillon("alice", &["send", "room:a", "two"]).run().good();
    let mut second = listen(&["room:a", "--presence", "--count", "3"]).start();
    let mut lines = Vec::new();
    while lines.iter().filter(|line: &&String| line.contains("\"type\":\"message\"")).count() < 2 {
        lines.push(second.line());
    }
    hub.carillon("alice", &["send", "room:a", "three"]).run().good();
    let ran = second.ended();
    lines.extend(ran.lines().into_iter().map(str::to_owned));
    let objects: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |room: &str| {
        let messages = objects.iter().filter(|object| object["type"] == "message" && object["room"] == room);
        messages.map(|message| message["text"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((said("room:a"), said("room:b")), (vec!["two", "three"], vec![]), "{lines:?}");
    assert_eq!(said("org:dev"), ["three"], "what the hub joins by itself is carried on");
    let joined = objects.iter().find(|object| object["type"] == "joined" && object["room"] == "room:a");
    assert_eq!(joined.unwrap()["presence"][0]["user"], "bob", "presence was asked for now");

    let third = listen(&["room:b", "--count", "2"]).run().good();
    assert!(third.out.contains("\"text\":\"two\"") && third.out.contains("\"text\":\"three\""), "{third:?}");
}

#[test]
fn a_room_of_the_file_that_is_not_there_for_one_any_more_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let room = "conversation:1";
    let administers = |arguments: &[&str]| {
        hub.carillon("service", &[&["admin"], arguments].concat()).run().good();
    };
    let file = folder.path().join("since.json");
    let listens = || {
        let listen = ["listen", room, "--rewind", "5", "--count", "1"];
        hub.carillon("bob", &listen).arg("--since-file").arg(&file).run()
    };
    administers(&["create-room", room, "--member", "alice", "--member", "bob"]);
    hub.carillon("alice", &["send", room, "one"]).run().good();
    listens().good();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(room), "{text}");
    administers(&["remove-member", room, "bob"]);
    let ran = listens();
    assert!(ran.code == Some(1) && ran.err.starts_with("error: ACCESS_DENIED: conversation:1"), "{ran:?}");
    assert!(ran.err.contains("`carillon admin add-member conversation:1 bob`"), "{ran:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(room), "the place is kept: {text}");
}

#[test]
fn a_room_that_is_not_there_for_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let ran = hub.carillon("bob", &["listen", "conversation:secret"]).run();
    assert!(ran.code == Some(1) && ran.lines()[0] == "* connected as bob", "{ran:?}");
    assert!(ran.err.starts_with("error: ACCESS_DENIED") && ran.err.contains("add-member"), "{ran:?}");
}

#[test]
fn ctrl_c_ends_it_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let mut listening = hub.carillon("bob", &["listen", "room:a"]).start();
    listening.says("* joined room:a");
    let ran = listening.signalled("INT");
    assert_eq!((ran.code, ran.err.as_str()), (Some(130), ""));
    let mut sending = hub.carillon("alice", &["send", "room:a", "--json"]).start_typing();
    sending.types("one\n");
    sending.says("\"line\":1");
    let ran = sending.signalled("INT");
    assert_eq!((ran.code, ran.err.as_str()), (Some(130), ""));
}

#[test]
fn ones_rooms_are_listed_with_what_is_unread() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    assert_eq!(hub.carillon("bob", &["rooms"]).run().good().out, "");
    for room in ["conversation:1", "conversation:2"] {
        hub.carillon(
            "service",
            &["admin", "create-room", room, "--member", "alice:owner", "--member", "bob"],
        )
        .run()
        .good();
    }
    hub.carillon("alice", &["send", "conversation:2", "hello", "bob"]).run().good();
    let text = hub.carillon("bob", &["rooms"]).run().good();
    assert_eq!(text.lines().len(), 2);
    assert!(text.out.contains("conversation:2 (member, 1 unread)") && text.out.contains("hello bob"));
    let unread = hub.carillon("bob", &["rooms", "--unread", "--json"]).run().good().object();
    assert_eq!((&unread["room"], &unread["unread"]), (&json!("conversation:2"), &json!(1)));
    assert_eq!((&unread["role"], &unread["last_message"]["text"]), (&json!("member"), &json!("hello bob")));
    assert_eq!(hub.carillon("bob", &["rooms", "--limit", "1"]).run().good().lines().len(), 1);
}
