//! Several issuers.

use super::*;

const THEIRS: &[u8] = b"the second issuer's secret, 32 bytes";

/// Ours, and a school's with names of its own.
fn two() -> Vec<Options> {
    let school = Options {
        section: "auth.issuers.0".to_owned(),
        issuer: Some("https://school.example".to_owned()),
        audience: vec!["lessons".to_owned()],
        claims: ClaimNames { tenant: vec!["school".to_owned()], ..ClaimNames::default() },
        ..Options::new(Algorithm::Hs256, Key::Secret(Secret::new(THEIRS)))
    };
    vec![options(&hmac()), school]
}

fn school() -> Value {
    json!({
        "sub": "alice", "org": "acme", "school": "north", "iss": "https://school.example", "aud": "lessons",
        "iat": NOW, "exp": NOW + 60,
    })
}

fn signed(key: &[u8], claims: &Value) -> String {
    sign(&Issuer { private: EncodingKey::from_secret(key), ..hmac() }, None, claims)
}

fn outcome(token: &str) -> Result<String, AuthenticationError> {
    let verified = Authenticator::of(two()).unwrap().verify(token, NOW_AT)?;
    Ok(verified.caller(None).unwrap().tenant.as_str().to_owned())
}

#[test]
fn an_issuer_speaks_for_itself_alone() {
    use AuthenticationError::{Audience, Issuer as Other, Signature};
    let change = |mut claims: Value, name: &str, value: Value| {
        claims[name] = value;
        claims
    };
    for (what, key, claims, expected) in [
        ("ours", SECRET, good(), Ok("acme")),
        ("theirs, by their claims", THEIRS, school(), Ok("north")),
        ("ours with their key", THEIRS, good(), Err(Signature)),
        ("theirs with our key", SECRET, school(), Err(Signature)),
        ("ours for their audience", SECRET, change(good(), "aud", json!("lessons")), Err(Audience)),
        ("theirs for our audience", THEIRS, change(school(), "aud", json!("carillon")), Err(Audience)),
        ("of nobody", SECRET, with(&json!({"iss": null})), Err(Other)),
        ("of somebody else", SECRET, with(&json!({"iss": "https://evil.example"})), Err(Other)),
        ("of two", SECRET, with(&json!({"iss": ["https://id.example"]})), Err(Other)),
    ] {
        assert_eq!(outcome(&signed(key, &claims)), expected.map(str::to_owned), "{what}");
    }
    assert_eq!(outcome("a.b.c"), Err(AuthenticationError::Malformed));
    let payload = signed(SECRET, &good());
    let [header, _, signature] = *payload.split('.').collect::<Vec<_>>() else { panic!("three parts") };
    assert_eq!(outcome(&format!("{header}.e30x.{signature}")), Err(AuthenticationError::Malformed));
}

#[test]
fn a_name_of_a_key_is_an_issuers_own() {
    let mut both = two();
    for options in &mut both {
        options.keys[0].kid = Some("1".to_owned());
    }
    let authenticator = Authenticator::of(both).unwrap();
    let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::Hs256.into()) };
    for (key, expected) in [(SECRET, Ok(())), (THEIRS, Err(AuthenticationError::Signature))] {
        let issuer = Issuer { private: EncodingKey::from_secret(key), ..hmac() };
        let token = sign(&issuer, Some(header.clone()), &good());
        assert_eq!(authenticator.verify(&token, NOW_AT).map(drop), expected);
    }
}

#[test]
fn issuers_need_names_to_be_told_apart_by() {
    let refused = |change: fn(&mut Vec<Options>)| {
        let mut both = two();
        change(&mut both);
        Authenticator::of(both).unwrap_err().to_string()
    };
    for (error, expected) in [
        (refused(|both| both[0].issuer = None), "auth.issuer: required where there are several issuers"),
        (
            refused(|both| both[1].issuer = None),
            "auth.issuers.0.issuer: required where there are several issuers",
        ),
        (refused(|both| both[1].issuer = Some(String::new())), "auth.issuers.0.issuer: not empty"),
        (refused(|both| both[1].issuer = both[0].issuer.clone()), "auth.issuers.0.issuer: each issuer once"),
        (refused(|both| both[1].claims.user = String::new()), "auth.issuers.0.claims.user: not empty"),
        (refused(Vec::clear), "auth.secret: required: keys of one issuer at least"),
    ] {
        assert_eq!(error, expected);
    }
}

#[test]
fn an_issuer_speaks_for_its_own_tenants_alone() {
    let may = |patterns: &[&str], claims: &Value| {
        let tenants = patterns.iter().map(|pattern| TenantPattern::parse(pattern).unwrap()).collect();
        let [_, school] = &two()[..] else { panic!("two") };
        let authenticator = Authenticator::new(Options { tenants, ..school.clone() }).unwrap();
        let verified = authenticator.verify(&signed(THEIRS, claims), NOW_AT);
        verified.map(drop).map_err(|error| (error.code(), error))
    };
    let user = |tenant: &str| {
        let mut claims = school();
        claims["school"] = json!(tenant);
        claims
    };
    let service = |tenants: Value| {
        let mut claims = school();
        (claims["svc"], claims["tenants"]) = (json!(true), tenants);
        claims
    };
    let refused = Err((ErrorCode::InvalidToken, AuthenticationError::Tenant));
    for (patterns, claims, expected) in [
        (&[][..], user("north"), Ok(())),
        (&["north"], user("north"), Ok(())),
        (&["north"], user("northern"), refused.clone()),
        (&["north"], user("south"), refused.clone()),
        (&["south", "nor*"], user("northern"), Ok(())),
        (&["north*"], user("nor"), refused.clone()),
        (&["*"], user("north"), Ok(())),
        (&["n*", "s*"], service(json!(["north", "south"])), Ok(())),
        (&["n*"], service(json!(["north", "south"])), refused.clone()),
        (&["n*", "s*"], service(json!("*")), refused),
        (&["*"], service(json!("*")), Ok(())),
        (&[], service(json!("*")), Ok(())),
    ] {
        assert_eq!(may(patterns, &claims), expected, "{patterns:?} {claims}");
    }
    for text in ["", "a b", "*a", "a*b", "**", "a b*"] {
        assert_eq!(TenantPattern::parse(text), None, "{text}");
    }
}
