//! Requests without a session.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod harness;

use carillon_client::{Code, CommandError, Executor, TokenReason, v1};
use harness::{Hub, at};
use tokio::join;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

fn refusal(code: tonic::Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "carillon", []);
    Status::with_error_details(code, "a fixed text", details)
}

#[tokio::test(start_paused = true)]
async fn expired_token_is_replaced_and_the_request_made_again_with_its_key() {
    let mut hub = Hub::start();
    let provider = |reason: TokenReason| std::future::ready(Ok(format!("{reason:?}")));
    let executor = Executor::new(hub.options().token_provider(provider)).unwrap();
    let sent = v1::MessageSent { position: Some(at(1)), number: 1, ..Default::default() };
    let (outcome, ()) = join!(executor.send("conversation:1", "hello"), async {
        let (first, answer) = hub.executed().await;
        assert_eq!(first.metadata().get("authorization").unwrap(), "Bearer Connect");
        answer.send(Err(refusal(tonic::Code::Unauthenticated, "TOKEN_EXPIRED"))).unwrap();
        let (again, answer) = hub.executed().await;
        assert_eq!(again.metadata().get("authorization").unwrap(), "Bearer Expired");
        assert_eq!(again.get_ref().idempotency_key, first.get_ref().idempotency_key);
        let kind = Some(v1::execute_response::Kind::MessageSent(sent));
        answer.send(Ok(v1::ExecuteResponse { kind })).unwrap();
    });
    assert_eq!(outcome.unwrap(), sent);
}

#[tokio::test(start_paused = true)]
async fn refusal_keeps_its_code() {
    let mut hub = Hub::start();
    let executor = Executor::new(hub.options()).unwrap();
    let (outcome, ()) = join!(executor.send("conversation:1", "hello"), async {
        let (_, answer) = hub.executed().await;
        answer.send(Err(refusal(tonic::Code::PermissionDenied, "ACCESS_DENIED"))).unwrap();
    });
    assert!(matches!(outcome, Err(CommandError::Refused(refusal)) if refusal.code == Code::AccessDenied));
}
