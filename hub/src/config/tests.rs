//! Loading, refusing and showing settings, and that the documentation says what the code does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::domain::names::RoomName;
use crate::domain::namespace::{AutoJoin, Who};

mod keys;
mod roles;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ROOMS: &str = "[[namespace]]\nname = \"chat\"\n";

/// A file in a folder of its own.
fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("carillon.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let (_folder, path) = file(text);
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let hide = |error: ConfigError| error.to_string().replace(path.to_str().unwrap(), "FILE");
    Config::load_with(&path, variables).map_err(hide)
}

#[test]
fn variables_win_over_the_file() {
    let text =
        format!("[grpc]\nlisten = \"127.0.0.1:1\"\nworkers = 3\n[auth]\nsecret = \"{SECRET}\"\n{ROOMS}");
    let config = load(
        &text,
        &[
            ("CARILLON__GRPC__LISTEN", "[::1]:0"),
            ("CARILLON__GRPC__REFLECTION", "true"),
            ("CARILLON__AUTH__SECRET", "11111111111111112222222222222222"),
            ("CARILLON__AUTH__AUDIENCE", "[one, two]"),
            ("CARILLON__AUTH__CLAIMS__TENANT", "[school]"),
            ("CARILLON__SESSION__HEARTBEAT_INTERVAL", "1s500ms"),
            ("CARILLON_ADDR", "somebody else's"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.grpc.listen.to_string(), "[::1]:0");
    assert_eq!((config.grpc.workers, config.reflection()), (3, true));
    assert_eq!(config.session.heartbeat_interval, Duration::from_millis(1_500));
    assert_eq!(config.session_terms().heartbeat_interval_ms, 1_500);
    let options = config.authentication().unwrap();
    assert_eq!(options.audience, ["one", "two"]);
    assert_eq!(options.claims.tenant, ["school"]);
    assert_eq!(options.secret().unwrap().0.as_bytes(), b"11111111111111112222222222222222");
}

/// A file that is in order, and lines after it.
fn good(more: &str) -> String {
    format!("[auth]\nsecret = \"{SECRET}\"\n{ROOMS}{more}")
}

fn assert_refused(text: &str, variables: &[(&str, &str)], expected: &str) {
    let error = load(text, variables).map(|_| ()).unwrap_err();
    assert!(error.starts_with(expected), "{error}\ninstead of\n{expected}");
}

#[test]
fn errors_in_the_file_say_which_key_and_what_is_allowed() {
    for (more, expected) in [
        ("[grpc]\nlisten = \"here\"", "FILE: grpc.listen: an IP address and a port"),
        ("[grpc]\nlisten = 7", "FILE: grpc.listen: an IP address and a port"),
        ("[grpc]\nworkers = \"many\"", "FILE: grpc.workers: found string \"many\", allowed: usize"),
        ("[grpc]\nworkers = 300", "FILE: grpc.workers: 0 to 256"),
        ("[grpc]\nport = 1", "FILE: grpc.port: no such key, but one of `listen`"),
        ("[grcp]\nlisten = \"\"", "FILE: grcp: no such key, but one of `mode`"),
        ("[session]\nheartbeat_timeout = \"20s\"", "FILE: session.heartbeat_timeout: longer than"),
        ("[session]\nhello_timeout = 10", "FILE: session.hello_timeout: a duration such as"),
        ("[session]\nframe_bytes = 9999999", "FILE: session.frame_bytes: 16384 to 1048576"),
        ("[presence]\nhuge_room = 50", "FILE: presence.huge_room: presence.large_room at least"),
        ("[log]\nlevel = \"loud=very\"", "FILE: log.level: error, warn"),
        ("join = \"all\"", "FILE: namespace.0.join: found \"all\", allowed: one of `tenant`"),
        ("edit_window = \"0s\"", "FILE: namespace.chat.edit_window: 1s at least"),
        ("join = \"authorizer\"", "FILE: authorizer.url: required where"),
        ("[authorizer]\nurl = \"127.0.0.1:1\"", "FILE: authorizer.url: http://HOST:PORT or https"),
        ("[authorizer]\nurl = \"ftp://a:1\"", "FILE: authorizer.url: http://HOST:PORT or https"),
        (
            "[authorizer]\nurl = \"http://localhost:1\"\nca = \"/ca\"",
            "FILE: authorizer.ca: with an https:// address",
        ),
        ("[authorizer]\nurl = \"https://a:1\"\nca = \"/ca\"", "FILE: authorizer.ca: /ca: cannot be read"),
        ("[authorizer]\ntoken = 1234567", "FILE: authorizer.token: text in quotes"),
        ("durable = false", "FILE: namespace.chat.durable: true where"),
        (ROOMS, "FILE: namespace.chat.name: each name once"),
        ("[[namespace]]\nname = \"a:b\"", "FILE: namespace.a:b.name: required"),
        ("[[namespace]]\ndurable = true", "FILE: namespace.1.name: required"),
    ] {
        assert_refused(&good(more), &[], expected);
    }
    assert_refused(&format!("[auth]\nsecret = \"{SECRET}\""), &[], "FILE: namespace: required");
    assert_refused("[grpc", &[], "FILE: line 1: not valid TOML: ");
    let missing = Config::load_with(Path::new("/nowhere.toml"), []).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere.toml: cannot be read: "), "{missing}");
}

#[test]
fn errors_in_the_environment_name_the_variable() {
    for (name, value, expected) in [
        ("CARILLON__GRPC__WORKERS", "300", "grpc.workers: 0 to 256"),
        ("CARILLON__GRPC__PORT", "1", "grpc.port: no such key"),
        ("CARILLON__MODE", "prod", "mode: found \"prod\", allowed: `production`"),
        ("CARILLON____X", "1", ".x: no such key"),
        ("CARILLON__STORE__READERS", "x", "store.readers: found string \"x\""),
        ("CARILLON__AUTH__ALGORITHM", "none", "auth.algorithm: found \"none\", allowed: one of `HS256`"),
        ("CARILLON__AUTH__SECRET", "short", "auth.secret: at least 32 bytes"),
    ] {
        assert_refused(&good(""), &[(name, value)], &format!("variable {name}: {expected}"));
    }
}

#[test]
fn exactly_one_key_is_needed_and_none_is_ever_quoted() {
    let secret = "12345678901234567";
    let file = "CARILLON__AUTH__SECRET_FILE";
    let cases = [
        (
            good(""),
            vec![("CARILLON__AUTH__ALGORITHM", "RS256")],
            "FILE: auth.secret: this algorithm needs a public",
        ),
        (good(""), vec![(file, "/x")], "FILE: auth.secret: exactly one of"),
        (ROOMS.to_owned(), vec![], "FILE: auth.secret: required"),
        (
            ROOMS.to_owned(),
            vec![(file, "/nowhere/secret")],
            "variable CARILLON__AUTH__SECRET_FILE: auth.secret_file: /nowhere/secret cannot be read",
        ),
        (format!("[auth]\nsecret = {secret}"), vec![], "FILE: auth.secret: text in quotes"),
        (ROOMS.to_owned(), vec![("CARILLON__AUTH", secret)], "variable CARILLON__AUTH: auth: a section"),
        (format!("\n[auth]\nsecret = \"{secret}"), vec![], "FILE: line 3: not valid TOML: "),
    ];
    for (text, variables, expected) in cases {
        assert_refused(&text, &variables, expected);
        assert!(!load(&text, &variables).map(|_| ()).unwrap_err().contains(secret), "{expected}");
    }
}

#[test]
fn plain_text_stays_inside_unless_it_is_said_to_be_insecure() {
    for (section, more) in [("grpc", ""), ("bridge", "origins = [\"https://app.example.org\"]\n")] {
        for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let text = |insecure| good(&format!("[{section}]\nlisten = \"{listen}\"\n{more}{insecure}"));
            let expected = format!("FILE: {section}.listen: {listen} is reached from other machines");
            assert_refused(&text(""), &[], &expected);
            let error = load(&text(""), &[]).map(|_| ()).unwrap_err();
            assert!(error.contains(&format!("{section}.tls.certificate")), "{error}");
            assert!(error.contains(&format!("{section}.insecure = true")), "{error}");
            load(&text("insecure = true"), &[]).unwrap();
        }
        for listen in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            load(&good(&format!("[{section}]\nlisten = \"{listen}\"\n{more}")), &[]).unwrap();
        }
    }
}

