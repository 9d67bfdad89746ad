//! Two people talk.

use carillon_tests::{hub, seq, words};

#[tokio::test]
async fn two_people_talk_and_what_they_said_outlives_the_hub() {
    let hub = hub().start().await;
    let (mut alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    for person in [&alice, &bob] {
        let joined = person.joins("room:lobby").await;
        assert!(!joined.truncated);
    }
    for n in 1..=20 {
        let (speaker, said) = if n % 2 == 0 { (&alice, "to bob") } else { (&bob, "to alice") };
        assert_eq!(speaker.says("room:lobby", said).await, n);
        for listener in [&mut alice, &mut bob] {
            let heard = listener.hears("room:lobby").await;
            assert_eq!((seq(&heard), words(&heard)), (n, said));
        }
    }
    alice.client.close().await;
    bob.client.close().await;

    let hub = hub.stops().await.start().await;
    let alice = hub.enters("alice").await;
    let page = alice
        .client
        .history(carillon_client::v1::HistoryGet { room: "room:lobby".into(), ..Default::default() });
    let page = page.await.unwrap();
    assert_eq!(page.entries.len(), 20);
    assert_eq!(page.as_of.unwrap().seq, 20);
}
