//! `send`, `publish` and `history`.

use carillon_tests::command::carillon;
use carillon_tests::process::HubProcess;
use serde_json::{Value, json};

fn texts(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["text"].as_str().unwrap()).collect()
}

#[test]
fn a_message_is_sent_and_is_in_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let sent = hub.carillon("alice", &["send", "room:a", "good", "morning"]).run().good();
    assert_eq!(sent.out, "sent as #1\n");
    let sent = hub
        .carillon(
            "bob",
            &["send", "room:a", "to you", "--reply-to", "1", "--attribute", "mood=fine", "--json"],
        )
        .run()
        .good()
        .object();
    assert_eq!((&sent["seq"], &sent["number"], &sent["duplicate"]), (&json!(2), &json!(2), &json!(false)));

    let history = hub.carillon("bob", &["history", "room:a"]).run().good();
    let lines = history.lines();
    assert!(lines.len() == 2 && lines[0].contains("alice") && lines[0].contains("good morning"), "{lines:?}");
    let objects = hub.carillon("bob", &["history", "room:a", "--json", "--all"]).run().good().objects();
    assert_eq!(texts(&objects), ["good morning", "to you"]);
    assert_eq!((&objects[1]["type"], &objects[1]["sender"]), (&json!("message"), &json!("bob")));
    assert_eq!((&objects[1]["reply_to"], &objects[1]["attributes"]), (&json!(1), &json!({"mood": "fine"})));
    let after = hub.carillon("bob", &["history", "room:a", "--json", "--after", "1"]).run().good().objects();
    assert_eq!(texts(&after), ["to you"]);
    let newest = hub.carillon("bob", &["history", "room:a", "--json", "--limit", "1"]).run().good().objects();
    assert_eq!(texts(&newest), ["to you"]);
}

#[test]
fn each_line_of_standard_input_is_a_message_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let words: Vec<_> = (0..300).map(|n| format!("line {n}")).collect();
    let input = words.join("\n") + "\n\n";
    let sent = hub.carillon("alice", &["send", "room:a", "--json"]).input(input).run().good().objects();
    let places =
        sent.iter().map(|object| (object["line"].as_u64().unwrap(), object["seq"].as_u64().unwrap()));
    assert!(places.eq((1..=300).map(|n| (n, n))));
    let stored = hub.carillon("alice", &["history", "room:a", "--all", "--json"]).run().good().objects();
    assert_eq!(texts(&stored), words);
    let quiet = hub.carillon("alice", &["send", "room:a"]).input("one more").run().good();
    assert_eq!(quiet.out, "");
}

#[test]
fn a_line_that_is_refused_ends_the_sending_and_the_account_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    // Far more lines than can be under way when the third fails.
    let lines: Vec<_> = (1..=1_000)
        .map(|n| if n == 3 || n == 5 { "x".repeat(10_001) } else { format!("line {n}") })
        .collect();
    let ran = hub.carillon("alice", &["send", "room:a", "--json"]).input(lines.join("\n")).run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let acknowledged: Vec<_> = ran.objects().iter().map(|object| object["line"].as_u64().unwrap()).collect();
    let stored = hub.carillon("alice", &["history", "room:a", "--all", "--json"]).run().good().objects();
    let expected: Vec<_> = acknowledged.iter().map(|n| format!("line {n}")).collect();
    assert_eq!(texts(&stored), expected, "just what was acknowledged is stored");
    assert!((2..200).contains(&acknowledged.len()), "no more was taken: {}", acknowledged.len());

    let account: Vec<_> = ran.err.lines().collect();
    assert!(account[0].starts_with("error: line 3 was not acknowledged: "), "{account:?}");
    let refused = if ran.err.contains("line 5") { "line 3, line 5" } else { "line 3" };
    let start = format!("{} acknowledged; refused: {refused}; nothing after line ", acknowledged.len());
    assert!(account[1].starts_with(&start), "{account:?}");
}

#[test]
fn lines_that_a_limit_puts_off_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let shown = carillon(["config", "show", "--dev", "--data"]).arg(&data).run().good().out;
    let limited = shown.replace("\nsend = \"off\"", "\nsend = \"5 + 1/1s\"");
    assert_ne!(limited, shown);
    let file = folder.path().join("hub.toml");
    let free = ["7420", "7421", "7422"].iter().fold(limited, |text, port| text.replace(port, "0"));
    std::fs::write(&file, free).unwrap();
    let mut hub = carillon(["hub", "--json", "--config"]).arg(&file).start();
    let ready: Value = serde_json::from_str(&hub.line()).unwrap();
    let token = carillon(["token", "alice", "--data"]).arg(&data).run().good().out;
    let alice = |arguments: &[&str]| {
        carillon(arguments)
            .arg("--token")
            .arg(token.trim())
            .arg("--addr")
            .arg(ready["grpc"].as_str().unwrap())
    };
    let words: Vec<_> = (1..=9).map(|n| format!("line {n}")).collect();
    let sent = alice(&["send", "room:a", "--json"]).input(words.join("\n")).run().good().objects();
    assert!(sent.iter().map(|object| object["line"].as_u64().unwrap()).eq(1..=9), "{sent:?}");
    let stored = alice(&["history", "room:a", "--all", "--json"]).run().good().objects();
    assert_eq!(texts(&stored), words);
    assert_eq!(hub.signalled("TERM").code, Some(0));
}

#[test]
fn lines_without_an_answer_are_not_called_refused() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let mut sending = hub.carillon("alice", &["send", "room:a", "--json"]).start_typing();
    sending.types("one\n");
    sending.says("\"line\":1");
    // The session is ended for good while the command waits for more lines.
    hub.carillon("service", &["admin", "disconnect", "--user", "alice"]).run().good();
    sending.types("two\n");
    let ran = sending.ended();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let account = ran.err.lines().nth(1).unwrap();
    assert_eq!(account, "1 acknowledged; unknown whether stored: line 2; nothing after line 2 was sent");
}

#[test]
fn events_are_published_durable_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let published = hub.carillon("alice", &["publish", "room:a", "lesson", "begins"]).run().good();
    assert_eq!(published.out, "published as #1\n");
    let again = hub.carillon("alice", &["publish", "room:a", "lesson", "--json"]).run().good().object();
    assert_eq!(again["position"]["seq"], 2);
    let passing =
        hub.carillon("alice", &["publish", "live:a", "pointer", "3,4", "--json"]).run().good().object();
    assert_eq!(passing, json!({"durable": false}));
}