#[test]
fn an_authoriser_on_another_machine_is_asked_within_tls_unless_it_is_said_to_be_insecure() {
    let text = |url: &str, more: &str| good(&format!("[authorizer]\nurl = \"{url}\"\n{more}"));
    for url in [
        "http://10.9.8.7:9000",
        "http://office.example.org:9000",
        "http://[2001:db8::1]:9000",
        "http://localhost.example.org:9000",
        "http://127.0.0.1@10.9.8.7:9000",
    ] {
        assert_refused(&text(url, ""), &[], "FILE: authorizer.url: https:// to another machine");
        load(&text(url, "insecure = true"), &[]).unwrap();
    }
    for url in
        ["http://127.0.0.1:9000", "http://127.8.8.8:9000", "http://[::1]:9000", "http://localhost:9000"]
    {
        load(&text(url, ""), &[]).unwrap();
    }
    load(&text("https://10.9.8.7:9000", ""), &[]).unwrap();
}

#[test]
fn certificates_are_looked_at_before_the_start() {
    let made = rcgen::generate_simple_self_signed(["hub".to_owned()]).unwrap();
    let (_one, certificate) = file(&made.cert.pem());
    let (_two, key) = file(&made.signing_key.serialize_pem());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let grpc =
        |more: &str| good(&format!("[grpc.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{more}"));
    load(&grpc(""), &[]).unwrap();
    load(&grpc(&format!("client_ca = \"{certificate}\"\nservices_need_certificate = true")), &[]).unwrap();
    for (text, expected) in [
        (grpc("client_ca = \"/nowhere\""), "FILE: grpc.tls.client_ca: /nowhere: cannot be read"),
        (
            grpc("services_need_certificate = true"),
            "FILE: grpc.tls.services_need_certificate: with grpc.tls.client",
        ),
        (
            grpc("[grpc]\nbridge_certificates = [\"b\"]"),
            "FILE: grpc.bridge_certificates: with grpc.tls.client_ca",
        ),
        (
            good(&format!("[grpc.tls]\ncertificate = \"{certificate}\"")),
            "FILE: grpc.tls.certificate: both or none",
        ),
        (good(&format!("[bridge.tls]\nkey = \"{key}\"")), "FILE: bridge.tls.key: both or none"),
        (
            good(&format!("[grpc.tls]\nclient_ca = \"{key}\"")),
            "FILE: grpc.tls.client_ca: with grpc.tls.certificate",
        ),
        (
            good(&format!("[bridge.tls]\ncertificate = \"{certificate}\"\nkey = \"{certificate}\"")),
            "FILE: bridge.tls.key: ",
        ),
    ] {
        assert_refused(&text, &[], expected);
    }
}

