//! How long a token may live.

use std::time::Duration;

use carillon_tests::wire::greeted;
use carillon_tests::{TestHub, hub};
use jsonwebtoken::get_current_timestamp;
use serde_json::json;

/// A token of this life in seconds.
fn living(hub: &TestHub, seconds: u64) -> String {
    let now = get_current_timestamp();
    hub.token_that_says(&json!({"iat": now, "exp": now + seconds}))
}

#[tokio::test]
async fn a_token_may_live_for_so_long() {
    let hour = Duration::from_secs(3_600);
    let hub = hub().with(|config| config.auth.longest_life = Some(hour)).start().await;
    assert_eq!(greeted(&hub, &living(&hub, 3_600)).await, "connected");
    assert_eq!(greeted(&hub, &living(&hub, 3_601)).await, "INVALID_TOKEN");
    let silent = hub.token_that_says(&json!({}));
    assert_eq!(greeted(&hub, &silent).await, "INVALID_TOKEN", "nobody knows since when");
    let hub = hub.stops().await.with(|config| config.auth.longest_life = None).start().await;
    assert_eq!(greeted(&hub, &living(&hub, 36_000)).await, "connected");
    assert_eq!(greeted(&hub, &hub.token_that_says(&json!({}))).await, "connected");
}
