//! What the sink is told.

use std::sync::Arc;

use carillon_hub::domain::inbox::{InboxChange, Priority};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, Home, Store, Write};

use crate::harness::*;

pub(crate) async fn are_told_in_commit_order_before_the_acknowledgement<F: Fixture>() {
    let scene = Scene::<F>::new();
    for turn in 1..=20 {
        scene.commit(send("conversation:a", "alice", &turn.to_string())).await;
        assert_eq!(scene.setup.sink.changes().len(), turn, "told before it is acknowledged");
    }
    scene
        .commit(in_room("conversation:a", "bob").writing(Write::Marks { delivered: Seq(5), read: Seq(3) }))
        .await;
    scene
        .commit(in_room("conversation:a", "bob").writing(Write::Marks { delivered: Seq(5), read: Seq(3) }))
        .await;
    scene.commit(notify("bob", notice("n1", Priority::Normal))).await;
    let broadcast = outcome(Home::Tenant, "robot").writing(Write::Broadcast(notice("n2", Priority::High)));
    scene.commit(broadcast).await;
    let read = Write::Inbox(InboxChange::Read(vec![notice("n1", Priority::Normal).id.clone()]));
    scene.commit(outcome(Home::Inbox(user("bob")), "bob").writing(read)).await;
    let changes = scene.setup.sink.changes();
    let log = scene.log("conversation:a").await;
    for (entry, change) in log.iter().zip(&changes) {
        let expected = Change::Entry { room: room_key("conversation:a"), entry: Arc::new(entry.clone()) };
        assert_eq!(*change, expected);
    }
    assert!(matches!(&changes[20], Change::Marks { user: who, marks, .. }
        if *who == user("bob") && marks.read == Seq(3) && marks.delivered == Seq(5) && marks.read_number == 3));
    assert!(matches!(&changes[21], Change::Notified { user, .. } if *user == user_key("bob")));
    assert!(matches!(&changes[22], Change::Broadcast { notification, .. } if !notification.read));
    assert!(matches!(&changes[23], Change::Inbox { summary, .. } if summary.unread == 0));
    assert_eq!(changes.len(), 24, "what changes nothing is not told");
    scene.store().close().await;
}
