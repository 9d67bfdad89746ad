//! Every way in which a token can be wrong, under every algorithm that can be pinned.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::domain::error::ErrorCode;
use crate::domain::limits;
use crate::domain::names::{TenantId, UserId};
use crate::domain::time::Timestamp;

mod issuers;
mod published;
mod rotation;

const SECRET: &[u8] = b"a secret of the tests, 32 bytes!";
/// Seconds: the clock of all tests here.
const NOW: i64 = 1_700_000_000;
const NOW_AT: Timestamp = Timestamp(NOW * 1_000);

/// A private key, its algorithm, and what checks it.
struct Issuer {
    algorithm: Algorithm,
    private: EncodingKey,
    public: Key,
}

fn hmac() -> Issuer {
    Issuer {
        algorithm: Algorithm::Hs256,
        private: EncodingKey::from_secret(SECRET),
        public: Key::Secret(Secret::new(SECRET)),
    }
}

fn rsa() -> Issuer {
    Issuer {
        algorithm: Algorithm::Rs256,
        private: EncodingKey::from_rsa_pem(include_bytes!("testdata/rsa_private.pem")).unwrap(),
        public: Key::PublicKey(include_bytes!("testdata/rsa_public.pem").to_vec()),
    }
}

fn issuers() -> Vec<Issuer> {
    let ec = Issuer {
        algorithm: Algorithm::Es256,
        private: EncodingKey::from_ec_pem(include_bytes!("testdata/ec_private.pem")).unwrap(),
        public: Key::PublicKey(include_bytes!("testdata/ec_public.pem").to_vec()),
    };
    let ed = Issuer {
        algorithm: Algorithm::EdDsa,
        private: EncodingKey::from_ed_pem(include_bytes!("testdata/ed_private.pem")).unwrap(),
        public: Key::PublicKey(include_bytes!("testdata/ed_public.pem").to_vec()),
    };
    vec![hmac(), rsa(), ec, ed]
}

fn options(issuer: &Issuer) -> Options {
    Options {
        issuer: Some("https://id.example".to_owned()),
        audience: vec!["carillon".to_owned(), "chat".to_owned()],
        leeway: Duration::from_secs(5),
        ..Options::new(issuer.algorithm, issuer.public.clone())
    }
}

fn good() -> Value {
    json!({
        "sub": "alice", "org": "acme", "iss": "https://id.example", "aud": "carillon",
        "iat": NOW, "nbf": NOW, "exp": NOW + 60,
    })
}

