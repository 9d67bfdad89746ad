//! Keys that an issuer publishes: which are taken of a document, and what is said while there are none.

use futures::FutureExt;
use jsonwebtoken::jwk::Jwk;

use super::*;

const FLOOR: Duration = Duration::from_secs(30);
const STALE: Duration = Duration::from_secs(3_600);

/// An issuer that publishes keys of this algorithm.
fn publishing(algorithm: Algorithm) -> Options {
    let remote = Remote {
        url: "https://id.example/keys".parse().unwrap(),
        roots: None,
        algorithm,
        refresh: Duration::from_secs(600),
        floor: FLOOR,
        stale: STALE,
    };
    Options { keys: Vec::new(), remote: Some(remote), ..options(&hmac()) }
}

/// What it publishes of a key.
fn jwk(issuer: &Issuer, kid: Option<&str>) -> Value {
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(&issuer.private, issuer.algorithm.into()).unwrap());
    let jwk = jwk.as_mut().unwrap();
    jwk["kid"] = json!(kid);
    jwk["use"] = json!("sig");
    jwk.take()
}

fn document(keys: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({"keys": keys})).unwrap()
}

/// A good token under this name of a key.
fn token(issuer: &Issuer, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(issuer.algorithm.into()) };
    sign(issuer, Some(header), &good())
}

fn public() -> Vec<Issuer> {
    issuers().into_iter().skip(1).collect()
}

/// An issuer and its keys, as `app` has them.
fn ring(options: Options) -> (Authenticator, std::sync::Arc<KeyRing>) {
    let authenticator = Authenticator::new(options).unwrap();
    let keys = authenticator.key_rings().next().unwrap().clone();
    (authenticator, keys)
}

fn at(seconds: i64) -> Timestamp {
    NOW_AT.plus(Duration::from_secs(seconds as u64))
}

