//! Several keys, several issuers, and keys that issuers publish.

use super::*;
use crate::access::authentication::Algorithm;

const PEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/access/authentication/testdata/rsa_public.pem");
const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// A file whose `[auth]` is this, and lines after it.
fn auth(lines: &str) -> String {
    format!("[auth]\n{lines}\n{ROOMS}")
}

#[test]
fn an_issuer_has_the_keys_of_its_shorthand_and_of_its_list() {
    let text = auth(&format!(
        "secret = \"{SECRET}\"\n\
         [[auth.keys]]\nkid = \"new\"\nsecret = \"{OTHER}\"\n\
         [[auth.keys]]\nkid = \"r\"\nalgorithm = \"RS256\"\npublic_key_file = \"{PEM}\""
    ));
    let options = load(&text, &[]).unwrap().authentication().unwrap();
    let keys: Vec<_> =
        options.keys.iter().map(|key| (key.name.as_str(), key.kid.as_deref(), key.algorithm)).collect();
    assert_eq!(
        keys,
        [
            ("auth.secret", None, Algorithm::Hs256),
            ("auth.keys.0.secret", Some("new"), Algorithm::Hs256),
            ("auth.keys.1.public_key_file", Some("r"), Algorithm::Rs256),
        ]
    );
    assert!(options.remote.is_none());
    let listed = [("CARILLON__AUTH__KEYS", &*format!("[{{kid=\"a\",secret=\"{SECRET}\"}}]"))];
    let options = load(ROOMS, &listed).unwrap().authentication().unwrap();
    assert_eq!(options.keys[0].name, "auth.keys.0.secret");
}

#[test]
fn issuers_are_the_section_itself_and_those_under_it() {
    let school =
        format!("[[auth.issuers]]\nissuer = \"b\"\nsecret = \"{OTHER}\"\nclaims.tenant = [\"school\"]");
    let both = auth(&format!("secret = \"{SECRET}\"\nissuer = \"a\"\n{school}"));
    let names = |text: &str| {
        let issuers = load(text, &[]).unwrap().issuers().unwrap();
        issuers.into_iter().map(|options| (options.section, options.issuer.unwrap())).collect::<Vec<_>>()
    };
    let of = |section: &str, issuer: &str| (section.to_owned(), issuer.to_owned());
    assert_eq!(names(&both), [of("auth", "a"), of("auth.issuers.0", "b")]);
    assert_eq!(names(&auth(&school)), [of("auth.issuers.0", "b")]);
    let issuers = load(&both, &[]).unwrap().issuers().unwrap();
    assert_eq!(issuers[1].claims.tenant, ["school"]);
    assert_eq!(issuers[0].claims.tenant.len(), 3);
    let to = |tenants: &str| both.replace("issuer = \"b\"", &format!("issuer = \"b\"\ntenants = {tenants}"));
    let issuers = load(&to("[\"north\", \"s-*\"]"), &[]).unwrap().issuers().unwrap();
    assert_eq!((issuers[0].tenants.len(), issuers[1].tenants.len()), (0, 2));
    assert_refused(&to("[\"a b\"]"), &[], "FILE: auth.issuers.0.tenants: tenants' ids, or the beginning");
    // A list that would hold nobody to anything is not passed over.
    let unheard = auth(&format!("tenants = [\"s-*\"]\n{school}"));
    assert_refused(&unheard, &[], "FILE: auth.tenants: said of each of auth.issuers");
}

#[test]
fn tokens_are_made_with_the_first_secret_that_there_is() {
    let text = auth(&format!(
        "algorithm = \"RS256\"\nissuer = \"a\"\njwks_url = \"https://id.example.com/keys\"\n\
         [[auth.issuers]]\nissuer = \"b\"\nsecret = \"{OTHER}\""
    ));
    let options = load(&text, &[]).unwrap().authentication().unwrap();
    assert_eq!(options.issuer.as_deref(), Some("b"));
    assert_eq!(options.secret().unwrap().0.as_bytes(), OTHER.as_bytes());
}

