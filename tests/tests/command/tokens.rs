//! `token`.

use carillon_tests::command::carillon;
use carillon_tests::process::HubProcess;

#[test]
fn a_token_opens_the_hub_whose_secret_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let token = carillon(["token", "carol", "--data"]).arg(folder.path()).run().good();
    let token = token.out.trim();
    let sent = carillon(["send", "room:a", "hello", "--token", token, "--addr", hub.address()]).run().good();
    assert_eq!(sent.out, "sent as #1\n");
    let service = carillon(["token", "clerk", "--service", "--minutes", "5", "--json", "--data"])
        .arg(folder.path())
        .run()
        .good()
        .object();
    let service = service["token"].as_str().unwrap();
    let rooms =
        ["admin", "members", "room:a", "--tenant", "dev", "--token", service, "--addr", hub.address()];
    carillon(rooms).run().good();
    let wrong = carillon(["token", "a b", "--data"]).arg(folder.path()).run();
    assert!(wrong.code == Some(1) && wrong.err.starts_with("error: "), "{wrong:?}");
    let two = ["token", "carol", "--tenant", "a", "--tenant", "b", "--data"];
    carillon(two).arg(folder.path()).run().fails("a user has one tenant");
}

#[test]
fn no_secret_is_made_for_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let ran = carillon(["token", "carol", "--data"]).arg(folder.path()).run();
    let ran = ran.fails("there is no development secret in");
    assert!(ran.err.contains("carillon serve --dev"), "{ran:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // Also where the default folder is there.
    std::fs::create_dir(folder.path().join("carillon-data")).unwrap();
    carillon(["token", "carol"]).within(folder.path()).run().fails("there is no development secret in");
}

#[test]
fn a_development_secret_that_was_copied_makes_tokens_good_in_both_places() {
    let (first, other, alone) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hub = HubProcess::start(first.path());
    std::fs::copy(first.path().join("dev-secret"), other.path().join("dev-secret")).unwrap();
    let asks = |hub_there: &HubProcess| {
        carillon(["rooms", "--token", hub.token("alice"), "--addr", hub_there.address()]).run()
    };
    asks(&HubProcess::start(other.path())).good();
    asks(&HubProcess::start(alone.path())).fails("INVALID_TOKEN");
}
