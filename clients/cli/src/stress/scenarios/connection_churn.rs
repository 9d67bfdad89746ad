//! Sessions that open and end in every way. At each step the hub knows exactly how many there are.

use std::collections::BTreeSet;

use crate::stress::fault::{Outcome, same};
use crate::stress::line::Line;
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::residue;
use crate::stress::wire::Wire;
use crate::stress::world::World;

const ROUNDS: usize = 5;
const SESSIONS: usize = 12;
const USERS: usize = 5;

/// An open session, by how it can end.
enum Open {
    Client(Person),
    Line(Person, Line),
    Wire(Box<Wire>),
}

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut open: Vec<(String, Open)> = Vec::new();
    let (mut opened, mut ended) = (0_usize, 0_usize);
    for _ in 0..ROUNDS {
        while open.len() < SESSIONS {
            let user = format!("u{}", random.below(USERS));
            let session = enter(&world, &user, random.below(3)).await?;
            open.push((user, session));
            opened += 1;
        }
        exactly(&world, &open).await?;
        random.shuffle(&mut open);
        let keep = random.below(SESSIONS);
        for (_, session) in open.drain(keep..) {
            end(session, random.percent(50)).await?;
            ended += 1;
        }
        exactly(&world, &open).await?;
    }
    for (_, session) in open {
        end(session, random.percent(50)).await?;
        ended += 1;
    }
    same("sessions ended", ended, opened)?;
    Ok(Counts::default().with("sessions", opened))
}

async fn enter(world: &World, user: &str, way: usize) -> Outcome<Open> {
    let open = match way {
        0 => Open::Client(world.enters(user).await?),
        1 => {
            let line = world.line().await?;
            Open::Line(Person::connect(user, world.options_over(&line, user)?).await?, line)
        }
        _ => Open::Wire(Box::new(world.wire_session(user).await?)),
    };
    if let Open::Client(person) | Open::Line(person, _) = &open {
        same("the session's user", person.client.user().as_str(), user)?;
        same("the session's tenant", person.client.connected().tenant.as_str(), world.tenant())?;
    }
    Ok(open)
}

async fn end(session: Open, politely: bool) -> Outcome<()> {
    match session {
        Open::Client(person) if politely => person.leaves().await,
        // The library says goodbye when the last handle is dropped.
        Open::Client(person) => drop(person),
        Open::Line(person, line) if politely => {
            person.leaves().await;
            drop(line);
        }
        Open::Line(person, line) => {
            drop(line);
            drop(person);
        }
        Open::Wire(wire) if politely => wire.goodbye().await?,
        Open::Wire(wire) => drop(wire),
    }
    Ok(())
}

/// The hub's counts are those of `open`.
async fn exactly(world: &World, open: &[(String, Open)]) -> Outcome<()> {
    let users: BTreeSet<_> = open.iter().map(|(user, _)| user).collect();
    // A room of each user's own, and the tenant's, are joined by themselves.
    let rooms = if open.is_empty() { 0 } else { users.len() + 1 };
    let expected = (open.len() as u64, users.len() as u64, rooms as u64);
    let what = format!("sessions, users and active rooms are {expected:?}");
    residue::counts(world, &what, |statistics| {
        (statistics.sessions, statistics.users, statistics.active_rooms) == expected
    })
    .await
    .map(|_| ())
}
