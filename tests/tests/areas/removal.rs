//! A membership that ends: nothing later reaches whom it was.

use carillon_client::{Event, v1};
use carillon_tests::story::{seq_of, verdict};
use carillon_tests::{Person, hub};
use v1::{LeaveReason, Role};

fn private_past(config: &mut carillon_hub::config::Config) {
    for namespace in config.namespaces.iter_mut().filter(|n| n.name == "conversation") {
        namespace.history_before_join = false;
    }
}

/// Everything of a room until it is left, with the seqs of its entries, and why it was left.
async fn last_words(person: &mut Person, room: &str) -> (Vec<u64>, LeaveReason) {
    let mut seqs = Vec::new();
    loop {
        let event = person.next().await;
        if let Some((at, header)) = event.entry()
            && at == room
        {
            seqs.push(header.seq);
        }
        if let Event::Left(left) = &event {
            return (seqs, left.reason());
        }
    }
}

#[tokio::test]
async fn a_removal_takes_effect_at_its_seq_while_others_send() {
    let hub = hub().start().await;
    let (alice, carol) = (hub.enters("alice").await, hub.enters("carol").await);
    let room = alice.creates(&[("bob", Role::Member), ("carol", Role::Member)]).await;
    let (mut phone, mut laptop) = (hub.enters("bob").await, hub.enters("bob").await);
    let head = phone.joins(&room).await.position.unwrap().seq;
    laptop.joins(&room).await;
    let mut watcher = hub.enters("carol").await;
    watcher.joins(&room).await;
    let sends = [&alice, &carol].map(|sender| {
        let (client, room) = (sender.client.clone(), room.clone());
        tokio::spawn(async move {
            for n in 0..60 {
                client.send(room.as_str(), format!("message {n}")).await.unwrap();
                client.typing(room.as_str(), n % 2 == 0).await.unwrap();
            }
        })
    });
    // In the midst of it.
    let first = carillon_tests::seq(&watcher.hears(&room).await);
    assert_eq!(first, head + 1);
    let removed = seq_of(&alice.client.member_remove(&room, "bob").await.unwrap());
    for device in [&mut phone, &mut laptop] {
        // Both miss nothing before, and hear nothing later.
        let (seqs, reason) = last_words(device, &room).await;
        assert_eq!(reason, LeaveReason::Removed);
        assert_eq!(seqs, (head + 1..=removed).collect::<Vec<_>>(), "all up to the removal, nothing later");
    }
    for send in sends {
        send.await.unwrap();
    }
    assert_eq!(verdict(phone.client.join(&room).await), "ACCESS_DENIED");
    assert_eq!(verdict(phone.client.send(&room, "hello?").await), "ACCESS_DENIED");
    // What comes next to both is of another room: nothing of this one did in between.
    let other = alice.creates(&[("bob", Role::Member)]).await;
    for device in [&mut phone, &mut laptop] {
        device.joins(&other).await;
        let event = loop {
            match device.next().await {
                // How much of it is unread is told of a room that nobody of theirs follows yet, and may be on its way.
                Event::Unread(unread) if unread.room == other => {}
                event => break event,
            }
        };
        assert!(matches!(&event, Event::Joined(joined) if joined.room == other), "{event:?}");
    }
}

#[tokio::test]
async fn leaving_ends_the_membership_on_all_devices() {
    let hub = hub().start().await;
    let mut alice = hub.enters("alice").await;
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let (mut phone, mut laptop) = (hub.enters("bob").await, hub.enters("bob").await);
    for person in [&alice, &phone, &laptop] {
        person.joins(&room).await;
    }
    // To receive nothing more is not to leave for good.
    assert_eq!(laptop.client.leave(&room).await.unwrap().reason(), LeaveReason::Command);
    laptop.joins(&room).await;
    let left = seq_of(&phone.client.member_remove(&room, "bob").await.unwrap());
    assert_eq!(phone.is_out_of(&room).await, LeaveReason::Removed);
    assert_eq!(laptop.is_out_of(&room).await, LeaveReason::Command);
    assert_eq!(laptop.is_out_of(&room).await, LeaveReason::Removed);
    let change = alice.waits_for(|event| match event {
        Event::Membership(change) => Some(change),
        _ => None,
    });
    let change = change.await;
    assert_eq!((change.user.as_str(), change.change()), ("bob", v1::MembershipChange::Left));
    assert_eq!((change.role(), change.header.unwrap().seq), (Role::Unspecified, left));
    assert!(phone.client.rooms(v1::RoomsGet::default()).await.unwrap().rooms.is_empty());
}

#[tokio::test]
async fn who_is_added_again_begins_again() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    bob.joins(&room).await;
    alice.client.member_remove(&room, "bob").await.unwrap();
    bob.is_out_of(&room).await;
    alice.says(&room, "while bob is away").await;
    let added = seq_of(&alice.client.member_add(&room, "bob", Role::Reader).await.unwrap());
    let joined = bob.joins(&room).await;
    assert_eq!((joined.role(), joined.position.unwrap().seq), (Role::Reader, added));
    let said = alice.says(&room, "welcome back").await;
    let heard = bob.hears(&room).await;
    assert_eq!(carillon_tests::seq(&heard), said);
    assert_eq!(bob.reads(&room).await.len() as u64, said, "the past is open here");
}

#[tokio::test]
async fn the_past_may_be_closed_to_new_members() {
    let hub = hub().with(private_past).start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[]).await;
    let secret = alice.says(&room, "a secret").await;
    let added = seq_of(&alice.client.member_add(&room, "bob", Role::Member).await.unwrap());
    let said = alice.says(&room, "no secret").await;
    let seqs: Vec<_> = bob.reads(&room).await.iter().filter_map(Event::entry).map(|(_, h)| h.seq).collect();
    assert_eq!(seqs, [added, said]);
    let newest = v1::HistoryGet { room: room.clone(), limit: 2, ..Default::default() };
    assert!(!bob.client.history(newest).await.unwrap().more);
    let before = Some(v1::history_get::Bound::Before(added));
    let before = v1::HistoryGet { room: room.clone(), bound: before, ..Default::default() };
    assert!(bob.client.history(before).await.unwrap().entries.is_empty());
    let mut reply = carillon_tests::story::message(&room, "about your secret");
    reply.reply_to = Some(secret);
    assert_eq!(verdict(bob.client.send_message(reply).await), "NOT_FOUND");
    assert_eq!(verdict(bob.client.react(&room, secret, "+1", true).await), "NOT_FOUND");
    let mut other = hub.enters("bob").await;
    let joined = other.joins_from_the_start(&room).await;
    assert!(joined.recovered);
    let heard = other.hears_through(&room, said).await;
    assert_eq!(heard.iter().filter_map(Event::entry).map(|(_, h)| h.seq).collect::<Vec<_>>(), [added, said]);
}

#[tokio::test]
async fn a_copy_from_before_a_closed_past_is_void() {
    let hub = hub().with(private_past).start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let since = bob.joins(&room).await.position.unwrap();
    alice.client.member_remove(&room, "bob").await.unwrap();
    bob.is_out_of(&room).await;
    alice.says(&room, "while bob is away").await;
    alice.client.member_add(&room, "bob", Role::Member).await.unwrap();
    let again = v1::Join { room: room.clone(), since: Some(since), ..Default::default() };
    let joined = bob.client.join_with(again).await.unwrap();
    assert!(joined.truncated && !joined.recovered, "no silent hole: {joined:?}");
    assert_eq!(bob.reads(&room).await.len(), 1);
}