/// The good claims with these on top; `null` takes one away.
fn with(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        claims.as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn sign(issuer: &Issuer, header: Option<Header>, claims: &Value) -> String {
    let header = header.unwrap_or_else(|| Header::new(issuer.algorithm.into()));
    jsonwebtoken::encode(&header, claims, &issuer.private).unwrap()
}

fn verify(issuer: &Issuer, token: &str) -> Result<Verified, AuthenticationError> {
    Authenticator::new(options(issuer)).unwrap().verify(token, NOW_AT)
}

fn claim_error(claim: &str, rule: &'static str) -> AuthenticationError {
    AuthenticationError::Claim { claim: claim.to_owned(), rule }
}

#[test]
fn every_algorithm_accepts_its_own_tokens_and_no_others() {
    for ours in issuers() {
        for theirs in issuers() {
            let result = verify(&ours, &sign(&theirs, None, &good()));
            if ours.algorithm == theirs.algorithm {
                let Ok(Verified::User(token)) = result else { panic!("{:?}: {result:?}", ours.algorithm) };
                assert_eq!((token.tenant.as_str(), token.user.as_str()), ("acme", "alice"));
                assert_eq!(token.expires, Timestamp((NOW + 60) * 1_000));
                assert_eq!(token.mark.issued, Some(NOW_AT));
            } else {
                assert_eq!(result, Err(AuthenticationError::Algorithm), "{:?}", ours.algorithm);
            }
        }
    }
}

#[test]
fn a_public_key_is_never_a_secret() {
    let Key::PublicKey(pem) = rsa().public else { panic!("a public key") };
    let confused = Issuer {
        algorithm: Algorithm::Hs256,
        private: EncodingKey::from_secret(&pem),
        public: Key::Secret(Secret::new(pem)),
    };
    let token = sign(&confused, None, &good());
    assert_eq!(verify(&rsa(), &token), Err(AuthenticationError::Algorithm));
}

/// A token of a header and a payload that no library would make.
fn parts(header: &str, payload: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", base64url(header.as_bytes()), base64url(payload.as_bytes()))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

#[test]
fn forged_and_broken_tokens_are_refused() {
    let claims = good().to_string();
    let token = sign(&hmac(), None, &good());
    let (body, signature) = token.rsplit_once('.').unwrap();
    let other = Issuer { private: EncodingKey::from_secret(b"another secret of the 32 bytes .."), ..hmac() };
    let stranger = sign(&other, None, &good());
    let payload = |claims: &str| parts(r#"{"alg":"HS256"}"#, claims, signature);
    let cases = [
        ("none", String::new(), AuthenticationError::Missing),
        ("alg none", parts(r#"{"alg":"none"}"#, &claims, ""), AuthenticationError::Malformed),
        ("alg NONE", parts(r#"{"alg":"nOnE"}"#, &claims, signature), AuthenticationError::Malformed),
        ("no alg", parts(r#"{"typ":"JWT"}"#, &claims, signature), AuthenticationError::Malformed),
        ("HS384", parts(r#"{"alg":"HS384"}"#, &claims, signature), AuthenticationError::Algorithm),
        ("no signature", format!("{body}."), AuthenticationError::Signature),
        ("cut signature", token[..token.len() - 3].to_owned(), AuthenticationError::Signature),
        ("another key", stranger, AuthenticationError::Signature),
        ("another payload", payload(r#"{"sub":"mallory"}"#), AuthenticationError::Signature),
        ("two parts", body.to_owned(), AuthenticationError::Malformed),
        ("four parts", format!("{token}.x"), AuthenticationError::Malformed),
        ("bearer left on", format!("Bearer {token}"), AuthenticationError::Malformed),
        ("garbage", "garbage".to_owned(), AuthenticationError::Malformed),
        ("not base64", "%%.%%.%%".to_owned(), AuthenticationError::Malformed),
        ("control characters", "\u{0}.\u{7}.\n".to_owned(), AuthenticationError::Malformed),
        ("huge", "x".repeat(limits::TOKEN_BYTES + 1), AuthenticationError::TooLong),
    ];
    for (name, token, error) in cases {
        let result = verify(&hmac(), &token).unwrap_err();
        assert_eq!(result, error, "{name}");
        let code = if token.is_empty() { ErrorCode::AuthRequired } else { ErrorCode::InvalidToken };
        assert_eq!(result.code(), code, "{name}");
    }
}

#[test]
fn a_header_chooses_no_key() {
    let mut header = Header::new(Algorithm::Hs256.into());
    header.kid = Some("../../dev/null".to_owned());
    header.jku = Some("https://evil.example/keys".to_owned());
    let other = Issuer { private: EncodingKey::from_secret(b""), ..hmac() };
    assert_eq!(
        verify(&hmac(), &sign(&other, Some(header.clone()), &good())),
        Err(AuthenticationError::Signature)
    );
    assert!(verify(&hmac(), &sign(&hmac(), Some(header.clone()), &good())).is_ok());
    header.crit = Some(vec!["b64".to_owned()]);
    assert_eq!(verify(&hmac(), &sign(&hmac(), Some(header), &good())), Err(AuthenticationError::Extension));
}

#[test]
fn claims_are_checked() {
    let seconds = "seconds since 1970";
    let alphabet = "only A-Z a-z 0-9 _ . : @ | + = -";
    let whole = "a string or a whole number";
    let cases = [
        (json!({"exp": NOW}), AuthenticationError::Expired),
        (json!({"exp": NOW - 1}), AuthenticationError::Expired),
        (json!({"exp": 0}), AuthenticationError::Expired),
        (json!({"exp": null}), claim_error("exp", "required")),
        (json!({"exp": "never"}), claim_error("exp", seconds)),
        (json!({"exp": -1}), claim_error("exp", seconds)),
        (json!({"exp": 1e300}), claim_error("exp", seconds)),
        (json!({"nbf": NOW + 6}), AuthenticationError::NotYetValid),
        (json!({"nbf": "soon"}), claim_error("nbf", seconds)),
        (json!({"iat": NOW + 6}), AuthenticationError::IssuedLater),
        (json!({"iat": {}}), claim_error("iat", seconds)),
        (json!({"iss": "https://evil.example"}), AuthenticationError::Issuer),
        (json!({"iss": null}), AuthenticationError::Issuer),
        (json!({"iss": ["https://id.example"]}), AuthenticationError::Issuer),
        (json!({"aud": "billing"}), AuthenticationError::Audience),
        (json!({"aud": ["billing", 7]}), AuthenticationError::Audience),
        (json!({"aud": []}), AuthenticationError::Audience),
        (json!({"aud": null}), AuthenticationError::Audience),
        (json!({"aud": "billing", "exp": NOW - 1}), AuthenticationError::Audience),
        (json!({"sub": null}), claim_error("sub", "required")),
        (json!({"sub": ""}), claim_error("sub", "required")),
        (json!({"sub": "al ice"}), claim_error("sub", alphabet)),
        (json!({"sub": "x".repeat(129)}), claim_error("sub", "at most 128 bytes")),
        (json!({"sub": true}), claim_error("sub", whole)),
        (json!({"org": null}), claim_error("org", "required")),
        (json!({"org": "a/b"}), claim_error("org", alphabet)),
        (json!({"org": 1.5}), claim_error("org", whole)),
        (json!({"org": ["acme"]}), claim_error("org", whole)),
        (json!({"org": "", "workspaceId": "w1"}), claim_error("org", "required")),
        (json!({"svc": "true"}), claim_error("svc", "true or false")),
        (json!({"svc": true}), claim_error("tenants", "a list of tenants, or \"*\"")),
        (json!({"svc": true, "tenants": "acme"}), claim_error("tenants", "a list of tenants, or \"*\"")),
        (json!({"svc": true, "tenants": []}), claim_error("tenants", "a list of tenants, or \"*\"")),
        (json!({"svc": true, "tenants": ["*"]}), claim_error("tenants", alphabet)),
    ];
    for (changes, error) in cases {
        let result = verify(&hmac(), &sign(&hmac(), None, &with(&changes)));
        assert_eq!(result, Err(error.clone()), "{changes}");
        let expired = error == AuthenticationError::Expired;
        let code = if expired { ErrorCode::TokenExpired } else { ErrorCode::InvalidToken };
        assert_eq!(error.code(), code, "{changes}");
    }
}

#[test]
fn claims_within_the_rules_are_accepted() {
    for (changes, tenant) in [
        (json!({"nbf": NOW + 5, "iat": NOW + 5}), "acme"),
        (json!({"nbf": null, "iat": null}), "acme"),
        (json!({"exp": NOW as f64 + 0.5}), "acme"),
        (json!({"aud": ["billing", "chat"]}), "acme"),
        (json!({"org": 42}), "42"),
        (json!({"org": null, "workspaceId": "w1", "organizationId": "o1"}), "o1"),
        (json!({"org": null, "workspaceId": "w1"}), "w1"),
        (json!({"svc": false, "tenants": "*"}), "acme"),
    ] {
        match verify(&hmac(), &sign(&hmac(), None, &with(&changes))) {
            Ok(Verified::User(token)) => assert_eq!(token.tenant.as_str(), tenant, "{changes}"),
            other => panic!("{changes}: {other:?}"),
        }
    }
}

#[test]
fn claim_names_are_configurable() {
    let claims = ClaimNames {
        user: "uid".to_owned(),
        tenant: vec!["school".to_owned()],
        service: "machine".to_owned(),
        tenants: "schools".to_owned(),
        abilities: "may".to_owned(),
        rooms: "where".to_owned(),
        roles: "as".to_owned(),
    };
    let authenticator = Authenticator::new(Options { claims, ..options(&hmac()) }).unwrap();
    let token = sign(&hmac(), None, &with(&json!({"uid": 7, "school": "north"})));
    let caller = authenticator.verify(&token, NOW_AT).unwrap().caller(None).unwrap();
    assert_eq!((caller.user.as_str(), caller.tenant.as_str()), ("7", "north"));
    assert!(!caller.service);
}

#[test]
fn a_token_with_an_audience_needs_one_configured() {
    let options = Options { audience: Vec::new(), issuer: None, ..options(&hmac()) };
    let authenticator = Authenticator::new(options).unwrap();
    let named = sign(&hmac(), None, &good());
    assert_eq!(authenticator.verify(&named, NOW_AT), Err(AuthenticationError::Audience));
    assert!(authenticator.verify(&sign(&hmac(), None, &with(&json!({"aud": null}))), NOW_AT).is_ok());
}

#[test]
fn services_act_in_their_tenants_alone() {
    let tenant = |name| TenantId::parse(name).unwrap();
    let read = |tenants: Value| {
        let token = sign(&hmac(), None, &with(&json!({"sub": "billing", "svc": true, "tenants": tenants})));
        verify(&hmac(), &token).unwrap()
    };
    let listed = read(json!(["acme", 42]));
    let caller = listed.caller(Some(&tenant("42"))).unwrap();
    assert_eq!((caller.user.as_str(), caller.tenant.as_str(), caller.service), ("billing", "42", true));
    let code = |verified: &Verified, named: Option<&TenantId>| verified.caller(named).unwrap_err().code;
    assert_eq!(code(&listed, Some(&tenant("other"))), ErrorCode::PermissionDenied);
    assert_eq!(code(&listed, None), ErrorCode::InvalidArgument);
    assert_eq!(read(json!(["acme"])).caller(None).unwrap().tenant.as_str(), "acme");
    let all = read(json!("*"));
    assert!(all.caller(Some(&tenant("any"))).is_ok());
    assert_eq!(code(&all, None), ErrorCode::InvalidArgument);
    let alice = verify(&hmac(), &sign(&hmac(), None, &good())).unwrap();
    assert!(alice.caller(Some(&tenant("acme"))).is_ok());
    assert_eq!(code(&alice, Some(&tenant("other"))), ErrorCode::PermissionDenied);
}

#[test]
fn bad_options_are_named() {
    let pem = |text: &[u8]| Key::PublicKey(text.to_vec());
    let short = Key::Secret(Secret::new(&SECRET[..31]));
    let secret = Key::Secret(Secret::new(SECRET));
    let cases = [
        (Algorithm::Hs256, short, "auth.secret: at least 32 bytes"),
        (Algorithm::Hs256, Key::Secret(Secret::new("")), "auth.secret: at least 32 bytes"),
        (Algorithm::Hs256, rsa().public, "auth.public_key_file: HS256 needs a secret"),
        (Algorithm::Rs256, secret, "auth.secret: this algorithm needs a public key"),
        (Algorithm::Rs256, pem(b"garbage"), "auth.public_key_file: a PEM file with an RSA public key"),
        (
            Algorithm::Rs256,
            pem(include_bytes!("testdata/rsa_private.pem")),
            "auth.public_key_file: a PEM file with an RSA public key",
        ),
        (
            Algorithm::Rs256,
            pem(include_bytes!("testdata/rsa_short_public.pem")),
            "auth.public_key_file: an RSA public key of at least 2048 bits",
        ),
        (Algorithm::Rs256, pem(include_bytes!("testdata/ec_public.pem")), "auth.public_key_file: a PEM file"),
        (
            Algorithm::Es256,
            pem(include_bytes!("testdata/ec_other_curve_public.pem")),
            "auth.public_key_file: a PEM file with a public key on the curve P-256",
        ),
        (Algorithm::EdDsa, rsa().public, "auth.public_key_file: a PEM file with an Ed25519 public key"),
    ];
    for (algorithm, key, text) in cases {
        let error = Authenticator::new(Options::new(algorithm, key)).unwrap_err();
        assert!(error.to_string().starts_with(text), "{error} instead of {text}");
    }
    let claims = ClaimNames { tenant: Vec::new(), ..ClaimNames::default() };
    let error = Authenticator::new(Options { claims, ..options(&hmac()) }).unwrap_err();
    assert_eq!(error.key, "auth.claims.tenant");
}

#[test]
fn minted_tokens_are_accepted() {
    let options = options(&hmac());
    let authenticator = Authenticator::new(options.clone()).unwrap();
    let user =
        MintFor::User { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("bob").unwrap() };
    let ttl = Duration::from_millis(1_500);
    let token = mint(&options, &MintRequest { subject: user, ttl }, NOW_AT).unwrap();
    let verified = authenticator.verify(&token, NOW_AT).unwrap();
    assert_eq!(verified.expires(), Timestamp(NOW * 1_000 + 1_500));
    assert_eq!(verified.caller(None).unwrap().user.as_str(), "bob");
    assert_eq!(authenticator.verify(&token, verified.expires()), Err(AuthenticationError::Expired));

    for tenants in [ServiceTenants::All, ServiceTenants::Listed(vec![TenantId::parse("acme").unwrap()])] {
        let name = UserId::parse("ops").unwrap();
        let subject = MintFor::Service { name, tenants: tenants.clone() };
        let token = mint(&options, &MintRequest { subject, ttl }, NOW_AT).unwrap();
        match authenticator.verify(&token, NOW_AT) {
            Ok(Verified::Service(service)) => assert_eq!(service.tenants, tenants),
            other => panic!("{other:?}"),
        }
    }
    let public = Options::new(Algorithm::Rs256, rsa().public);
    let subject = MintFor::User { tenant: TenantId::parse("a").unwrap(), user: UserId::parse("b").unwrap() };
    assert!(matches!(mint(&public, &MintRequest { subject, ttl }, NOW_AT), Err(MintError::NotOurs)));
}

#[test]
fn nothing_prints_a_secret() {
    let text = format!("{:?}", Authenticator::new(options(&hmac())).unwrap());
    assert!(!text.contains("a secret of"), "{text}");
    let text = format!("{:?}", options(&hmac()));
    assert!(text.contains("Secret(..)") && !text.contains("a secret of"), "{text}");
}
