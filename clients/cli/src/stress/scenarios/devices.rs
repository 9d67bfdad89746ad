//! Several devices of one user: each gets everything, marks of one reach the others, together they are one user; a
//! newer session of the same instance takes over.

use carillon_client::{Code, CommandError, Event, v1};
use futures::future::try_join_all;

use crate::stress::copy::Copy;
use crate::stress::fault::{Fault, Outcome, holds, same, within};
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::residue;
use crate::stress::talk::{Sent, add, agree, send_all, texts};
use crate::stress::world::{PATIENCE, World};

const ROOM: &str = "room:devices";
const DEVICES: usize = 3;
const MESSAGES: usize = 20;
const TAKEOVERS: usize = 4;

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut devices: Vec<(Person, Copy)> = Vec::new();
    for instance in 0..DEVICES {
        devices.push(enters(&world, instance).await?);
    }
    let other = world.enters("other").await?;
    other.joins(ROOM).await?;
    together(&other, DEVICES).await?;
    residue::counts(&world, "each device has a session", |s| (s.sessions, s.users) == (DEVICES as u64 + 1, 2))
        .await?;

    let mut sent = Sent::new();
    let all = (DEVICES * MESSAGES) as u64;
    let sending = devices.iter_mut().enumerate().map(|(index, (person, copy))| async move {
        let (client, texts) = (person.client.clone(), texts(&format!("device {index}:"), MESSAGES));
        let sending = send_all(&client, ROOM, &texts, 4);
        let sent = person.during(sending, |event| copy.take(event).map(|_| ())).await?;
        person.catches_up(copy, all).await?;
        Ok::<_, Fault>(sent)
    });
    for of_one in try_join_all(sending).await? {
        add(&mut sent, of_one)?;
    }
    agree(devices.iter().map(|(_, copy)| copy), &sent, 1)?;

    let last = other.says(ROOM, "have you read this?").await?;
    same("the last seq", last, all + 1)?;
    marks(&mut devices, random.below(DEVICES), last).await?;
    for _ in 0..TAKEOVERS {
        take_over(&world, &mut devices, random.below(DEVICES), &other).await?;
    }
    for (person, _) in devices {
        person.leaves().await;
    }
    other.leaves().await;
    Ok(Counts::default().with("messages", all).with("takeovers", TAKEOVERS))
}

async fn enters(world: &World, instance: usize) -> Outcome<(Person, Copy)> {
    let options = world.options("owner")?.instance(format!("device{instance}"));
    let person = Person::connect("owner", options).await?;
    let copy = person.follows(ROOM).await?;
    Ok((person, copy))
}

/// The devices are one user.
async fn together(other: &Person, devices: usize) -> Outcome<()> {
    let get = v1::PresenceGet { room: ROOM.to_owned(), ..v1::PresenceGet::default() };
    let page = other.client.presence_get(get).await?;
    same("users in the room", page.occupancy, 2)?;
    let owner = page.states.iter().find(|state| state.user == "owner");
    same("devices of the owner", owner.map(|state| state.devices as usize), Some(devices))
}

/// What one device has read, the others are told.
async fn marks(devices: &mut [(Person, Copy)], reader: usize, head: u64) -> Outcome<()> {
    let Some((person, _)) = devices.get(reader) else { return Ok(()) };
    let marks = person.client.mark_read(ROOM, head).await?;
    same("marks", (marks.delivered, marks.read), (head, head))?;
    for (person, _) in devices {
        person
            .waits_for("what its user has read", |event| match event {
                Event::Marks(marks) if marks.room == ROOM && marks.user == "owner" => {
                    (marks.read == head).then_some(())
                }
                _ => None,
            })
            .await?;
    }
    Ok(())
}

/// A newer session of an instance ends the older at once and for good; the other devices stay.
async fn take_over(
    world: &World,
    devices: &mut [(Person, Copy)],
    which: usize,
    other: &Person,
) -> Outcome<()> {
    let mut newer = enters(world, which).await?;
    let Some(place) = devices.get_mut(which) else { return Ok(()) };
    std::mem::swap(place, &mut newer);
    let (mut older, _) = newer;
    let end = older
        .waits_for("why it ended", |event| match event {
            Event::Disconnected(end) => Some(end),
            _ => None,
        })
        .await?;
    same("why the older session ended", (end.code, end.reconnect_after), (Some(Code::SessionReplaced), None))?;
    let ended = async { Ok(older.events.next().await) };
    holds("no event follows", within(PATIENCE, "the events end", ended).await?.is_none())?;
    let late = older.client.send(ROOM, "too late").await;
    holds("a session that was replaced sends no more", matches!(late, Err(CommandError::Ended(_))))?;
    let sessions = devices.len() as u64 + 1;
    residue::counts(world, "a session for each device", |s| s.sessions == sessions).await?;
    together(other, devices.len()).await
}
