//! `carillon admin audit`, and a hub whose log cannot be written.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use carillon_client::v1;
use carillon_client::v1::hub_service_client::HubServiceClient;
use carillon_tests::command::{Carillon, Ran, Running, carillon};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Request};

const PORTS: [&str; 6] = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bridge", "127.0.0.1:0"];

/// A development hub that keeps a log.
fn serves(data: &Path) -> Running {
    let serve = carillon(["serve", "--dev", "--audit", "--json"]).arg("--data").arg(data);
    let mut hub = PORTS.into_iter().fold(serve, Carillon::arg).start();
    hub.line();
    hub
}

fn of(data: &Path, line: &str) -> Carillon {
    carillon(line.split_whitespace()).arg("--data").arg(data)
}

/// The one file of a log.
fn file(data: &Path) -> PathBuf {
    let mut files = fs::read_dir(data.join("audit")).unwrap().map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_some_and(|kind| kind == "jsonl")).unwrap()
}

/// A log of a hub that has stopped, with what it noted at its end.
fn log() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let hub = serves(folder.path());
    of(folder.path(), "send room:lobby --as alice").input("one\ntwo\nthree\n").run().good();
    hub.signalled("TERM").good();
    let hub = serves(folder.path());
    let heads = of(folder.path(), "admin audit heads --json").run().good();
    fs::write(folder.path().join("heads"), heads.out).unwrap();
    hub.signalled("TERM").good();
    folder
}

fn verifies(data: &Path) -> Ran {
    of(data, "admin audit verify --json").arg("--heads").arg(data.join("heads")).run()
}

#[test]
fn a_log_is_whole_until_somebody_changes_it() {
    let folder = log();
    let whole = verifies(folder.path()).good().object();
    assert!(whole["lines"].as_u64() > Some(8) && whole["heads"] == 1, "{whole}");
    let file = file(folder.path());
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().map(|line| format!("{line}\n")).collect();
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    for (harmed, said) in [
        (text.replace("\"user\":\"alice\"", "\"user\":\"bob\""), "was changed"),
        ([&lines[..3], &lines[4..]].concat().concat(), "line 4 is missing"),
        (swapped.concat(), "stands in the wrong place"),
        (lines[..4].concat(), "the end is cut off"),
        (format!("{text}no line\n"), "something that is no line"),
    ] {
        fs::write(&file, harmed).unwrap();
        let ran = verifies(folder.path());
        assert!(ran.code == Some(1) && ran.out.contains(said), "{said}: {ran:?}");
    }
}

/// It reads files: no development token is of any use for that.
#[test]
fn without_a_token_a_file_says_where_the_log_stood() {
    let folder = log();
    fs::remove_file(folder.path().join("dev-tokens.json")).unwrap();
    let ran = of(folder.path(), "admin audit verify").run();
    let said = &ran.err;
    assert!(
        ran.code == Some(1) && said.contains("--heads") && said.contains("audit heads --json"),
        "{ran:?}"
    );
    assert!(!said.contains("dev") && !said.contains("serve"), "{said}");
    verifies(folder.path()).good();
}

#[test]
fn a_running_hub_says_where_its_log_stood() {
    let folder = log();
    let hub = serves(folder.path());
    let ran = of(folder.path(), "admin audit verify").run().good();
    assert!(
        ran.out.contains("1 places noted in the store are as noted") || ran.out.contains("2 places"),
        "{ran:?}"
    );
    of(folder.path(), "admin audit heads --as service").run().fails("PERMISSION_DENIED");
    hub.signalled("TERM").good();
}

#[test]
fn standard_output_can_be_gone_over_too() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = prints(folder.path(), "warn");
    let printed = hub.signalled("TERM");
    assert!(printed.code == Some(0) && printed.out.contains("hub.stopped"), "{printed:?}");
    fs::write(folder.path().join("heads"), "").unwrap();
    let verify =
        of(folder.path(), "admin audit verify - --json").arg("--heads").arg(folder.path().join("heads"));
    // The first two lines were read before.
    let report =
        verify.input(format!("{}{}", fs::read_to_string(folder.path().join("read")).unwrap(), printed.out));
    assert!(report.run().good().object()["lines"].as_u64() > Some(2));
}

