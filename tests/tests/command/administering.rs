//! `admin` and its subcommands.

use carillon_tests::command::Carillon;
use carillon_tests::process::HubProcess;
use serde_json::json;

struct Office(HubProcess);

impl Office {
    fn admin(&self, arguments: &[&str]) -> Carillon {
        self.0.carillon("service", &[&["admin"], arguments].concat())
    }
}

#[test]
fn rooms_are_made_shown_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office(HubProcess::start(folder.path()));
    let made = office
        .admin(&[
            "create-room",
            "conversation:1",
            "--member",
            "alice:owner",
            "--member",
            "bob",
            "--metadata",
            "name=Two",
        ])
        .run()
        .good();
    assert_eq!(made.out, "created conversation:1 (2 members, 0 messages, at #3) name=Two\n");
    office.admin(&["create-room", "conversation:1", "--member", "alice"]).run().fails("CONFLICT");
    let room = office.admin(&["room", "conversation:1", "--json"]).run().good().object();
    assert_eq!((&room["room"], &room["members"]), (&json!("conversation:1"), &json!(2)));
    let version = room["version"].to_string();
    let update = ["update-room", "conversation:1", "--set", "name=Both", "--version", &version];
    assert!(office.admin(&update).run().good().out.starts_with("done, as #"));
    office.admin(&update).run().fails("CONFLICT");
    office.admin(&["update-room", "conversation:1", "--remove", "name", "--json"]).run().good().object();
    let rooms = office.admin(&["rooms", "conversation:", "--json"]).run().good().object();
    assert_eq!(rooms["metadata"], json!({}));
    assert_eq!(office.admin(&["rooms", "nothing:"]).run().good().out, "");
    office.admin(&["room", "conversation:none"]).run().fails("NOT_FOUND");
}

#[test]
fn members_come_change_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office(HubProcess::start(folder.path()));
    office.admin(&["create-room", "conversation:1", "--member", "alice:owner"]).run().good();
    let added = office.admin(&["add-member", "conversation:1", "bob", "--json"]).run().good().object();
    assert_eq!(added["duplicate"], false);
    let role = ["set-role", "conversation:1", "bob", "--role", "moderator"];
    assert!(office.admin(&role).run().good().out.starts_with("done, as #"));
    assert!(office.admin(&["members", "conversation:1"]).run().good().out.contains("bob (moderator)"));
    office.admin(&["remove-member", "conversation:1", "bob"]).run().good();
    let left = office.admin(&["members", "conversation:1", "--json"]).run().good().object();
    assert_eq!(left, json!({"user": "alice", "role": "owner"}));
}

#[test]
fn services_speak_in_rooms() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office(HubProcess::start(folder.path()));
    assert_eq!(
        office.admin(&["send-message", "room:a", "school", "is", "out"]).run().good().out,
        "sent as #1\n"
    );
    let event = office.admin(&["publish", "room:a", "bell", "rings", "--json"]).run().good().object();
    assert_eq!(event["position"]["seq"], 2);
    assert_eq!(office.admin(&["publish", "live:a", "bell", "rings"]).run().good().out, "published\n");
    let heard = office.0.carillon("bob", &["history", "room:a", "--json"]).run().good().objects();
    assert_eq!((&heard[0]["text"], &heard[1]["name"]), (&json!("school is out"), &json!("bell")));
}

#[test]
fn sessions_are_listed_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office(HubProcess::start(folder.path()));
    let mut bob = office.0.carillon("bob", &["listen", "--instance", "phone"]).start();
    bob.says("* connected as bob");
    let session = office.admin(&["sessions", "--json"]).run().good().object();
    assert_eq!((&session["user"], &session["instance"]), (&json!("bob"), &json!("phone")));
    assert_eq!(office.admin(&["sessions", "alice"]).run().good().out, "");
    let statistics = office.admin(&["statistics", "--json"]).run().good().object();
    assert_eq!((&statistics["sessions"], &statistics["users"]), (&json!(1), &json!(1)));
    assert!(office.admin(&["statistics"]).run().good().out.starts_with("1 sessions of 1 users, "));
    let id = session["session"].as_str().unwrap();
    assert_eq!(office.admin(&["disconnect", "--session", id]).run().good().out, "ended 1 sessions\n");
    let ended = bob.ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.starts_with("error: the session has ended: SESSION_INVALIDATED"), "{ended:?}");
    let nobody = office.admin(&["disconnect", "--user", "bob", "--json"]).run().good().object();
    assert_eq!(nobody, json!({"disconnected": 0}));
}

#[test]
fn a_user_is_erased_only_when_it_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office(HubProcess::start(folder.path()));
    office.0.carillon("bob", &["send", "room:a", "a secret"]).run().good();
    office.admin(&["erase", "bob"]).run().fails("say --yes");
    let erased = office.admin(&["erase", "bob", "--yes", "--json"]).run().good().object();
    assert_eq!(erased, json!({"messages_blanked": 1, "notifications_removed": 0}));
    let left = office.0.carillon("alice", &["history", "room:a", "--json"]).run().good().object();
    assert_eq!((&left["deleted"], left.get("text")), (&json!(true), None));
}
