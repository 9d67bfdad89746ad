//! Commands by POST: one command, one answer, no session.

use carillon_tests::browser::{Beside, request};
use carillon_tests::hub;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_carried_out_without_a_session() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("alice"));
    let body = json!({
        "idempotencyKey": "a2V5LTAwMDAwMQ==",
        "messageSend": {"room": "room:lobby", "content": {"text": "posted"}},
    });
    let headers = [("authorization", &*bearer), ("x-request-id", "trace-1")];
    let first = request(bridge.address(), "POST", "/v1/commands", &headers, &body.to_string()).await;
    assert_eq!((first.status, first.json()["messageSent"]["number"].as_str()), (200, Some("1")));
    assert!(first.head.contains("x-request-id: trace-1"), "{}", first.head);
    let again = request(bridge.address(), "POST", "/v1/commands", &headers, &body.to_string()).await;
    assert_eq!(again.json()["messageSent"]["duplicate"], true);
    let history = json!({"history": {"room": "room:lobby", "limit": 10}});
    let page = request(bridge.address(), "POST", "/v1/commands", &headers, &history.to_string()).await;
    assert_eq!(page.json()["historyPage"]["entries"][0]["message"]["content"]["text"], "posted");
    assert!(hub.hub.services().sessions.is_empty());
    assert!(hub.hub.services().presence.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_with_its_status() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("alice"));
    let large =
        json!({"messageSend": {"room": "room:a", "content": {"text": "x".repeat(110_000)}}}).to_string();
    for (token, body, status, code, field) in [
        ("", "{\"rooms\": {}}", 401, "AUTH_REQUIRED", ""),
        ("Bearer a.b.c", "{\"rooms\": {}}", 401, "INVALID_TOKEN", ""),
        (&*bearer, "{", 400, "INVALID_ARGUMENT", "body"),
        (&*bearer, "{}", 400, "INVALID_ARGUMENT", "command"),
        (&*bearer, "{\"join\": {\"room\": \"room:a\"}}", 400, "INVALID_ARGUMENT", "join"),
        (&*bearer, "{\"history\": {\"room\": \"no room\"}}", 400, "INVALID_ARGUMENT", "room"),
        (&*bearer, "{\"history\": {\"room\": \"conversation:of-others\"}}", 403, "ACCESS_DENIED", ""),
        (&*bearer, &*large, 413, "MESSAGE_TOO_LARGE", ""),
    ] {
        let answer =
            request(bridge.address(), "POST", "/v1/commands", &[("authorization", token)], body).await;
        let said = answer.json();
        assert_eq!(
            (answer.status, said["code"].as_str()),
            (status, Some(code)),
            "{}",
            &body[..body.len().min(80)]
        );
        assert_eq!(said["violations"][0]["field"].as_str().unwrap_or_default(), field, "{said}");
        assert!(answer.head.contains("x-request-id: "), "{}", answer.head);
    }
}
