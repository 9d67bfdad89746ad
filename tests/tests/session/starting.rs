//! When a hub must not start.

use carillon_tests::{Wire, hub};

#[tokio::test]
async fn an_address_has_one_hub() {
    let first = hub().with(|config| config.grpc.workers = 2).start().await;
    let address = first.hub.grpc_address();
    let why = hub().at(address).fails_to_start().await;
    assert!(why.starts_with(&format!("cannot listen on {address}: Address already in use")), "{why}");
    Wire::enters(&first, "alice").await;
    // Once it has stopped, the address is free again, whatever connections it had.
    first.stops().await.at(address).start().await;
}
