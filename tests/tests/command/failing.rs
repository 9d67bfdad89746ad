//! What is said where something is wrong, and what to do about it.

use std::net::TcpListener;

use carillon_tests::command::carillon;
use carillon_tests::process::HubProcess;

#[test]
fn no_hub_is_told_with_advice() {
    // Nobody listens there once this is dropped.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for command in
        [&["rooms"][..], &["send", "room:a", "hello"], &["listen", "room:a"], &["history", "room:a"]]
    {
        let ran = carillon(command)
            .arg("--addr")
            .arg(&free)
            .arg("--token")
            .arg("t")
            .run()
            .fails("cannot reach a hub");
        assert!(ran.err.contains("start a hub with `carillon serve --dev`"), "{ran:?}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for line in [
        "",
        "chat",
        "notify Lunch",
        "rooms --as a --token t",
        "admin erase",
        "nonsense",
        "listen --rewind 1001",
    ] {
        let ran = carillon(line.split_whitespace()).run();
        assert!(ran.code == Some(2) && ran.out.is_empty() && !ran.err.is_empty(), "{line}: {ran:?}");
    }
    let help = carillon(["--help"]).run().good();
    assert!(help.out.contains("listen") && help.out.contains("stress"));
}

#[test]
fn advice_fits_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    carillon(["rooms"]).run().fails("who are you: give --token, or --as alice");
    let stranger = hub.carillon("eve", &["rooms"]).run().fails("there is no development token for eve");
    assert!(stranger.err.contains("alice, bob, operator, service"), "{stranger:?}");
    let bad = carillon(["rooms", "--token", "a.b.c", "--addr", hub.address()]).run().fails("INVALID_TOKEN");
    assert!(bad.err.contains("give a token of this hub"), "{bad:?}");
    let denied = hub.carillon("bob", &["send", "conversation:none", "hello"]).run().fails("ACCESS_DENIED");
    assert!(denied.err.contains("admin add-member"), "{denied:?}");
    let service = hub.carillon("service", &["send", "room:a", "hello"]).run().fails("PERMISSION_DENIED");
    assert!(
        service.err.contains("this is for users") && !service.err.contains("service token"),
        "{service:?}"
    );
    let tokens = |command: &[&str]| {
        let given = carillon(command).arg("--token").arg(hub.token("service"));
        [hub.carillon("service", command), given.arg("--addr").arg(hub.address())]
    };
    for command in [&["history", "room:lobby"][..], &["rooms"], &["publish", "room:lobby", "bell"]] {
        for asked in tokens(command) {
            let ran = asked.run().fails("PERMISSION_DENIED");
            assert!(ran.err.contains("this is for users") && !ran.err.contains("your role"), "{ran:?}");
        }
    }
    let member =
        ["admin", "create-room", "conversation:1", "--member", "alice:owner", "--member", "bob:reader"];
    hub.carillon("service", &member).run().good();
    let guest = hub.carillon("bob", &["send", "conversation:1", "hello"]).run().fails("PERMISSION_DENIED");
    assert!(guest.err.contains("your role") && guest.err.contains("admin set-role"), "{guest:?}");
}

#[test]
fn a_development_secret_that_is_damaged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("dev-secret");
    std::fs::write(&secret, "short").unwrap();
    for command in [&["serve", "--dev"][..], &["token", "alice"]] {
        carillon(command).arg("--data").arg(folder.path()).run().fails(secret.to_str().unwrap());
    }
}

#[test]
fn a_room_of_no_namespace_is_not_advised_to_be_created_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let denied = hub.carillon("alice", &["chat", "nope:1"]).run().fails("ACCESS_DENIED");
    assert!(denied.err.contains("if the hub's configuration has a namespace \"nope\""), "{denied:?}");
    let made = hub.carillon("service", &["admin", "create-room", "nope:1"]).run().fails("NOT_FOUND");
    assert!(made.err.contains("no namespace"), "{made:?}");
}
