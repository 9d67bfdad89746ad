//! Users join and leave while others send. Each hears all of a room from its join to its leave, and nothing else.

use std::collections::BTreeMap;

use carillon_client::{Client, Event, Events, v1};
use futures::future::try_join_all;

use crate::stress::copy::Copy;
use crate::stress::fault::{Fault, Outcome, same, within};
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::residue;
use crate::stress::talk::{self, send_all, texts};
use crate::stress::world::{PATIENCE, World, users};

const ROOMS: usize = 4;
const USERS: usize = 6;
const CHANGES: usize = 24;
const MESSAGES: usize = 60;

/// A user with the rooms that they are in.
struct Guest {
    person: Person,
    here: BTreeMap<String, Copy>,
    heard: usize,
}

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let rooms: Vec<_> = (0..ROOMS).map(|room| format!("room:churn{room}")).collect();
    let mut guests = Vec::new();
    for person in world.enter(&users("guest", USERS)).await? {
        guests.push((Guest { person, here: BTreeMap::new(), heard: 0 }, random.fork()));
    }
    let sender = world.sender("sender").await?;
    let sending = try_join_all(rooms.iter().map(|room| {
        let texts = texts(room, MESSAGES);
        let sender = sender.clone();
        async move { send_all(&sender, room, &texts, 2).await }
    }));
    let churning = try_join_all(guests.iter_mut().map(|(guest, random)| guest.churn(&rooms, random)));
    let (sent, _) = futures::future::try_join(sending, churning).await?;
    for sent in &sent {
        talk::agree([], sent, 1)?;
    }
    for (guest, _) in &mut guests {
        guest.catch_up(MESSAGES as u64).await?;
    }
    present(&world, &rooms, &guests, sender.clone()).await?;
    let heard: usize = guests.iter().map(|(guest, _)| guest.heard).sum();
    for (guest, _) in guests {
        guest.person.leaves().await;
    }
    sender.close().await;
    Ok(Counts::default().with("joins and leaves", USERS * CHANGES).with("deliveries", heard))
}

/// The hub agrees on who is where.
async fn present(
    world: &World,
    rooms: &[String],
    guests: &[(Guest, Random)],
    client: Client,
) -> Outcome<()> {
    let mut active = 0;
    for room in rooms {
        let there = guests.iter().filter(|(guest, _)| guest.here.contains_key(room)).count();
        active += usize::from(there > 0);
        let page = client.presence_get(v1::PresenceGet { room: room.clone(), ..Default::default() }).await?;
        same(format!("occupancy of {room}"), page.occupancy as usize, there)?;
        same(format!("users in {room}"), page.states.len(), there)?;
    }
    // The rooms that are joined by themselves: the tenant's, and one of each user and the sender.
    let active = (active + 1 + USERS + 1) as u64;
    residue::counts(world, &format!("{active} rooms are active"), |s| s.active_rooms == active).await?;
    Ok(())
}

impl Guest {
    async fn churn(&mut self, rooms: &[String], random: &mut Random) -> Outcome<()> {
        let mut joined: Vec<bool> = vec![false; rooms.len()];
        for _ in 0..CHANGES {
            let index = random.below(rooms.len());
            let (Some(room), Some(is_in)) = (rooms.get(index), joined.get_mut(index)) else { continue };
            let client = self.person.client.clone();
            if *is_in {
                let left = async { Ok(client.leave(room).await?) };
                let left = listen(&mut self.person.events, &mut self.here, &mut self.heard, left).await?;
                same("the room that was left", left.room.as_str(), room)?;
            } else {
                let join = v1::Join { room: room.clone(), ..v1::Join::default() };
                let joined = async { Ok(client.join_with(join).await?) };
                let joined = listen(&mut self.person.events, &mut self.here, &mut self.heard, joined).await?;
                same("the room that was joined", joined.room.as_str(), room)?;
                same("a fresh join is not truncated", joined.truncated, false)?;
            }
            *is_in = !*is_in;
        }
        Ok(())
    }

    /// Takes events until all that was sent in the rooms where the user is has come.
    async fn catch_up(&mut self, head: u64) -> Outcome<()> {
        let Self { person, here, heard } = self;
        let wait = async {
            while here.values().any(|copy| copy.head() < head) {
                let event = person.next().await?;
                take(here, heard, &event)?;
            }
            Ok(())
        };
        within(PATIENCE, "what was sent in the joined rooms has come", wait).await
    }
}

/// Waits for the answer while events come.
async fn listen<T>(
    events: &mut Events,
    here: &mut BTreeMap<String, Copy>,
    heard: &mut usize,
    answer: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    tokio::pin!(answer);
    loop {
        tokio::select! {
            // An answer's event is there before the answer: take those first.
            biased;
            Some(event) = events.next() => take(here, heard, &event)?,
            answer = &mut answer => return answer,
        }
    }
}

fn take(here: &mut BTreeMap<String, Copy>, heard: &mut usize, event: &Event) -> Outcome<()> {
    match event {
        Event::Joined(joined) if joined.reason() == v1::JoinReason::Command => {
            let copy = Copy::after(&joined.room, joined.position.unwrap_or_default());
            here.insert(joined.room.clone(), copy);
        }
        Event::Left(left) => {
            here.remove(&left.room);
        }
        event => {
            let Some((room, header)) = event.entry() else { return Ok(()) };
            let Some(copy) = here.get_mut(room) else {
                return Err(Fault::Broken(format!("entry {} of {room}, which was left", header.seq)));
            };
            copy.take(event)?;
            *heard += 1;
        }
    }
    Ok(())
}