#[test]
fn where_lines_cannot_be_kept_nobody_new_comes_in_if_so_configured() {
    let folder = tempfile::tempdir().unwrap();
    let (mut hub, address) = prints(folder.path(), "refuse");
    let token = carillon(["token", "alice", "--tenant", "acme", "--config"])
        .arg(folder.path().join("carillon.toml"))
        .run()
        .good();
    let rooms = || carillon(["rooms", "--addr", &address, "--token", token.out.trim()]);
    rooms().run().good();
    assert_eq!(asks_for_a_ticket(&address, token.out.trim()), None);
    hub.is_read_no_more();
    // The first who comes is let in, and their line cannot be written.
    while of(folder.path(), &format!("history room:lobby --addr {address} --token {}", token.out.trim()))
        .run()
        .code
        == Some(0)
    {}
    rooms().run().fails("UNAVAILABLE");
    // Nor has anyone a ticket.
    assert_eq!(asks_for_a_ticket(&address, token.out.trim()), Some(Code::Unavailable));
    // An emergency is told all the same.
    let service = carillon(["token", "school", "--service", "--tenant", "acme", "--config"])
        .arg(folder.path().join("carillon.toml"))
        .run()
        .good();
    let notify = |priority: &str| {
        let line = ["notify", "--user", "bob", "Leave the building", "--priority", priority];
        let service = ["--tenant", "acme", "--addr", &address, "--token", service.out.trim()];
        carillon(line.into_iter().chain(service)).run()
    };
    notify("critical").good();
    notify("normal").fails("UNAVAILABLE");
    // And a stolen token is revoked.
    let revoke = ["admin", "revoke", "--user", "mallory", "--tenant", "acme", "--addr", &address, "--token"];
    carillon(revoke).arg(service.out.trim()).run().good();
    hub.signalled("TERM");
}

/// Why whoever shows a token gets no ticket.
fn asks_for_a_ticket(address: &str, token: &str) -> Option<Code> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let url = format!("http://{address}").try_into().unwrap();
        let mut asked = Request::new(v1::CreateTicketRequest::default());
        asked.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let mut hub = HubServiceClient::new(Channel::builder(url).connect_lazy());
        hub.create_ticket(asked).await.err().map(|status| status.code())
    })
}

/// What a line of a message that was sent calls its sender's token, once it is written.
fn token_of_a_sender(data: &Path) -> String {
    loop {
        let text = fs::read_to_string(file(data)).unwrap();
        // The last one may be written in part.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        if let Some(line) = lines.into_iter().find(|line| line["event"] == "message_send") {
            return line["token"].as_str().unwrap().to_owned();
        }
    }
}

#[test]
fn a_token_is_revoked_by_what_a_line_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let hub = serves(folder.path());
    of(folder.path(), "send room:lobby hello --as alice").run().good();
    let hash = token_of_a_sender(folder.path());
    let revoke = |hash: &str| of(folder.path(), &format!("admin revoke --sha256 {hash} --as service")).run();
    for wrong in [hash[1..].to_owned(), format!("g{}", &hash[1..])] {
        let ran = revoke(&wrong);
        assert!(ran.code == Some(2) && ran.err.contains("64 hexadecimal digits"), "{ran:?}");
    }
    of(folder.path(), "rooms --as alice").run().good();
    revoke(&hash).good();
    of(folder.path(), "rooms --as alice").run().fails("TOKEN_REVOKED");
    of(folder.path(), "rooms --as bob").run().good();
    let at = ["--expires", "1", "--as", "service"].join(" ");
    of(folder.path(), &format!("admin revoke --sha256 {hash} {at}")).run().fails("token.expires_ms");
    hub.signalled("TERM").good();
}

#[test]
fn whoever_takes_no_lines_does_not_keep_it_from_ending_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, address) = prints(folder.path(), "warn");
    let token = carillon(["token", "alice", "--tenant", "acme", "--config"])
        .arg(folder.path().join("carillon.toml"))
        .run()
        .good();
    // More lines than a pipe holds.
    let said = "words\n".repeat(500);
    let sent =
        carillon(["send", "room:lobby", "--addr", &address, "--token", token.out.trim()]).input(said).run();
    sent.good();
    let ended = hub.signalled_unread("TERM");
    assert!(ended.code == Some(1) && ended.err.contains("the audit log was not closed"), "{ended:?}");
}

/// A hub that writes its log to standard output, and where it listens. It has started; what it printed until then is in
/// the file `read`.
fn prints(folder: &Path, on_failure: &str) -> (Running, String) {
    // Nobody listens there once this is dropped.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = format!(
        "[grpc]\nlisten = \"{free}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n\
         [auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
         [audit]\nto = \"stdout\"\non_failure = \"{on_failure}\"\n\
         [limits]\nsend = \"off\"\ncommands = \"off\"\n\
         [[namespace]]\nname = \"room\"\njoin = \"tenant\"\nsend = \"tenant\"\n",
        folder.display().to_string()
    );
    fs::write(folder.join("carillon.toml"), config).unwrap();
    let mut hub = carillon(["hub", "--json", "--config"]).arg(folder.join("carillon.toml")).start();
    let read = [hub.line(), hub.line()].map(|line| format!("{}\n", line.trim_end()));
    assert!(read[0].contains("audit.file") && read[1].contains("hub.started"), "{read:?}");
    fs::write(folder.join("read"), read.concat()).unwrap();
    (hub, free)
}
