//! Events: durable ones are entries, ephemeral ones go to whoever is there.

use bytes::Bytes;
use carillon_client::{Event, Executor, text, v1};
use carillon_tests::story::{seq_of, text_of, verdict, wrong_field};
use carillon_tests::{Person, Wire, hub};
use v1::content::Body;
use v1::session_response::Kind;

fn event(room: &str, name: &str, key: &str, words: &str) -> v1::EventPublish {
    let payload = (!words.is_empty()).then(|| text(words));
    v1::EventPublish { room: room.into(), name: name.into(), key: key.into(), payload, exclude_self: false }
}

async fn hears_event(person: &mut Person) -> v1::Event {
    person
        .waits_for(|event| match event {
            Event::Event(event) => Some(*event),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn an_ephemeral_event_goes_to_those_who_are_there() {
    let hub = hub().start().await;
    let (mut alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let joined = alice.joins("live:1").await;
    assert!(joined.position.is_none() && joined.marks.is_none() && !joined.rules.unwrap().durable);
    bob.joins("live:1").await;
    assert_eq!(alice.client.publish(event("live:1", "moved", "", "")).await.unwrap(), None);
    for person in [&mut alice, &mut bob] {
        let heard = hears_event(person).await;
        let header = heard.header.unwrap();
        assert_eq!((header.seq, header.tag, header.epoch, header.sender.as_str()), (0, 0, 0, "alice"));
        assert!(header.time_ms > 0 && heard.payload.is_none() && heard.name == "moved");
    }
    let unseen = v1::EventPublish { exclude_self: true, ..event("live:1", "mine", "", "x") };
    alice.client.publish(unseen).await.unwrap();
    alice.client.publish(event("live:1", "ours", "", "y")).await.unwrap();
    assert_eq!(hears_event(&mut alice).await.name, "ours");
    assert_eq!(hears_event(&mut bob).await.name, "mine");
    // Only the session is left out, not the user.
    let mut phone = hub.enters("alice").await;
    phone.joins("live:1").await;
    let unseen = v1::EventPublish { exclude_self: true, ..event("live:1", "again", "", "x") };
    alice.client.publish(unseen).await.unwrap();
    assert_eq!(hears_event(&mut phone).await.name, "again");
}

/// Several attempts with one key, by sessions that came after each other and without one.
#[tokio::test]
async fn an_ephemeral_event_that_is_sent_again_comes_once() {
    let hub = hub().start().await;
    let mut bob = hub.enters("bob").await;
    bob.joins("live:1").await;
    for _ in 0..2 {
        let alice = hub.enters("alice").await;
        let keyed = alice.client.with_key(&b"an-event"[..]);
        assert_eq!(keyed.publish(event("live:1", "moved", "", "here")).await.unwrap(), None);
        let other = keyed.publish(event("live:1", "moved", "", "elsewhere")).await;
        assert_eq!(verdict(other), "CONFLICT");
    }
    let executor = Executor::new(hub.options("alice")).unwrap();
    let again = v1::session_request::Command::EventPublish(event("live:1", "moved", "", "here"));
    executor.call_with_key::<v1::Done>(again, Bytes::from_static(b"an-event")).await.unwrap();
    // Other keys, rooms and senders are other events.
    let (alice, carol) = (hub.enters("alice").await, hub.enters("carol").await);
    bob.joins("live:2").await;
    for (person, key, room) in
        [(&alice, "another-event", "live:1"), (&alice, "an-event", "live:2"), (&carol, "an-event", "live:1")]
    {
        person.client.with_key(key.as_bytes()).publish(event(room, "then", "", "here")).await.unwrap();
    }
    for name in ["moved", "then", "then", "then"] {
        assert_eq!(hears_event(&mut bob).await.name, name);
    }
}

#[tokio::test]
async fn a_durable_event_is_an_entry() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    bob.joins("room:lobby").await;
    let keyed = alice.client.with_key(&b"an-event"[..]);
    let accepted = keyed.publish(event("room:lobby", "moved", "k", "here")).await.unwrap().unwrap();
    let again = keyed.publish(event("room:lobby", "moved", "k", "here")).await.unwrap().unwrap();
    assert!(!accepted.duplicate && again.duplicate && again.position == accepted.position);
    let heard = hears_event(&mut bob).await;
    assert_eq!(heard.header.as_ref().unwrap().seq, seq_of(&accepted));
    assert_eq!(bob.reads("room:lobby").await, [Event::Event(Box::new(heard))]);
    let selfless = v1::EventPublish { exclude_self: true, ..event("room:lobby", "moved", "", "") };
    assert_eq!(wrong_field(alice.client.publish(selfless).await), "exclude_self");
    // Events are no messages.
    assert_eq!(alice.client.send("room:lobby", "hello").await.unwrap().number, 1);
}

#[tokio::test]
async fn shared_state_is_handed_over_on_join() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let publish = async |name: &str, key: &str, words: &str| {
        let accepted = alice.client.publish(event("state:board", name, key, words)).await.unwrap().unwrap();
        seq_of(&accepted)
    };
    publish("note", "a", "first a").await;
    let b = publish("note", "b", "only b").await;
    publish("note", "", "without a key").await;
    let a = publish("note", "a", "latest a").await;
    let mut bob = hub.enters("bob").await;
    let joined = bob.joins("state:board").await;
    assert_eq!(joined.position.unwrap().seq, a);
    for (seq, words) in [(b, "only b"), (a, "latest a")] {
        let heard = hears_event(&mut bob).await;
        assert_eq!((heard.header.unwrap().seq, text_of(heard.payload.as_ref())), (seq, words));
    }
    let c = publish("note", "c", "live c").await;
    assert_eq!(hears_event(&mut bob).await.header.unwrap().seq, c);
}

#[tokio::test]
async fn a_wrong_event_is_refused() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    alice.joins("live:1").await;
    for room in ["live:1", "room:lobby"] {
        for name in [String::new(), "x".repeat(101), "a\u{7}".into()] {
            assert_eq!(wrong_field(alice.client.publish(event(room, &name, "", "")).await), "name");
        }
        for key in ["x".repeat(65), "a\n".into()] {
            assert_eq!(wrong_field(alice.client.publish(event(room, "moved", &key, "")).await), "key");
        }
        let control = event(room, "moved", "", "a\u{7}");
        assert_eq!(wrong_field(alice.client.publish(control).await), "payload.text");
        let long = event(room, "moved", "", &"x".repeat(10_001));
        assert_eq!(verdict(alice.client.publish(long).await), "MESSAGE_TOO_LARGE");
        let payload =
            v1::Content { body: Some(Body::Data(vec![0; 65_537].into())), media_type: String::new() };
        let large = v1::EventPublish { payload: Some(payload), ..event(room, "moved", "", "") };
        assert_eq!(verdict(alice.client.publish(large).await), "MESSAGE_TOO_LARGE");
        alice.client.publish(event(room, &"ü".repeat(100), "", "")).await.unwrap();
    }
    assert_eq!(verdict(alice.client.publish(event("conversation:1", "x", "", "")).await), "ACCESS_DENIED");
    assert_eq!(alice.reads("room:lobby").await.len(), 1);
}

#[tokio::test]
async fn anyone_may_call_a_user_but_only_they_listen() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let joined = bob.waits_for(|event| match event {
        Event::Joined(joined) if joined.room == "user:bob" => Some(joined),
        _ => None,
    });
    assert_eq!(joined.await.reason(), v1::JoinReason::Automatic);
    alice.client.publish(event("user:bob", "ring", "", "")).await.unwrap();
    assert_eq!(hears_event(&mut bob).await.name, "ring");
    assert_eq!(verdict(alice.client.join("user:bob").await), "ACCESS_DENIED");
}

#[tokio::test]
async fn nothing_of_a_room_comes_before_it_is_joined() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, Wire::enters(&hub, "bob").await);
    let rooms: Vec<String> = (0..20).map(|n| format!("live:{n}")).collect();
    let (client, targets) = (alice.client.clone(), rooms.clone());
    let publisher = tokio::spawn(async move {
        for room in targets.iter().cycle() {
            client.publish(event(room, "moved", "", "")).await.unwrap();
        }
    });
    let mut joined = Vec::new();
    for room in &rooms {
        let join = v1::Join { room: room.clone(), ..Default::default() };
        let id = bob.ask(v1::session_request::Command::Join(join));
        // Until it is joined and an event of it came.
        let (mut answered, mut heard) = (false, false);
        while !(answered && heard) {
            let frame = bob.next().await.unwrap();
            match frame.kind.unwrap() {
                Kind::Joined(now) if frame.command_id == id => {
                    joined.push(now.room);
                    answered = true;
                }
                Kind::Event(event) => {
                    assert!(joined.contains(&event.room), "{} before its joined", event.room);
                    heard |= event.room == *room;
                }
                _ => {}
            }
        }
    }
    publisher.abort();
}
