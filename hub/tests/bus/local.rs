//! The bus within a process.

use carillon_hub::bus::{Bus, Exchange, Local};

use crate::harness::{Fixture, Node, room};

impl Fixture for Exchange {
    async fn nodes(count: usize, room: usize) -> (Self, Vec<Node>) {
        let exchange = Self::default();
        let join = |_| {
            let (bus, events) = exchange.join(room);
            Node::new(bus, events)
        };
        let nodes = (0..count).map(join).collect();
        (exchange, nodes)
    }
}

crate::conformance::conformance!(Exchange);

#[tokio::test]
async fn who_is_alone_needs_no_bus() {
    let (alone, _) = Local::alone();
    assert!(!alone.has_others());
    let (_exchange, nodes) = Exchange::nodes(1, 1_000).await;
    assert!(nodes[0].bus.has_others());
}

#[tokio::test]
async fn who_leaves_is_gone() {
    let (_exchange, mut nodes) = Exchange::nodes(2, 1_000).await;
    drop(nodes.pop());
    nodes[0].hears(room(1)).await;
    nodes[0].says(&room(1), 5).await;
    assert_eq!(nodes[0].number().await, 5);
}