#[test]
fn a_bridges_key_is_long_enough_and_hidden() {
    let key = "12345678901234567890123456789012";
    let config = load(&good(&format!("[grpc]\nbridge_key = \"{key}\"")), &[]).unwrap();
    assert!(config.bridges().unwrap().know_key(key.as_bytes()));
    assert!(!format!("{config:?}{}", config.to_toml().unwrap()).contains(key));
    let from_variable = load(&good(""), &[("CARILLON__GRPC__BRIDGE_KEY", key)]).unwrap();
    assert!(from_variable.bridges().unwrap().know_key(key.as_bytes()), "digits are no number");
    let (_folder, path) = file(&format!("{key}\n"));
    let named = format!("[grpc]\nbridge_key_file = \"{}\"", path.display());
    assert!(load(&good(&named), &[]).unwrap().bridges().unwrap().know_key(key.as_bytes()));
    for (more, expected) in [
        ("[grpc]\nbridge_key = \"1234567\"".to_owned(), "FILE: grpc.bridge_key: at least 32 bytes"),
        ("[grpc]\nbridge_key = 12345678901234567".to_owned(), "FILE: grpc.bridge_key: text in quotes"),
        (
            format!("[grpc]\nbridge_key = \"{key} {key}\""),
            "FILE: grpc.bridge_key: at least 32 bytes, visible",
        ),
        (format!("{named}\nbridge_key = \"{key}\""), "FILE: grpc.bridge_key: at most one of"),
    ] {
        assert_refused(&good(&more), &[], expected);
    }
}

