//! A command that is not done in time is answered, and its session goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_tests::story::message;
use carillon_tests::wire::{code, join};
use carillon_tests::{Wire, hub};

use crate::authorizer::{asking, opens};

/// Who decides never answers, and would be waited for.
#[tokio::test]
async fn a_command_that_takes_too_long_is_answered() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| {
        asking(config, address);
        config.authorizer.timeout = Duration::from_secs(30);
        config.session.command_timeout = Duration::from_millis(300);
    });
    let hub = hub.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    office.hangs.store(true, Ordering::SeqCst);
    let history = v1::HistoryGet { room: "case:open".to_owned(), limit: 1, bound: None };
    for command in [
        Command::MessageSend(message("case:open", "words")),
        Command::Join(join("case:open")),
        Command::History(history),
    ] {
        assert_eq!(code(&alice.asks(command).await), "DEADLINE_EXCEEDED");
    }
    assert!(matches!(alice.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
}