#[test]
fn published_keys_come_from_an_address_that_is_safe() {
    let with = |url: &str, more: &str| {
        auth(&format!("algorithm = \"ES256\"\nissuer = \"a\"\njwks_url = \"{url}\"\n{more}"))
    };
    for good in [
        "https://id.example.com/keys",
        "https://id.example.com:8443/.well-known/jwks.json?v=1",
        "http://127.0.0.1:8080/keys",
        "http://[::1]/keys",
        "http://localhost/keys",
    ] {
        let remote = load(&with(good, ""), &[]).unwrap().authentication().unwrap().remote.unwrap();
        assert_eq!(remote.url.to_string(), good);
        assert_eq!((remote.algorithm, remote.roots.is_none()), (Algorithm::Es256, true));
        let times = [remote.refresh, remote.floor, remote.stale].map(|time| time.as_secs());
        assert_eq!(times, [600, 30, 86_400]);
    }
    for bad in [
        "http://id.example.com/keys",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "https://name:word@id.example.com/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "/keys",
        "id.example.com",
        "",
    ] {
        assert_refused(&with(bad, ""), &[], "FILE: auth.jwks_url: an address as https://id.example.com/keys");
    }
    for (more, expected) in [
        ("jwks_floor = \"0s\"", "FILE: auth.jwks_floor: 1s to 1h"),
        ("jwks_refresh = \"2d\"", "FILE: auth.jwks_refresh: 1s to 1d"),
        ("jwks_refresh = \"10s\"", "FILE: auth.jwks_refresh: jwks_floor at least"),
        ("jwks_stale = \"5m\"", "FILE: auth.jwks_stale: jwks_refresh at least"),
        ("jwks_ca_file = \"/nowhere\"", "FILE: auth.jwks_ca_file: /nowhere cannot be read: "),
        (&format!("jwks_ca_file = \"{PEM}\""), "FILE: auth.jwks_ca_file: a PEM file with certificates"),
    ] {
        assert_refused(&with("https://id.example.com/keys", more), &[], expected);
    }
}

#[test]
fn errors_name_the_key_of_the_issuer() {
    let good = format!("secret = \"{SECRET}\"\n");
    let key = |lines: &str| auth(&format!("{good}[[auth.keys]]\n{lines}"));
    let issuer =
        |lines: &str| auth(&format!("{good}issuer = \"a\"\n[[auth.issuers]]\nissuer = \"b\"\n{lines}"));
    let nested = format!("{good}[[auth.issuers.issuers]]\n{good}");
    for (text, expected) in [
        (key(""), "FILE: auth.keys.0.secret: required: exactly one of secret, secret_file"),
        (key("secret = \"short\""), "FILE: auth.keys.0.secret: at least 32 bytes"),
        (key("secret = \"x\"\nsecret_file = \"/x\""), "FILE: auth.keys.0.secret: exactly one of"),
        (key("secret_file = \"/nowhere\""), "FILE: auth.keys.0.secret_file: /nowhere cannot be read"),
        (key("secret_file = \"/dev/zero\""), "FILE: auth.keys.0.secret_file: a file of at most 1 MiB"),
        (key("algorithm = \"none\""), "FILE: auth.keys.0.algorithm: found \"none\""),
        (key("key = \"x\""), "FILE: auth.keys.0.key: no such key"),
        (
            key(&format!("public_key_file = \"{PEM}\"")),
            "FILE: auth.keys.0.public_key_file: HS256 needs a secret",
        ),
        (
            key(&format!("{good}algorithm = \"ES256\"")),
            "FILE: auth.keys.0.secret: this algorithm needs a public",
        ),
        (key(&format!("{good}kid = \"\"")), "FILE: auth.keys.0.kid: 1 to 256 bytes"),
        (issuer(""), "FILE: auth.issuers.0.secret: required: one of secret, secret_file, public_key_file"),
        (issuer("leeway = \"1h\""), "FILE: auth.issuers.0.leeway: 0s to 5m"),
        (
            issuer("algorithm = \"RS256\"\njwks_url = \"http://x\""),
            "FILE: auth.issuers.0.jwks_url: an address",
        ),
        (issuer("jwks_url = \"https://x\""), "FILE: auth.issuers.0.jwks_url: needs algorithm RS256"),
        (
            auth("algorithm = \"RS256\"\njwks_url = \"https://x\""),
            "FILE: auth.issuer: required with jwks_url",
        ),
        (issuer("jwks_ca_file = \"/x\""), "FILE: auth.issuers.0.secret: required"),
        (
            issuer(&format!("{good}jwks_ca_file = \"/x\"")),
            "FILE: auth.issuers.0.jwks_ca_file: only with jwks_url",
        ),
        (issuer(&nested), "FILE: auth.issuers.0.issuers: an issuer has none of its own"),
        (issuer(&good).replace("issuer = \"b\"", ""), "FILE: auth.issuers.0.issuer: required where"),
        (issuer(&good).replacen(&good, "", 1), "FILE: auth.secret: required"),
    ] {
        assert_refused(&text, &[], expected);
    }
}