#[test]
fn settings_that_the_program_changed_are_checked() {
    let mut config = load(&format!("[auth]\nsecret = \"{SECRET}\"\n{ROOMS}"), &[]).unwrap();
    config.session.rooms_per_session = 0;
    let error = config.check().unwrap_err().to_string();
    assert_eq!(error, "settings: session.rooms_per_session: 1 to 10000");
}

#[test]
fn shown_settings_hide_secrets_and_load_again() {
    let text = format!("[auth]\nsecret = \"{SECRET}\"\n{ROOMS}retention_age = \"90d\"\n");
    let config = load(&text, &[]).unwrap();
    let shown = config.to_toml().unwrap();
    assert!(shown.contains("secret = \"(hidden)\"") && !shown.contains(SECRET), "{shown}");
    assert!(!format!("{config:?}").contains(SECRET));
    let again = load(&shown, &[("CARILLON__AUTH__SECRET", SECRET)]).unwrap();
    assert_eq!(again.to_toml().unwrap(), shown);
}

#[test]
fn development_needs_nothing_and_keeps_its_secret() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made/here");
    let secret = |config: &Config| config.authentication().unwrap().secret().unwrap().0.clone();
    let first = Config::development(&data).unwrap();
    let second = Config::development(&data).unwrap();
    assert_eq!(secret(&first), secret(&second));
    assert_eq!(secret(&first).as_bytes().len(), 64);
    let names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["dev-secret"]);
    let mode = fs::metadata(data.join("dev-secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(first.reflection());
    assert_eq!(first.log_format(), LogFormat::Text);
    assert_eq!(first.store.path, data);

    let rules = first.namespaces();
    let of = |room: &str| rules.rules(&RoomName::parse(room).unwrap()).unwrap().clone();
    assert!(of("conversation:1").create && of("conversation:1").join == Who::Members);
    assert_eq!((of("org:acme").join, of("org:acme").auto_join), (Who::Tenant, AutoJoin::Tenant));
    assert_eq!((of("user:alice").join, of("user:alice").auto_join), (Who::Owner, AutoJoin::User));
    assert!(of("state:x").latest_per_key && of("room:x").durable && !of("live:x").durable);

    let secret = data.join("dev-secret");
    fs::write(&secret, "short\n").unwrap();
    let error = Config::development(&data).unwrap_err().to_string();
    let file = secret.display();
    assert_eq!(error, format!("settings: auth.secret_file: {file} holds less than 32 bytes"));
}

/// A file of `docs/`.
fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

#[test]
fn the_example_loads() {
    let (folder, secret) = file(SECRET);
    let (certificate, key) = (folder.path().join("crt"), folder.path().join("key"));
    let made = rcgen::generate_simple_self_signed(["hub".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let variables = [
        ("AUTH__SECRET_FILE", &secret),
        ("GRPC__TLS__CERTIFICATE", &certificate),
        ("GRPC__TLS__KEY", &key),
        ("BRIDGE__TLS__CERTIFICATE", &certificate),
        ("BRIDGE__TLS__KEY", &key),
    ];
    let variables =
        variables.map(|(name, path)| (format!("CARILLON__{name}"), path.to_str().unwrap().to_owned()));
    let config = Config::load_with(&document("carillon.example.toml"), variables).unwrap();
    assert_eq!(config.mode, Mode::Production);
    assert!(!config.reflection());
    assert_eq!(config.log_format(), LogFormat::Json);
    assert_eq!(config.namespaces.len(), 4);
}

/// Every key with its value as JSON; `unset` where there is none.
fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(keys) if !keys.is_empty() => {
            for (key, value) in keys {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, into);
            }
        }
        Value::Null => {
            into.insert(prefix.to_owned(), "unset".to_owned());
        }
        value => {
            into.insert(prefix.to_owned(), value.to_string());
        }
    }
}

#[test]
fn the_reference_lists_every_key_with_its_default() {
    let mut code = BTreeMap::new();
    flatten("", &serde_json::to_value(Config::default()).unwrap(), &mut code);
    code.remove("namespace");
    flatten("namespace", &serde_json::to_value(NamespaceSection::default()).unwrap(), &mut code);
    flatten("auth.keys", &serde_json::to_value(KeySection::default()).unwrap(), &mut code);

    let text = fs::read_to_string(document("configuration.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeMap<_, _> = rows
        .map(|row| {
            let mut cells = row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`']).to_owned());
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    assert_eq!(documented, code);
}
