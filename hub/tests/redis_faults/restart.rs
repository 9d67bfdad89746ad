//! Redis is killed and started again.

use std::time::Duration;

use carillon_hub::redis::{self, Durability};
use carillon_hub::store::Store;

use crate::load::{Load, open};
use carillon_test_redis::{Keeps, Server};

#[tokio::test]
async fn a_server_that_was_killed_has_all_that_was_acknowledged() {
    let mut server = Server::start(Keeps::Always);
    let store = open(redis::Options::new(server.url()), |options| options.durability = Durability::Always);
    let load = Load::begin(&store);
    let mut recovered = Duration::ZERO;
    for _ in 0..3 {
        load.makes_progress(300).await;
        server.kill();
        server.restart();
        recovered = recovered.max(load.makes_progress(300).await);
    }
    load.end("kill -9 of Redis with appendfsync always, three times", recovered).await;
    store.close().await;
}