/// What a token that does not expire is told then.
fn told(authenticator: &Authenticator, token: &str, seconds: i64) -> Result<(), AuthenticationError> {
    match authenticator.verify(token, at(seconds)) {
        Err(AuthenticationError::Expired) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

#[test]
fn published_keys_of_every_algorithm_are_taken() {
    for issuer in public() {
        for kid in [Some("a"), None] {
            let (authenticator, keys) = ring(publishing(issuer.algorithm));
            keys.begin(NOW_AT);
            assert_eq!(keys.learn(&document(&[jwk(&issuer, kid)])), Ok(1));
            let name = issuer.algorithm.name();
            assert_eq!(told(&authenticator, &token(&issuer, kid), 0), Ok(()), "{name}");
            assert_eq!(told(&authenticator, &token(&issuer, None), 0), Ok(()), "{name} without a name");
        }
    }
}

#[test]
fn only_keys_for_signatures_of_the_pinned_algorithm_are_taken() {
    let [rsa, ec, _ed] = &public()[..] else { panic!("three") };
    let change = |issuer: &Issuer, name: &str, value: Value| {
        let mut jwk = jwk(issuer, Some("a"));
        jwk[name] = value;
        jwk
    };
    let short = Jwk::from_encoding_key(&rsa.private, jsonwebtoken::Algorithm::RS256).unwrap();
    let short = serde_json::to_value(short).unwrap()["n"].as_str().unwrap()[..300].to_owned();
    let secret =
        json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U", "alg": "HS256"});
    for (what, issuer, key) in [
        ("for encryption", rsa, change(rsa, "use", json!("enc"))),
        ("to sign alone", rsa, change(rsa, "key_ops", json!(["sign"]))),
        ("of another algorithm", rsa, change(rsa, "alg", json!("RS512"))),
        ("said to be HS256", rsa, change(rsa, "alg", json!("HS256"))),
        ("too short", rsa, change(rsa, "n", json!(short))),
        ("with an exponent of 1", rsa, change(rsa, "e", json!("AQ"))),
        ("with an even exponent", rsa, change(rsa, "e", json!("AQAC"))),
        ("without an exponent", rsa, change(rsa, "e", json!(""))),
        ("with its private half", rsa, change(rsa, "d", json!("AQAB"))),
        ("of another type", rsa, jwk(ec, Some("a"))),
        ("a secret", rsa, secret.clone()),
        ("a secret", ec, secret),
        ("on another curve", ec, change(ec, "crv", json!("P-384"))),
        ("off the curve", ec, change(ec, "x", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"))),
        ("not base64", ec, change(ec, "x", json!("%"))),
        ("with an empty name", ec, change(ec, "kid", json!(""))),
        ("with a name that is none", ec, change(ec, "kid", json!(7))),
        ("no object", ec, json!("key")),
    ] {
        let (authenticator, keys) = ring(publishing(issuer.algorithm));
        keys.begin(NOW_AT);
        assert_eq!(keys.learn(&document(std::slice::from_ref(&key))), Err(JwksError::NoKey), "{what}");
        // Beside a good one it is passed over.
        assert_eq!(keys.learn(&document(&[key, jwk(issuer, Some("b"))])), Ok(1), "{what}");
        assert_eq!(told(&authenticator, &token(issuer, Some("b")), 0), Ok(()), "{what}");
    }
}

#[test]
fn a_document_is_bounded_and_replaces_the_one_before_whole() {
    let [_, ec, ed] = &public()[..] else { panic!("three") };
    let (authenticator, keys) = ring(publishing(Algorithm::EdDsa));
    keys.begin(NOW_AT);
    for (bad, error) in [
        (b"<html>".to_vec(), JwksError::Malformed),
        (b"[]".to_vec(), JwksError::Malformed),
        (br#"{"keys": {}}"#.to_vec(), JwksError::Malformed),
        (document(&[]), JwksError::NoKey),
        (document(&vec![jwk(ed, None); limits::JWKS_KEYS + 1]), JwksError::TooMany),
        (document(&[jwk(ec, None)]), JwksError::NoKey),
    ] {
        assert_eq!(keys.learn(&bad), Err(error));
    }
    assert_eq!(keys.learn(&document(&[jwk(ed, Some("a")), jwk(ed, Some("a")), jwk(ed, Some("b"))])), Ok(2));
    assert_eq!(keys.learn(&document(&[jwk(ed, Some("c"))])), Ok(1));
    assert_eq!(told(&authenticator, &token(ed, Some("a")), 0), Err(AuthenticationError::UnknownKey));
    assert_eq!(keys.learn(b"{}"), Err(JwksError::Malformed));
    assert_eq!(told(&authenticator, &token(ed, Some("c")), 0), Ok(()), "those of before stay");
}

#[test]
fn while_keys_may_be_missing_nothing_is_decided() {
    use AuthenticationError::{Algorithm as Other, Signature, Unavailable, UnknownKey};
    let [_, ec, ed] = &public()[..] else { panic!("three") };
    let (authenticator, keys) = ring(publishing(Algorithm::EdDsa));
    let [known, unknown, nameless] = [Some("a"), Some("x"), None].map(|kid| token(ed, kid));
    let wanted = || keys.wanted().now_or_never().is_some();
    assert_eq!(told(&authenticator, &known, 0), Err(Unavailable), "none are there yet");
    assert!(wanted());
    assert_eq!(told(&authenticator, &token(ec, Some("a")), 0), Err(Other), "no key would help");
    assert!(!wanted());
    keys.begin(at(0));
    assert_eq!(told(&authenticator, &known, 1), Err(Unavailable), "they are on their way");
    keys.learn(&document(&[jwk(ed, Some("a"))])).unwrap();
    assert_eq!(told(&authenticator, &known, 1), Ok(()));
    assert!(!wanted(), "who asked was helped");
    assert_eq!(told(&authenticator, &unknown, 29), Err(UnknownKey), "the issuer had no such key just now");
    let mut forged = token(ed, Some("a"));
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    assert_eq!(told(&authenticator, &forged, 100), Err(Signature), "the key is known: it decides");
    assert!(!wanted());
    assert_eq!(told(&authenticator, &unknown, 30), Err(Unavailable), "it may have one by now");
    assert!(wanted());
    assert_eq!(told(&authenticator, &unknown, -5), Err(Unavailable), "the clock was set back");
    keys.begin(at(30));
    assert_eq!(told(&authenticator, &known, 31), Ok(()), "during a fetch the keys of before are used");
    // The fetch fails: no more than before is known.
    assert_eq!(told(&authenticator, &unknown, 31), Err(Unavailable));
    assert_eq!(told(&authenticator, &known, 3_599), Ok(()));
    for token in [&known, &nameless] {
        assert_eq!(told(&authenticator, token, 3_600), Err(Unavailable), "keys that old are not believed");
    }
    keys.begin(at(3_700));
    keys.learn(&document(&[jwk(ed, Some("a"))])).unwrap();
    assert_eq!(told(&authenticator, &known, 3_701), Ok(()));
    assert_eq!(Unavailable.code(), ErrorCode::Unavailable);
}

#[test]
fn a_token_without_a_name_may_be_of_a_key_that_is_new() {
    use AuthenticationError::{Signature, Unavailable};
    let ed = issuers().pop().unwrap();
    let (authenticator, keys) = ring(publishing(Algorithm::EdDsa));
    keys.begin(NOW_AT);
    keys.learn(&document(&[jwk(&ed, None)])).unwrap();
    let mut other = token(&ed, None);
    other.replace_range(other.len() - 8..other.len() - 4, "AAAA");
    assert_eq!(told(&authenticator, &other, 1), Err(Signature));
    assert_eq!(told(&authenticator, &other, 31), Err(Unavailable));
    assert!(keys.wanted().now_or_never().is_some());
}

#[test]
fn configured_keys_decide_without_published_ones() {
    let ed = issuers().pop().unwrap();
    let key = Key::Secret(Secret::new(SECRET));
    let given = NamedKey {
        name: "auth.secret".to_owned(),
        kid: Some("own".to_owned()),
        algorithm: Algorithm::Hs256,
        key,
    };
    let (authenticator, keys) = ring(Options { keys: vec![given], ..publishing(Algorithm::EdDsa) });
    assert_eq!(told(&authenticator, &token(&hmac(), Some("own")), 0), Ok(()));
    assert_eq!(told(&authenticator, &token(&hmac(), None), 0), Ok(()));
    let unknown = token(&hmac(), Some("x"));
    assert_eq!(
        told(&authenticator, &unknown, 0),
        Err(AuthenticationError::UnknownKey),
        "secrets are not published"
    );
    assert!(keys.wanted().now_or_never().is_none());
    assert_eq!(told(&authenticator, &token(&ed, Some("own")), 0), Err(AuthenticationError::Algorithm));
    assert_eq!(told(&authenticator, &token(&ed, Some("x")), 0), Err(AuthenticationError::Unavailable));
    let error = Authenticator::new(publishing(Algorithm::Hs256)).unwrap_err();
    assert_eq!(error.key, "auth.jwks_url");
    let error = Authenticator::new(Options { issuer: None, ..publishing(Algorithm::EdDsa) }).unwrap_err();
    assert_eq!(error.to_string(), "auth.issuer: required with jwks_url");
}

#[test]
fn of_keys_without_names_only_so_many_are_tried() {
    let ed = |seed: u8| {
        // An Ed25519 key as PKCS#8 (RFC 8410, 7): what stands before it, then its 32 bytes.
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend([seed; 32]);
        Issuer { private: EncodingKey::from_ed_der(&der), ..issuers().pop().unwrap() }
    };
    let (authenticator, keys) = ring(publishing(Algorithm::EdDsa));
    keys.begin(NOW_AT);
    let all: Vec<_> = (0..9).map(|seed| jwk(&ed(seed), None)).collect();
    assert_eq!(keys.learn(&document(&all)), Ok(9));
    assert_eq!(told(&authenticator, &token(&ed(7), None), 1), Ok(()));
    assert_eq!(told(&authenticator, &token(&ed(8), None), 1), Err(AuthenticationError::Signature));
}
