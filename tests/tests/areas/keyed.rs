//! A room that keeps the latest event of each key: whoever joins has its state, whatever retention took of the log.

use std::collections::BTreeMap;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{Event, text};
use carillon_tests::wire::{join, join_since};
use carillon_tests::{PATIENCE, TestHub, Wire, hub};

const ROOM: &str = "state:board";
/// Entries that retention keeps.
const KEPT: u64 = 64;
/// Events of one key that are written after the others.
const TICKS: u64 = 200;
/// The other keys, in the order in which they were last written: after the key `first`.
const EARLY: [&str; 3] = ["size", "colour", "shape"];

fn event(key: &str, n: u64) -> Command {
    let payload = Some(text(format!("{key} {n}")));
    let (room, name, key) = (ROOM.to_owned(), "set".to_owned(), key.to_owned());
    Command::EventPublish(v1::EventPublish { room, name, key, payload, exclude_self: false })
}

/// What has come of the room since it was joined.
#[derive(Debug, Default)]
struct Copy {
    /// The last event of each key, by its place.
    state: BTreeMap<String, u64>,
    gaps: Vec<(u64, u64)>,
    positions: Vec<v1::Position>,
}

impl Copy {
    fn take(&mut self, kind: &Kind) {
        match kind {
            Kind::Gap(gap) if gap.room == ROOM => {
                assert!(self.last() < gap.from, "what is missing is told before what is there of it");
                self.gaps.push((gap.from, gap.to));
            }
            Kind::Event(event) if event.room == ROOM => {
                let header = event.header.clone().unwrap();
                assert!(self.last() < header.seq, "each once, in order: {self:?}, then {}", header.seq);
                self.positions.push(v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag });
                self.state.insert(event.key.clone(), header.seq);
            }
            _ => {}
        }
    }

    fn last(&self) -> u64 {
        self.positions.last().map_or(0, |position| position.seq)
    }

    async fn reads_to(mut self, wire: &mut Wire, seq: u64) -> Self {
        while self.last() < seq {
            self.take(&wire.next().await.unwrap().kind.unwrap());
        }
        self
    }
}

/// A room whose early keys are in the log no more, its head, and the seq of each key's latest event.
async fn board() -> (TestHub, v1::Position, BTreeMap<String, u64>) {
    let hub = hub().with(|config| {
        let state = config.namespaces.iter_mut().find(|namespace| namespace.name == "state");
        state.unwrap().retention_count = Some(KEPT);
    });
    let hub = hub.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let (mut head, mut latest) = (v1::Position::default(), BTreeMap::new());
    let keys = ["first", "size"].into_iter().chain(EARLY).chain((0..TICKS).map(|_| "tick"));
    for (n, key) in keys.enumerate() {
        let Kind::EntryAccepted(accepted) = alice.asks(event(key, n as u64)).await else { panic!("refused") };
        head = accepted.position.unwrap();
        latest.insert(key.to_owned(), head.seq);
    }
    is_trimmed(&mut alice).await;
    (hub, head, latest)
}

