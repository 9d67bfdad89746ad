//! Several keys of one issuer.

use super::*;

const NEW: &[u8] = b"a newer secret of the tests, as long!";

fn named(kid: Option<&str>, algorithm: Algorithm, key: Key) -> NamedKey {
    NamedKey { name: "auth.keys.0.secret".to_owned(), kid: kid.map(str::to_owned), algorithm, key }
}

fn secret(kid: Option<&str>, bytes: &[u8]) -> NamedKey {
    named(kid, Algorithm::Hs256, Key::Secret(Secret::new(bytes)))
}

fn with_keys(keys: Vec<NamedKey>) -> Authenticator {
    Authenticator::new(Options { keys, ..options(&hmac()) }).unwrap()
}

/// A good HS256 token under this name of a key.
fn token(kid: Option<&str>, key: &[u8]) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::Hs256.into()) };
    let issuer = Issuer { private: EncodingKey::from_secret(key), ..hmac() };
    sign(&issuer, Some(header), &good())
}

fn outcome(authenticator: &Authenticator, token: &str) -> Result<(), AuthenticationError> {
    authenticator.verify(token, NOW_AT).map(drop)
}

#[test]
fn a_kid_chooses_among_the_keys_that_are_known() {
    use AuthenticationError::{Signature, UnknownKey};
    let both = with_keys(vec![secret(Some("old"), SECRET), secret(Some("new"), NEW)]);
    let nameless = with_keys(vec![secret(None, SECRET), secret(Some("new"), NEW)]);
    for (what, keys, kid, key, expected) in [
        ("by name", &both, Some("old"), SECRET, Ok(())),
        ("by the other name", &both, Some("new"), NEW, Ok(())),
        ("under another key's name", &both, Some("new"), SECRET, Err(Signature)),
        ("under a name that nobody has", &both, Some("newer"), NEW, Err(UnknownKey)),
        ("without a name, all are tried", &both, None, SECRET, Ok(())),
        ("and the last one too", &both, None, NEW, Ok(())),
        ("without a name, signed with none", &both, None, b"x", Err(Signature)),
        ("a name that nobody has is a nameless key's", &nameless, Some("any"), SECRET, Ok(())),
        ("not a named one's", &nameless, Some("any"), NEW, Err(Signature)),
        ("a name that a key has is not a nameless key's", &nameless, Some("new"), SECRET, Err(Signature)),
        ("an empty name is one that nobody has", &both, Some(""), SECRET, Err(UnknownKey)),
    ] {
        assert_eq!(outcome(keys, &token(kid, key)), expected, "{what}");
    }
}

#[test]
fn every_key_has_its_own_algorithm() {
    let Key::PublicKey(pem) = rsa().public else { panic!("a public key") };
    let keys = vec![secret(Some("s"), SECRET), named(Some("r"), Algorithm::Rs256, rsa().public)];
    let both = with_keys(keys);
    let with_kid = |issuer: &Issuer, kid: Option<&str>| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(issuer.algorithm.into()) };
        sign(issuer, Some(header), &good())
    };
    for kid in [Some("r"), None] {
        assert_eq!(outcome(&both, &with_kid(&rsa(), kid)), Ok(()));
    }
    // The public key as a secret, which everybody has.
    let forger = Issuer { private: EncodingKey::from_secret(&pem), ..hmac() };
    assert_eq!(outcome(&both, &with_kid(&forger, Some("r"))), Err(AuthenticationError::Algorithm));
    assert_eq!(outcome(&both, &with_kid(&forger, Some("s"))), Err(AuthenticationError::Signature));
    assert_eq!(outcome(&both, &with_kid(&forger, None)), Err(AuthenticationError::Signature));
    assert_eq!(outcome(&both, &with_kid(&rsa(), Some("s"))), Err(AuthenticationError::Algorithm));
    let edwards = issuers().pop().unwrap();
    assert_eq!(outcome(&both, &with_kid(&edwards, None)), Err(AuthenticationError::Algorithm));
}

#[test]
fn keys_change_while_tokens_are_checked_and_bad_ones_change_nothing() {
    let authenticator = with_keys(vec![secret(None, SECRET)]);
    let keys = authenticator.key_rings().next().unwrap().clone();
    let [old, new] = [SECRET, NEW].map(|key| token(None, key));
    assert_eq!(outcome(&authenticator, &new), Err(AuthenticationError::Signature));
    keys.replace(&[secret(None, SECRET), secret(None, NEW)]).unwrap();
    assert_eq!([&old, &new].map(|token| outcome(&authenticator, token)), [Ok(()), Ok(())]);
    let error = keys.replace(&[secret(None, NEW), secret(None, b"short")]).unwrap_err();
    assert!(error.to_string().starts_with("auth.keys.0.secret: at least 32 bytes"), "{error}");
    assert_eq!(outcome(&authenticator, &old), Ok(()));
    keys.replace(&[secret(None, NEW)]).unwrap();
    assert_eq!(outcome(&authenticator, &old), Err(AuthenticationError::Signature));
    assert_eq!(outcome(&authenticator, &new), Ok(()));
}

#[test]
fn keys_that_cannot_be_told_apart_or_are_too_many_are_refused() {
    let many = (0..9).map(|n| secret(Some(&n.to_string()), SECRET)).collect();
    for (keys, expected) in [
        (vec![secret(Some("a"), SECRET), secret(Some("a"), NEW)], "auth.keys.0.kid: each name once"),
        (vec![secret(Some(""), SECRET)], "auth.keys.0.kid: 1 to 256 bytes"),
        (vec![secret(Some(&"x".repeat(257)), SECRET)], "auth.keys.0.kid: 1 to 256 bytes"),
        (many, "auth.keys: at most 8 keys"),
        (Vec::new(), "auth.secret: required: one key at least"),
    ] {
        let error = Authenticator::new(Options { keys, ..options(&hmac()) }).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_minted_token_names_the_first_secret() {
    let keys = vec![named(Some("r"), Algorithm::Rs256, rsa().public), secret(Some("new"), NEW)];
    let options = Options { keys: [keys, vec![secret(Some("old"), SECRET)]].concat(), ..options(&hmac()) };
    let (tenant, user) = (TenantId::parse("acme").unwrap(), UserId::parse("bob").unwrap());
    let request = MintRequest { subject: MintFor::User { tenant, user }, ttl: Duration::from_secs(60) };
    let token = mint(&options, &request, NOW_AT).unwrap();
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), Some("new"));
    assert_eq!(outcome(&Authenticator::new(options).unwrap(), &token), Ok(()));
}
