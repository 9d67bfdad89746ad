//! A room that keeps the latest event of each key, while many publish, take keys out and put them back. Who joins in the
//! middle is handed the state as it was at just that moment, and what follows it; in the end all see the same.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_client::{Client, Event, v1};
use futures::future::{try_join, try_join_all};

use crate::stress::fault::{Fault, Outcome, holds, same, within};
use crate::stress::person::{Person, words};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::world::{PATIENCE, World, users};

const ROOM: &str = "state:board";
const WRITERS: usize = 4;
/// What each publishes.
const EVENTS: usize = 50;
/// So few that each is written many times.
const KEYS: usize = 12;
/// How many in a hundred take their key out.
const TAKEN_OUT: usize = 20;
const JOINERS: usize = 10;
/// All join within this time.
const JOIN_WITHIN_MS: usize = 120;
/// What is published once all have joined, so that each sees an end.
const END: &str = "end";

/// The latest event of each key: its seq and its words.
type State = BTreeMap<String, (u64, String)>;
/// An event: its seq, its key and its words; none where it took the key out.
type Move = (u64, String, Option<String>);

/// What one who joined is shown.
struct View {
    joined_at: u64,
    head: u64,
    /// What was handed over with the join.
    handed: State,
    /// With what came since.
    moves: Vec<Move>,
}

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut first = world.enters("first").await?;
    let mut log = View::at(&first).await?;
    same("the head of a new room", log.joined_at, 0)?;
    let mut writers = Vec::new();
    for writer in users("writer", WRITERS) {
        writers.push((world.sender(&writer).await?, random.fork()));
    }
    let people = world.enter(&users("joiner", JOINERS)).await?;
    let joining = people.iter().map(|person| {
        let delay = Duration::from_millis(random.below(JOIN_WITHIN_MS) as u64);
        async move {
            tokio::time::sleep(delay).await;
            View::at(person).await
        }
    });
    let writing = writers.iter_mut().map(|(writer, random)| publish(writer, random));
    let (_, mut views) = try_join(try_join_all(writing), try_join_all(joining)).await?;
    let total = (WRITERS * EVENTS) as u64 + 1;
    if let Some((writer, _)) = writers.first() {
        same("the seq of the end", put(writer, END, Some("all have joined".to_owned())).await?, total)?;
    }
    log.follows(&mut first, total).await?;
    let mut people: Vec<_> = people.into_iter().zip(views.drain(..)).collect();
    try_join_all(people.iter_mut().map(|(person, view)| view.follows(person, total))).await?;
    let mut handed = 0;
    for (person, view) in people {
        handed += view.handed.len();
        view.agrees(&person.name, &log)?;
        person.leaves().await;
    }
    first.leaves().await;
    for (writer, _) in writers {
        writer.close().await;
    }
    Ok(Counts::default().with("events", total).with("joins", JOINERS).with("keys handed over", handed))
}

async fn publish(writer: &Client, random: &mut Random) -> Outcome<()> {
    for number in 0..EVENTS {
        let key = format!("key{}", random.below(KEYS));
        let words = (!random.percent(TAKEN_OUT)).then(|| format!("{number} at {key}"));
        put(writer, &key, words).await?;
    }
    Ok(())
}

async fn put(writer: &Client, key: &str, words: Option<String>) -> Outcome<u64> {
    let event = v1::EventPublish {
        room: ROOM.to_owned(),
        name: "move".to_owned(),
        key: key.to_owned(),
        payload: words.map(carillon_client::text),
        ..v1::EventPublish::default()
    };
    let accepted = writer.publish(event).await?;
    let position = accepted.and_then(|accepted| accepted.position);
    Ok(position.ok_or_else(|| Fault::broken("a kept event has no position"))?.seq)
}

impl View {
    /// Joins.
    async fn at(person: &Person) -> Outcome<Self> {
        let joined_at = person.joins(ROOM).await?.position.unwrap_or_default().seq;
        Ok(Self { joined_at, head: 0, handed: State::new(), moves: Vec::new() })
    }

    /// Takes events until the end has come.
    async fn follows(&mut self, person: &mut Person, end: u64) -> Outcome<()> {
        let what = format!("{} has event {end} of {ROOM}", person.name);
        let wait = async {
            while self.head < end {
                match person.next().await? {
                    Event::Event(event) if event.room == ROOM => self.take(*event)?,
                    Event::Truncated { room } if room == ROOM => return Err(Fault::broken("truncated")),
                    _ => {}
                }
            }
            Ok(())
        };
        within(PATIENCE, what, wait).await
    }

    fn take(&mut self, event: v1::Event) -> Outcome<()> {
        let seq = event.header.unwrap_or_default().seq;
        let after = self.head.max(if seq > self.joined_at { self.joined_at } else { 0 });
        let words = event.payload.as_ref().map(|payload| words(Some(payload)).to_owned());
        if seq > self.joined_at {
            same("the next event", seq, after + 1)?;
            self.moves.push((seq, event.key, words));
        } else {
            // The latest of each key from before where the log begins to follow, and then the log: a key may come again.
            holds(format!("{seq} comes after {after} in the state"), seq > after)?;
            put_in(&mut self.handed, &event.key, seq, words);
        }
        self.head = seq;
        Ok(())
    }

    /// That it is what the whole log makes of the moment of the join, and goes on as the log does.
    fn agrees(&self, name: &str, log: &Self) -> Outcome<()> {
        let joined_at = self.joined_at as usize;
        let (before, after) = log.moves.split_at(joined_at.min(log.moves.len()));
        same(format!("the state handed to {name} at {joined_at}"), &self.handed, &state(before))?;
        same(format!("what {name} saw after {joined_at}"), self.moves.as_slice(), after)
    }
}

/// What moves from the beginning on come to.
fn state(moves: &[Move]) -> State {
    let mut state = State::new();
    for (seq, key, words) in moves {
        put_in(&mut state, key, *seq, words.clone());
    }
    state
}

fn put_in(state: &mut State, key: &str, seq: u64, words: Option<String>) {
    match words {
        Some(words) => drop(state.insert(key.to_owned(), (seq, words))),
        None => drop(state.remove(key)),
    }
}