/// Waits until the early keys are in the log no more.
async fn is_trimmed(wire: &mut Wire) {
    let history =
        v1::HistoryGet { room: ROOM.to_owned(), limit: 1, bound: Some(v1::history_get::Bound::After(0)) };
    let trimmed = async {
        loop {
            let Kind::HistoryPage(page) = wire.asks(Command::History(history.clone())).await else {
                panic!()
            };
            match page.entries[0].entry.clone() {
                Some(v1::history_entry::Entry::Event(event)) if event.key == "tick" => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, trimmed).await.expect("the room is trimmed");
}

#[tokio::test]
async fn where_retention_took_what_follows_a_position_the_state_is_handed_over() {
    let (hub, head, latest) = board().await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let joined = bob.joins(join_since(ROOM, v1::Position { seq: 1, tag: 1, ..head })).await;
    assert!(joined.recovered && !joined.truncated);
    let copy = Copy::default().reads_to(&mut bob, head.seq).await;
    assert_eq!((copy.gaps.len(), copy.gaps[0].0), (1, 2));
    let mut expected = latest.clone();
    expected.remove("first");
    assert_eq!(copy.state, expected);
    // Broken off in the midst of the state: the rest of it comes, and nothing twice.
    let at = copy.positions[1];
    assert_eq!(at.seq, latest["colour"]);
    let joined = bob.joins(join_since(ROOM, at)).await;
    assert!(joined.recovered && !joined.truncated);
    let rest = Copy::default().reads_to(&mut bob, head.seq).await;
    assert_eq!(rest.positions, copy.positions[2..]);
}

#[tokio::test]
async fn where_the_log_is_another_the_state_is_handed_over() {
    let (hub, head, latest) = board().await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let joined = bob.joins(join_since(ROOM, v1::Position { epoch: head.epoch + 1, ..head })).await;
    assert!(joined.recovered && joined.truncated);
    let copy = Copy::default().reads_to(&mut bob, head.seq).await;
    assert_eq!((copy.state, copy.positions.len(), copy.gaps), (latest, 5, vec![]));
}

#[tokio::test]
async fn a_rewind_begins_with_the_state_before_it() {
    let (hub, head, latest) = board().await;
    for (rewind, ticks) in [(1, 1), (5, 5), (1_000, KEPT)] {
        let mut bob = Wire::enters(&hub, "bob").await;
        let joined = bob.joins(v1::Join { rewind, ..join(ROOM) }).await;
        assert!(joined.recovered && !joined.truncated);
        let copy = Copy::default().reads_to(&mut bob, head.seq).await;
        assert_eq!((&copy.state, copy.gaps.len()), (&latest, 0));
        let logged = copy.positions.iter().filter(|position| position.seq + u64::from(rewind) > head.seq);
        assert!(logged.count() as u64 >= ticks, "{rewind}: {copy:?}");
    }
}

#[tokio::test]
async fn the_library_hands_over_the_state_of_a_room_whose_log_is_another() {
    let (hub, head, latest) = board().await;
    let mut bob = hub.enters("bob").await;
    let since = Some(v1::Position { epoch: head.epoch + 1, ..head });
    bob.client.join_with(v1::Join { since, ..join(ROOM) }).await.unwrap();
    let (mut state, mut truncated) = (BTreeMap::new(), false);
    while state.get("tick") != Some(&head.seq) {
        match bob.next().await {
            Event::Truncated { room } if room == ROOM => truncated = true,
            Event::Event(event) => _ = state.insert(event.key, event.header.unwrap().seq),
            _ => {}
        }
    }
    assert!(truncated);
    assert_eq!(state, latest);
}

/// A key is taken out by an event without payload: who joins is not handed it, and who has a copy is told.
#[tokio::test]
async fn an_event_without_payload_takes_its_key_out() {
    let (hub, head, mut latest) = board().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let Command::EventPublish(size) = event("size", 0) else { unreachable!() };
    let emptied = Command::EventPublish(v1::EventPublish { payload: None, ..size });
    let Kind::EntryAccepted(emptied) = alice.asks(emptied).await else { panic!("refused") };
    let emptied = emptied.position.unwrap().seq;
    let mut last = emptied;
    // Until the log has the emptied one no longer.
    for n in 0..TICKS {
        let Kind::EntryAccepted(accepted) = alice.asks(event("tick", n)).await else { panic!("refused") };
        last = accepted.position.unwrap().seq;
    }
    latest.insert("tick".to_owned(), last);
    latest.remove("size");
    let mut bob = Wire::enters(&hub, "bob").await;
    assert!(bob.joins(join(ROOM)).await.recovered);
    assert_eq!(Copy::default().reads_to(&mut bob, last).await.state, latest);
    let mut carol = Wire::enters(&hub, "carol").await;
    assert!(carol.joins(join_since(ROOM, head)).await.recovered);
    let copy = Copy::default().reads_to(&mut carol, last).await;
    assert_eq!(copy.state["size"], emptied, "{copy:?}");
}
