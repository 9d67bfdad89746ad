//! Users come, go and vanish. Who vanished counts as there until the grace is over; who comes back in time was never
//! gone; in the end the hub and those who watched agree with what was done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{Event, v1};

use crate::stress::fault::{Fault, Outcome, holds, same, within};
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::wire::Wire;
use crate::stress::world::{PATIENCE, World};

const ROOM: &str = "room:hall";
const USERS: usize = 6;
const CHANGES: usize = 50;
/// The hub reads its clock in milliseconds, and looks a few times a second.
const TOLERANCE: Duration = Duration::from_millis(50);

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut watcher = world.enters("watcher").await?;
    watcher.joins(ROOM).await?;
    returns_in_time(&world, &mut watcher).await?;
    vanishes_for_good(&world, &mut watcher).await?;

    let mut there: BTreeMap<String, Wire> = BTreeMap::new();
    let mut changes = 0;
    for _ in 0..CHANGES {
        let user = format!("guest{}", random.below(USERS));
        changes += 1;
        match there.remove(&user) {
            None => {
                there.insert(user.clone(), comes(&world, &user).await?);
            }
            Some(mut wire) => match random.below(4) {
                0 => {
                    let id = wire.command(Command::Leave(v1::Leave { room: ROOM.to_owned() }))?;
                    wire.reply(id).await?;
                    wire.goodbye().await?;
                }
                1 => wire.goodbye().await?,
                2 => drop(wire),
                _ => {
                    drop(wire);
                    there.insert(user.clone(), comes(&world, &user).await?);
                }
            },
        }
    }
    let mut expected: BTreeSet<String> = there.keys().cloned().collect();
    expected.insert(watcher.name.clone());
    settles(&world, &watcher, &expected).await?;
    // From the snapshot on, a watcher's own account must come to the same.
    let account = account(&mut watcher, &expected).await;
    account?;
    for (_, wire) in there {
        wire.goodbye().await?;
    }
    watcher.leaves().await;
    Ok(Counts::default().with("comings and goings", changes).with("present at the end", expected.len()))
}

async fn comes(world: &World, user: &str) -> Outcome<Wire> {
    let mut wire = world.wire_session(user).await?;
    let id = wire.command(Command::Join(v1::Join { room: ROOM.to_owned(), ..v1::Join::default() }))?;
    match wire.reply(id).await? {
        Kind::Joined(_) => Ok(wire),
        other => Err(Fault::Broken(format!("{user} joins the hall: {other:?}"))),
    }
}

fn presence_of(event: &Event, user: &str) -> Option<v1::PresenceReason> {
    match event {
        Event::Presence(presence) if presence.room == ROOM => {
            let about = presence.state.as_ref().is_some_and(|state| state.user == user);
            about.then(|| presence.reason())
        }
        _ => None,
    }
}

/// Nobody notices a connection that is lost and found within the grace.
async fn returns_in_time(world: &World, watcher: &mut Person) -> Outcome<()> {
    let lost = comes(world, "brief").await?;
    watcher.waits_for("that brief came", |event| presence_of(&event, "brief")).await?;
    let since = Instant::now();
    drop(lost);
    let found = comes(world, "brief").await?;
    let gone = since.elapsed();
    // Whoever comes next is told next.
    let next = comes(world, "next").await?;
    let mut told = Vec::new();
    watcher
        .waits_for("that next came", |event| {
            told.extend(presence_of(&event, "brief"));
            presence_of(&event, "next")
        })
        .await?;
    let in_time = gone + TOLERANCE < world.timing().grace;
    // A hub that hears of the new connection before the lost one counts two devices for a while.
    told.retain(|reason| *reason != v1::PresenceReason::Changed);
    holds(format!("silent return after {gone:?}, but {told:?}"), told.is_empty() || !in_time)?;
    found.goodbye().await?;
    next.goodbye().await?;
    watcher.waits_for("that brief left", |event| presence_of(&event, "brief")).await?;
    Ok(())
}

/// A lost connection is told once the grace is over, and not before.
async fn vanishes_for_good(world: &World, watcher: &mut Person) -> Outcome<()> {
    let lost = comes(world, "lost").await?;
    watcher.waits_for("that lost came", |event| presence_of(&event, "lost")).await?;
    let since = Instant::now();
    drop(lost);
    let reason = watcher.waits_for("that lost is gone", |event| presence_of(&event, "lost")).await?;
    same("why", reason, v1::PresenceReason::Disconnected)?;
    let took = since.elapsed();
    let grace = world.timing().grace;
    holds(format!("a grace of {grace:?}, but told after {took:?}"), took + TOLERANCE >= grace)
}

/// The hub says that just these are there, once the graces are over.
async fn settles(world: &World, watcher: &Person, expected: &BTreeSet<String>) -> Outcome<()> {
    let get = v1::PresenceGet { room: ROOM.to_owned(), ..v1::PresenceGet::default() };
    let begun = Instant::now();
    loop {
        let page = watcher.client.presence_get(get.clone()).await?;
        same("occupancy and the list", page.occupancy as usize, page.states.len())?;
        let found: BTreeSet<_> = page.states.iter().map(|state| state.user.clone()).collect();
        holds(format!("{expected:?} are there, but {found:?}"), found.is_superset(expected))?;
        let devices = page.states.iter().all(|state| state.devices == 1);
        if found == *expected && devices {
            return Ok(());
        }
        if begun.elapsed() > world.timing().grace + PATIENCE {
            return Err(Fault::Broken(format!("present: expected {expected:?}, one device each, found {page:?}")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the watcher was told comes to the same.
async fn account(watcher: &mut Person, expected: &BTreeSet<String>) -> Outcome<()> {
    let mut present = BTreeSet::from([watcher.name.clone()]);
    let what = format!("the watcher knows of {expected:?}");
    let wait = async {
        while present != *expected {
            let Event::Presence(presence) = watcher.next().await? else { continue };
            let Some(state) = presence.state.filter(|_| presence.room == ROOM) else { continue };
            match v1::PresenceReason::try_from(presence.reason) {
                Ok(v1::PresenceReason::Left | v1::PresenceReason::Disconnected) => {
                    present.remove(&state.user);
                }
                _ => {
                    present.insert(state.user);
                }
            }
        }
        Ok(())
    };
    within(PATIENCE, what, wait).await
}
