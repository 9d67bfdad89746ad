//! Servers of issuers that answer badly, and what is made of it: nothing.

use super::*;

/// A hub whose issuer's server answers badly at first: nobody comes in, until it does better.
async fn does_better(what: &str, bad: Answer) {
    let key = KeyPair::new("a", 1);
    let publisher = Publisher::start(bad).await;
    let hub = hub_of(published(OURS, &publisher)).await;
    let token = key.token(OURS, "alice");
    // It asks again when it has given up the first answer.
    publisher.is_asked(2).await;
    assert_eq!(greeted(&hub, &token).await, "UNAVAILABLE", "{what}");
    fails(&hub, 1).await;
    publisher.answers(keys(&[&key]));
    comes_to(&hub, &token, "connected").await;
}

#[tokio::test]
async fn bad_answers_are_no_keys() {
    let key = KeyPair::new("a", 1);
    let elsewhere = Publisher::start(keys(&[&key])).await;
    let Answer::Text(good) = keys(&[&key]) else { panic!("a text") };
    let secret = json!({"keys": [{"kty": "oct", "kid": "a", "k": "YQ"}]}).to_string();
    let padded = json!({"keys": [key.public()], "more": "x".repeat(256 * 1024)}).to_string();
    tokio::join!(
        does_better("garbage", answer("200 OK", "<html>")),
        does_better("not HTTP", Answer::Text("SSH-2.0-x\r\n".to_owned())),
        does_better("secrets", answer("200 OK", &secret)),
        does_better("too much", answer("200 OK", &padded)),
        does_better("an error", answer("500 Oh\r\nx-more: 1", "")),
        does_better("an error with keys", Answer::Text(good.replace("200 OK", "404 Not Found"))),
        does_better("broken off", Answer::Text(good[..good.len() - 1].to_owned())),
        does_better("nothing in time", Answer::Held),
        does_better("no end in time", Answer::Begun(good[..good.len() - 1].to_owned())),
        does_better("a redirect", answer(&format!("302 Found\r\nlocation: {}", elsewhere.url), "")),
        does_better("for ever", answer(&format!("308 Moved\r\nlocation: {}", elsewhere.url), "")),
    );
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
}

#[tokio::test]
async fn who_publishes_keys_must_prove_who_they_are() {
    let key = KeyPair::new("a", 1);
    let folder = tempfile::tempdir().unwrap();
    let believed = |publisher: &Publisher, certificate: &str| {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, certificate).unwrap();
        AuthSection { jwks_ca_file: Some(file), ..published(OURS, publisher) }
    };
    let token = key.token(OURS, "alice");
    let (publisher, certificate) = Publisher::start_as("127.0.0.1", keys(&[&key])).await;
    let (misnamed, other) = Publisher::start_as("id.example", keys(&[&key])).await;
    for (what, publisher, auth) in [
        ("of no public authority", &publisher, published(OURS, &publisher)),
        ("of another authority", &publisher, believed(&publisher, &other)),
        ("for another name", &misnamed, believed(&misnamed, &other)),
    ] {
        let hub = hub_of(auth).await;
        fails(&hub, 1).await;
        assert_eq!(greeted(&hub, &token).await, "UNAVAILABLE", "{what}");
        assert_eq!(publisher.asked(), 0, "{what}");
    }
    let hub = hub_of(believed(&publisher, &certificate)).await;
    comes_to(&hub, &token, "connected").await;
}
