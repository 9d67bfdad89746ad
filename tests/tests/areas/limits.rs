//! Limits of a session that areas hold.

use carillon_client::v1;
use carillon_tests::hub;
use carillon_tests::story::verdict;

#[tokio::test]
async fn a_session_joins_so_many_rooms() {
    let few = |config: &mut carillon_hub::config::Config| config.session.rooms_per_session = 2;
    let hub = hub().with(few).start().await;
    let mut alice = hub.enters("alice").await;
    let limits = alice.client.connected().limits.unwrap();
    assert_eq!(limits.rooms_per_session, 2);
    assert_eq!(limits.idempotency_window_ms, 24 * 3_600_000, "as long as keys are kept");
    // Two are joined by themselves, besides.
    for _ in 0..2 {
        let joined = alice.waits_for(|event| match event {
            carillon_client::Event::Joined(joined) => Some(joined),
            _ => None,
        });
        assert_eq!(joined.await.reason(), v1::JoinReason::Automatic);
    }
    for room in ["room:1", "room:2", "room:2"] {
        alice.joins(room).await;
    }
    assert_eq!(verdict(alice.client.join("room:3").await), "ROOM_LIMIT_EXCEEDED");
    assert_eq!(verdict(alice.client.leave("room:never").await), "ok");
    alice.client.leave("room:1").await.unwrap();
    alice.joins("room:3").await;
}