#[test]
fn secrets_in_lists_are_never_quoted() {
    let secret = "12345678901234567";
    for (text, variables, expected) in [
        (
            auth(&format!("[[auth.keys]]\nsecret = {secret}")),
            vec![],
            "FILE: auth.keys.0.secret: text in quotes",
        ),
        (auth(&format!("keys = \"{secret}\"")), vec![], "FILE: auth.keys: a list of sections"),
        (auth(&format!("keys = [\"{secret}\"]")), vec![], "FILE: auth.keys.0: a section"),
        (auth(&format!("issuers = [{secret}]")), vec![], "FILE: auth.issuers.0: a section"),
        (
            ROOMS.to_owned(),
            vec![("CARILLON__AUTH__KEYS", secret)],
            "variable CARILLON__AUTH__KEYS: auth.keys: a list of sections",
        ),
    ] {
        assert_refused(&text, &variables, expected);
        assert!(!load(&text, &variables).map(|_| ()).unwrap_err().contains(secret), "{expected}");
    }
    let text = auth(&format!("[[auth.keys]]\nkid = \"a\"\nsecret = \"{SECRET}\""));
    let shown = load(&text, &[]).unwrap().to_toml().unwrap();
    assert!(shown.contains("secret = \"(hidden)\"") && !shown.contains(SECRET), "{shown}");
}

#[test]
fn files_with_keys_are_read_again() {
    let (_folder, path) = file(SECRET);
    let text = auth(&format!("[[auth.keys]]\nsecret_file = \"{}\"", path.display()));
    let config = load(&text, &[]).unwrap();
    assert!(config.has_key_files());
    assert!(!load(&auth(&format!("secret = \"{SECRET}\"")), &[]).unwrap().has_key_files());
    let keys = || config.issuers_keys().remove(0).map(|keys| keys[0].key.clone());
    let before = keys().unwrap();
    fs::write(&path, format!("{OTHER}\n")).unwrap();
    assert_ne!(keys().unwrap(), before);
    fs::remove_file(&path).unwrap();
    assert!(keys().unwrap_err().to_string().starts_with("settings: auth.keys.0.secret_file: "));
}

#[test]
fn a_password_of_digits_is_a_password() {
    let of_redis = [("CARILLON__REDIS__PASSWORD", "0123456789"), ("CARILLON__REDIS__USER", "42")];
    let config = load(&good("[redis]\nservers = [\"redis://127.0.0.1\"]"), &of_redis).unwrap();
    let options = config.redis.options();
    assert_eq!((options.password.as_deref(), options.user.as_deref()), (Some("0123456789"), Some("42")));
    assert!(!format!("{config:?}{}", config.to_toml().unwrap()).contains("0123456789"));
    assert_refused(&good("[redis]\npassword = 123456"), &[], "FILE: redis.password: text in quotes");
}

#[test]
fn a_database_with_a_number_is_refused() {
    let redis = |server: &str| good(&format!("[redis]\nservers = [\"{server}\"]"));
    for server in ["redis://127.0.0.1/1", "unix:///run/redis.sock?db=2"] {
        let why = "FILE: redis.servers: redis: databases have keys of their own but share channels: leave the number out of the \
                   URL, and give each hub a prefix";
        assert_refused(&redis(server), &[], why);
    }
    load(&redis("redis://127.0.0.1/0"), &[]).unwrap();
}

#[test]
fn every_claim_has_a_name() {
    let claims = |name: &str, claim: &str| {
        auth(&format!("secret = \"{SECRET}\"\n[auth.claims]\n{name} = \"{claim}\""))
    };
    for name in ["user", "service", "tenants", "abilities", "rooms", "roles"] {
        assert_refused(&claims(name, ""), &[], &format!("FILE: auth.claims.{name}: not empty"));
        load(&claims(name, "groups"), &[]).unwrap();
    }
}

/// A node that waited longer than the others would lose its lease to them.
#[test]
fn a_redis_that_is_away_is_looked_for_often_within_a_lease() {
    for (lease, most) in [("15s", Duration::from_secs(3)), ("5m", Duration::from_secs(30))] {
        let text = format!("[redis]\nservers = [\"redis://127.0.0.1\"]\nlease = \"{lease}\"");
        assert_eq!(load(&good(&text), &[]).unwrap().redis.options().back_off_most, most);
    }
}
