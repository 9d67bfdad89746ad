//! `notify`.

use carillon_tests::process::HubProcess;
use serde_json::json;

#[test]
fn a_notification_reaches_whom_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let mut bob = hub.carillon("bob", &["listen", "--json", "--count", "2"]).start();
    bob.says("\"type\":\"connected\"");
    let notify = |arguments: &[&str]| hub.carillon("service", &[&["notify"], arguments].concat());
    let text =
        notify(&["--user", "bob", "Fire drill", "--priority", "critical", "--body", "at noon"]).run().good();
    assert!(text.out.starts_with("notified 1 users (") && text.out.ends_with(")\n"), "{text:?}");
    let sent = notify(&["--all", "Lunch", "--kind", "kitchen", "--data-pair", "dish=soup", "--json"])
        .run()
        .good()
        .object();
    assert_eq!(sent["duplicate"], false);
    let heard: Vec<serde_json::Value> =
        (0..2).map(|_| serde_json::from_str(&bob.says("\"type\":\"notification\"")).unwrap()).collect();
    assert_eq!((&heard[0]["title"], &heard[0]["text"]), (&json!("Fire drill"), &json!("at noon")));
    assert_eq!(heard[0]["priority"], "NOTIFICATION_PRIORITY_CRITICAL");
    assert_eq!(
        (&heard[1]["id"], &heard[1]["kind"], &heard[1]["data"]["dish"]),
        (&sent["id"], &json!("kitchen"), &json!("soup"))
    );
    assert_eq!(bob.ended().code, Some(0));
}

#[test]
fn only_a_service_notifies() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let ran = hub
        .carillon("alice", &["notify", "--user", "bob", "Hello", "--tenant", "dev"])
        .run()
        .fails("PERMISSION_DENIED");
    assert!(ran.err.contains("this needs a service token"), "{ran:?}");
    let usage = hub.carillon("service", &["notify", "Hello"]).run();
    assert_eq!((usage.code, usage.out.as_str()), (Some(2), ""));
}
