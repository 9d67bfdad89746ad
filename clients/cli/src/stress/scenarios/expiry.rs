//! Tokens of a few seconds. Who refreshes carries on in the same session; who does not is told before, and ends with
//! TOKEN_EXPIRED, not earlier; who brings another's token ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{Event, TokenError, TokenReason, v1};
use futures::future::{try_join, try_join3};

use crate::stress::fault::{Fault, Outcome, holds, same, within};
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::wire::Heard;
use crate::stress::world::{PATIENCE, World};

const ROOM: &str = "room:expiry";
const TTL: Duration = Duration::from_secs(5);
/// What refreshing must carry a session through.
const LIVES: u64 = 2;
/// A token's times are whole seconds, and the hub looks a few times a second.
const TOLERANCE: Duration = Duration::from_millis(1_100);

pub(super) async fn play(world: World, _random: Random) -> Outcome<Counts> {
    let others = try_join(of_another(&world), ask_again(&world));
    let (refreshed, (), _) = try_join3(refreshes(&world), lets_expire(&world), others).await?;
    Ok(Counts::default().with("tokens refreshed", refreshed).with("sessions expired", 2_u64))
}

/// The library asks its provider when the hub says so: the session never ends.
async fn refreshes(world: &World) -> Outcome<u64> {
    let asked = Arc::new(AtomicU64::new(0));
    let provider = {
        let (world, asked) = (world.clone(), Arc::clone(&asked));
        move |reason: TokenReason| {
            asked.fetch_add(u64::from(reason == TokenReason::Expiring), Ordering::Relaxed);
            let token = world.token_for("lasting", TTL);
            let failed = |fault: Fault| TokenError { message: fault.to_string(), permanent: true };
            std::future::ready(token.map_err(failed))
        }
    };
    let options = world.options("lasting")?.token_provider(provider);
    let mut person = Person::connect("lasting", options).await?;
    let session = person.client.connected().session.clone();
    let mut copy = person.follows(ROOM).await?;
    let client = person.client.clone();
    let sending = async {
        let begun = Instant::now();
        let mut sent = 0;
        while asked.load(Ordering::Relaxed) <= LIVES {
            holds("the hub asks for new tokens", begun.elapsed() < PATIENCE + TTL * 4)?;
            client.send(ROOM, "still here").await?;
            sent += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(sent)
    };
    let sent = person
        .during(sending, |event| match event {
            Event::Disconnected(end) => Err(Fault::Broken(format!("a refreshed session ended: {end:?}"))),
            event => copy.take(event).map(|_| ()),
        })
        .await?;
    person.catches_up(&mut copy, sent).await?;
    same("the session", person.client.connected().session.as_str(), session.as_str())?;
    person.leaves().await;
    Ok(asked.load(Ordering::Relaxed))
}

/// Told before, then ended, and not before its time.
async fn lets_expire(world: &World) -> Outcome<()> {
    let since = Instant::now();
    let mut wire = world.wire().await?;
    wire.hello(world.token_for("careless", TTL)?).await?;
    let mut told = false;
    let wait = async {
        loop {
            match wire.next().await? {
                Heard::Frame(_, Kind::TokenExpiring(_)) => told = true,
                Heard::Frame(_, Kind::Disconnected(end)) => return Ok((end.code, end.reconnect)),
                Heard::Frame(..) => {}
                Heard::End(end) => return Err(Fault::Broken(format!("ended without a word: {end:?}"))),
            }
        }
    };
    let end = within(TTL + PATIENCE, "an expired session ends", wait).await?;
    same("the end of an expired session", (end.0.as_str(), end.1), ("TOKEN_EXPIRED", true))?;
    let lasted = since.elapsed();
    holds("told before", told)?;
    holds(format!("a token of {TTL:?}, but ended after {lasted:?}"), lasted + TOLERANCE >= TTL)
}

/// A session stays its user's.
async fn of_another(world: &World) -> Outcome<()> {
    let mut wire = world.wire_session("victim").await?;
    let token = world.token("intruder")?;
    wire.command(Command::RefreshToken(v1::RefreshToken { token }))?;
    let code = wire.end_code(PATIENCE).await?;
    same("the end after another's token", code.as_str(), "INVALID_TOKEN")
}

/// A token that has expired opens nothing; the library asks once more, and then it does.
async fn ask_again(world: &World) -> Outcome<()> {
    let old = world.token_for("late", Duration::from_secs(1))?;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let mut wire = world.wire().await?;
    wire.command(Command::Hello(v1::Hello { token: old.clone(), protocol: 1, ..v1::Hello::default() }))?;
    same("hello with an expired token", wire.end_code(PATIENCE).await?.as_str(), "TOKEN_EXPIRED")?;
    let newer = world.token("late")?;
    let provider = move |reason: TokenReason| {
        let token = if reason == TokenReason::Expired { newer.clone() } else { old.clone() };
        std::future::ready(Ok::<_, TokenError>(token))
    };
    let person = Person::connect("late", world.options("late")?.token_provider(provider)).await?;
    person.leaves().await;
    Ok(())
}
