//! What is typed beats the environment, and never conflicts with it.

use carillon_tests::command::carillon;
use carillon_tests::process::HubProcess;

#[test]
fn who_is_typed_beats_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let sent = hub
        .carillon("bob", &["send", "room:a", "hello"])
        .variable("CARILLON_TOKEN", "of somebody else")
        .variable("CARILLON_ADDR", "127.0.0.1:1")
        .run()
        .good();
    assert_eq!(sent.out, "sent as #1\n");
    let variables = |arguments: &[&str]| {
        carillon(arguments)
            .variable("CARILLON_TOKEN", hub.token("alice"))
            .variable("CARILLON_ADDR", hub.address())
            .variable("CARILLON_DATA", "nowhere")
    };
    assert_eq!(variables(&["send", "room:a", "hello"]).run().good().out, "sent as #2\n");
    let typed = variables(&["send", "room:a", "hello", "--token", hub.token("bob")]).run().good();
    assert_eq!(typed.out, "sent as #3\n");
    let heard = hub.carillon("alice", &["history", "room:a", "--json"]).run().good().objects();
    let senders: Vec<_> = heard.iter().map(|message| message["sender"].as_str().unwrap()).collect();
    assert_eq!(senders, ["bob", "alice", "bob"]);
    // With --data, the folder's tokens; without, the variable's folder.
    let data = carillon(["rooms", "--as", "alice"]).variable("CARILLON_DATA", folder.path());
    data.run().good();
}

#[test]
fn development_is_typed_beside_a_configuration_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let shown = carillon(["config", "show", "--dev", "--data"])
        .arg(folder.path())
        .variable("CARILLON_CONFIG", "nowhere.toml")
        .run()
        .good();
    assert!(shown.out.contains("mode = \"development\""), "{shown:?}");
    let other = folder.path().join("other");
    let mut serving =
        carillon(["serve", "--dev", "--json", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .arg("--bridge")
            .arg("127.0.0.1:0")
            .arg("--data")
            .arg(&other)
            .variable("CARILLON_CONFIG", "nowhere.toml")
            .variable("CARILLON_DATA", "nowhere")
            .start();
    assert!(serving.line().contains("\"grpc\""));
    assert_eq!(serving.signalled("TERM").code, Some(0));
    assert!(other.join("carillon.db").exists());
}

#[test]
fn a_configurations_data_is_not_redirected_by_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, other) = (folder.path().join("kept"), folder.path().join("other"));
    let shown = carillon(["config", "show", "--dev", "--data"]).arg(&kept).run().good();
    let file = folder.path().join("hub.toml");
    let free = shown.out.replace("127.0.0.1:7420", "127.0.0.1:0").replace("127.0.0.1:7421", "127.0.0.1:0");
    std::fs::write(&file, free.replace("127.0.0.1:7422", "127.0.0.1:0")).unwrap();
    for variable in [false, true] {
        let serve = carillon(["serve", "--json"]).variable("CARILLON_DATA", &other);
        let serve = if variable {
            serve.variable("CARILLON_CONFIG", &file)
        } else {
            serve.arg("--config").arg(&file)
        };
        let mut serving = serve.start();
        assert!(serving.line().contains("\"grpc\""));
        assert_eq!(serving.signalled("TERM").code, Some(0));
        assert!(kept.join("carillon.db").exists() && !other.exists());
    }
}
