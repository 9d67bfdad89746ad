//! Tokens that try to choose their own key, or another use of it (RFC 8725, 2 and 3).

use jsonwebtoken::jwk::Jwk;

use super::*;

const RSA_PUBLIC: &str = include_str!("../../../../hub/src/access/authentication/testdata/rsa_public.pem");

/// As [`published`], where nobody's token makes keys be fetched again.
fn published_once(publisher: &Publisher) -> AuthSection {
    let hour = Duration::from_secs(3_600);
    AuthSection { jwks_floor: hour, jwks_refresh: hour, ..published(OURS, publisher) }
}

#[tokio::test]
async fn no_token_brings_its_own_key() {
    let [key, evil] = [KeyPair::new("a", 1), KeyPair::new("a", 2)];
    let publisher = Publisher::start(keys(&[&key])).await;
    let elsewhere = Publisher::start(keys(&[&evil])).await;
    let hub = hub_of(published_once(&publisher)).await;
    comes_to(&hub, &key.token(OURS, "alice"), "connected").await;
    let jwk: Jwk = serde_json::from_value(evil.public()).unwrap();
    let plain = key.header();
    for (what, header) in [
        ("jku", Header { jku: Some(elsewhere.url.clone()), ..plain.clone() }),
        ("x5u", Header { x5u: Some(elsewhere.url.clone()), ..plain.clone() }),
        ("jwk", Header { jwk: Some(jwk), ..plain.clone() }),
        ("x5c", Header { x5c: Some(vec!["MIIB".to_owned()]), ..plain.clone() }),
        ("kid", Header { kid: Some(elsewhere.url.clone()), ..plain.clone() }),
    ] {
        assert_eq!(greeted(&hub, &evil.sign_under(&header, OURS)).await, "INVALID_TOKEN", "{what}");
        // Who has the key may say so: it changes nothing.
        let expected = if what == "kid" { "INVALID_TOKEN" } else { "connected" };
        assert_eq!(greeted(&hub, &key.sign_under(&header, OURS)).await, expected, "{what}");
    }
    let demanding = Header { crit: Some(vec!["exp".to_owned()]), ..plain };
    assert_eq!(greeted(&hub, &key.sign_under(&demanding, OURS)).await, "INVALID_TOKEN");
    assert_eq!((publisher.asked(), elsewhere.asked()), (1, 0), "nobody is asked because of a token");
}

#[tokio::test]
async fn a_kid_is_compared_and_nothing_else_is_done_with_it() {
    let odd = [
        "a",
        "A",
        "a ",
        " ",
        "../../../../dev/null",
        "a'; DROP TABLE rooms; --",
        "a\0b",
        "a\r\nx-more: 1",
        "%61",
        "*",
        "{{a}}",
        "\u{e9}",
        "e\u{301}",
        "\u{202e}\u{1f511}",
        &"x".repeat(256),
    ];
    let pairs: Vec<_> = odd.iter().zip(1..).map(|(kid, seed)| KeyPair::new(kid, seed)).collect();
    let too_long = KeyPair::new(&"x".repeat(257), 100);
    let all: Vec<_> = pairs.iter().chain([&too_long]).collect();
    let publisher = Publisher::start(keys(&all)).await;
    let hub = hub_of(published_once(&publisher)).await;
    comes_to(&hub, &pairs[0].token(OURS, "alice"), "connected").await;
    for (index, pair) in pairs.iter().enumerate() {
        assert_eq!(greeted(&hub, &pair.token(OURS, "alice")).await, "connected", "{:?}", odd[index]);
        let other = &pairs[(index + 1) % pairs.len()];
        let swapped = pair.sign_under(&other.header(), OURS);
        assert_eq!(greeted(&hub, &swapped).await, "INVALID_TOKEN", "under the name after {:?}", odd[index]);
    }
    for unknown in ["", "b", "A ", "a\0", "/dev/null", "e", "xx", "%2a"] {
        let header = Header { kid: Some(unknown.to_owned()), ..pairs[0].header() };
        assert_eq!(greeted(&hub, &pairs[0].sign_under(&header, OURS)).await, "INVALID_TOKEN", "{unknown:?}");
    }
    assert_eq!(greeted(&hub, &too_long.token(OURS, "alice")).await, "INVALID_TOKEN");
    let nameless = Header { kid: None, ..pairs[7].header() };
    assert_eq!(
        greeted(&hub, &pairs[7].sign_under(&nameless, OURS)).await,
        "connected",
        "the eighth is tried"
    );
    assert_eq!(greeted(&hub, &pairs[8].sign_under(&nameless, OURS)).await, "INVALID_TOKEN", "no ninth is");
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn a_key_is_for_its_own_algorithm_alone() {
    let rsa = KeyPair::rsa("r");
    let publisher = Publisher::start(keys(&[&rsa])).await;
    let secret = KeySection {
        kid: Some("s".to_owned()),
        algorithm: Some(Algorithm::Hs256),
        secret: Some(HiddenText::from(SECRET.to_owned())),
        ..KeySection::default()
    };
    let auth = AuthSection { algorithm: Algorithm::Rs256, keys: vec![secret], ..published_once(&publisher) };
    let hub = hub_of(auth).await;
    let good = rsa.token(OURS, "alice");
    comes_to(&hub, &good, "connected").await;
    assert_eq!(greeted(&hub, &signed(SECRET, Some("s"))).await, "connected");
    assert_eq!(greeted(&hub, &signed(SECRET, None)).await, "connected");

    let modulus = rsa.public()["n"].as_str().unwrap().to_owned();
    let document = json!({"keys": [rsa.public()]}).to_string();
    for (what, secret) in [
        ("the PEM file", RSA_PUBLIC),
        ("the PEM file without its last line's end", RSA_PUBLIC.trim_end()),
        ("the modulus", &modulus),
        ("the document", &document),
        ("nothing", ""),
    ] {
        for kid in [Some("r"), Some("s"), Some("x"), None] {
            let token = signed(secret, kid);
            assert_eq!(greeted(&hub, &token).await, "INVALID_TOKEN", "{what} as the secret of {kid:?}");
        }
    }
    let [_, payload, signature] = *good.split('.').collect::<Vec<_>>() else { panic!("three parts") };
    for (what, header) in [
        (r#"{"alg":"none"}"#, "eyJhbGciOiJub25lIn0"),
        (r#"{"alg":"None"}"#, "eyJhbGciOiJOb25lIn0"),
        (r#"{"alg":"NONE","kid":"r"}"#, "eyJhbGciOiJOT05FIiwia2lkIjoiciJ9"),
        (r#"{"alg":"none","kid":"s"}"#, "eyJhbGciOiJub25lIiwia2lkIjoicyJ9"),
        (r#"{"alg":"","kid":"r"}"#, "eyJhbGciOiIiLCJraWQiOiJyIn0"),
        (r#"{"kid":"r"}"#, "eyJraWQiOiJyIn0"),
        (r#"{"alg":"RS512","kid":"r"}"#, "eyJhbGciOiJSUzUxMiIsImtpZCI6InIifQ"),
        (r#"{"alg":"PS256","kid":"r"}"#, "eyJhbGciOiJQUzI1NiIsImtpZCI6InIifQ"),
        (r#"{"alg":"RS256","kid":"s"}"#, "eyJhbGciOiJSUzI1NiIsImtpZCI6InMifQ"),
    ] {
        for signature in [signature, "", "AA"] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(greeted(&hub, &token).await, "INVALID_TOKEN", "{what} with {signature:?}");
        }
    }
    assert_eq!(publisher.asked(), 1);
}
