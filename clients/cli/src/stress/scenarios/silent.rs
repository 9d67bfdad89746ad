//! Clients that say nothing: the hub asks them, and ends them when no answer comes. One that answers stays, and one that
//! never says hello is not waited for.

use std::time::{Duration, Instant};

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use futures::future::try_join3;

use crate::stress::fault::{Fault, Outcome, holds, same, within};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::wire::Heard;
use crate::stress::world::{PATIENCE, World};

/// Earlier than this before its time nothing may happen: clocks are read in milliseconds.
const TOLERANCE: Duration = Duration::from_millis(50);

pub(super) async fn play(world: World, _random: Random) -> Outcome<Counts> {
    let ((), pings, ()) = try_join3(says_nothing(&world), answers(&world), no_hello(&world)).await?;
    Ok(Counts::default().with("pings answered", pings))
}

/// The hub's terms: when it asks, and when it ends.
fn terms(connected: &v1::Connected) -> (Duration, Duration) {
    let heartbeat = connected.heartbeat.unwrap_or_default();
    let millis = |ms: u32| Duration::from_millis(u64::from(ms));
    (millis(heartbeat.interval_ms), millis(heartbeat.timeout_ms))
}

async fn says_nothing(world: &World) -> Outcome<()> {
    let mut wire = world.wire().await?;
    // Hello is its last frame, and comes no earlier than now.
    let since = Instant::now();
    let connected = wire.hello(world.token("mute")?).await?;
    let (_, timeout) = terms(&connected);
    let mut asked = 0;
    let wait = async {
        loop {
            match wire.next().await? {
                Heard::Frame(_, Kind::Ping(_)) => asked += 1,
                Heard::Frame(_, Kind::Disconnected(end)) => return Ok(end.code),
                Heard::Frame(..) => {}
                Heard::End(end) => return Err(Fault::Broken(format!("ended without a word: {end:?}"))),
            }
        }
    };
    let code = within(timeout + PATIENCE, "a silent client is ended", wait).await?;
    same("the end of a silent client", code.as_str(), "DEADLINE_EXCEEDED")?;
    let lasted = since.elapsed();
    holds("asked before the end", asked > 0)?;
    holds(format!("{timeout:?} of silence, but ended after {lasted:?}"), lasted + TOLERANCE >= timeout)
}

/// Answers pings with pongs, and nothing else.
async fn answers(world: &World) -> Outcome<u32> {
    let mut wire = world.wire().await?;
    let token = world.token("patient")?;
    let mut last = Instant::now();
    let connected = wire.hello(token).await?;
    let (interval, timeout) = terms(&connected);
    // One more than without answers.
    let rounds = (timeout.as_millis() / interval.as_millis().max(1)) as u32 + 1;
    for round in 0..rounds {
        let asked = async {
            loop {
                match wire.next().await? {
                    Heard::Frame(_, Kind::Ping(_)) => return Ok(()),
                    Heard::Frame(..) => {}
                    Heard::End(end) => return Err(Fault::Broken(format!("one who answers was ended: {end:?}"))),
                }
            }
        };
        within(interval + PATIENCE, "the hub asks", asked).await?;
        let waited = last.elapsed();
        holds(format!("asked after {waited:?} in round {round}"), waited + TOLERANCE >= interval)?;
        last = Instant::now();
        wire.command(Command::Pong(v1::Pong::default()))?;
    }
    wire.goodbye().await?;
    Ok(rounds)
}

async fn no_hello(world: &World) -> Outcome<()> {
    let since = Instant::now();
    let mut wire = world.wire().await?;
    let limit = world.timing().hello_timeout;
    let code = wire.end_code(limit + PATIENCE).await?;
    same("the end without hello", code.as_str(), "DEADLINE_EXCEEDED")?;
    let took = since.elapsed();
    holds(format!("{limit:?} for hello, but {took:?}"), took + TOLERANCE >= limit)
}
