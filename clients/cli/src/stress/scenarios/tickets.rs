//! Tickets are good once: each is shown by several at the same moment, as the token of sessions and of calls. One gets in,
//! as the user who asked for it; a ticket that was never given lets nobody in.

use carillon_client::v1::history_entry::Entry;
use carillon_client::v1::session_request::Command;
use carillon_client::{Code, v1};
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use crate::stress::fault::{Fault, Outcome, same};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::world::{World, users};

const ROOM: &str = "room:tickets";
const TICKETS: usize = 12;
/// How many show one ticket, as the token of a session and of a call each.
const EACH: usize = 2;
const REFUSED: &str = "INVALID_TOKEN";

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let users = users("guest", TICKETS);
    let raced = users.iter().map(|user| race(&world, user, random.fork()));
    let sessions: usize = try_join_all(raced).await?.into_iter().map(usize::from).sum();
    let mut made_up = world.executor("guest")?.create_ticket().await?.ticket;
    let last = made_up.pop();
    made_up.push(if last == Some('a') { 'b' } else { 'a' });
    same("who shows a ticket that was never given", shows(&world, made_up).await?, Err(REFUSED.to_owned()))?;
    let counts = Counts::default().with("tickets", TICKETS).with("times shown", TICKETS * (EACH * 2 + 1) + 1);
    Ok(counts.with("became sessions", sessions))
}

/// Whether it was as a session, and who got in, or the code.
type Attempt = (bool, Result<String, String>);

/// Several show one ticket; whether it became a session.
async fn race(world: &World, user: &str, mut random: Random) -> Outcome<bool> {
    let ticket = world.executor(user)?.create_ticket().await?.ticket;
    let mut attempts: Vec<BoxFuture<'_, Outcome<Attempt>>> = Vec::new();
    for _ in 0..EACH {
        let (session, call) = (shows(world, ticket.clone()), calls(world, ticket.clone()));
        attempts.push(async move { Ok((true, session.await?)) }.boxed());
        attempts.push(async move { Ok((false, call.await?)) }.boxed());
    }
    random.shuffle(&mut attempts);
    let (mut let_in, mut refused) = (Vec::new(), Vec::new());
    for (as_session, outcome) in try_join_all(attempts).await? {
        match outcome {
            Ok(who) => let_in.push((as_session, who)),
            Err(code) => refused.push(code),
        }
    }
    same("who got in", let_in.iter().map(|(_, who)| who.as_str()).collect::<Vec<_>>(), vec![user])?;
    same("what the others are told", refused, vec![REFUSED.to_owned(); EACH * 2 - 1])?;
    same("who shows it later", shows(world, ticket).await?, Err(REFUSED.to_owned()))?;
    Ok(let_in.iter().any(|(as_session, _)| *as_session))
}

/// As a session's token: the user that it opens for, or why it does not.
async fn shows(world: &World, token: String) -> Outcome<Result<String, String>> {
    let mut wire = world.wire().await?;
    match wire.shows(token).await? {
        Ok(connected) => {
            wire.goodbye().await?;
            Ok(Ok(connected.user))
        }
        Err(code) => Ok(Err(code)),
    }
}

/// As a call's token: the user that it sends for, or why it does not.
async fn calls(world: &World, token: String) -> Outcome<Result<String, String>> {
    let sent = match world.executor_with(token)?.send(ROOM, "let me in").await {
        Ok(sent) => sent.position.unwrap_or_default(),
        Err(error) if error.code() == Some(&Code::InvalidToken) => return Ok(Err(REFUSED.to_owned())),
        Err(error) => return Err(Fault::Command(error)),
    };
    let bound = Some(v1::history_get::Bound::Before(sent.seq + 1));
    let get = v1::HistoryGet { room: ROOM.to_owned(), bound, limit: 1 };
    let page: v1::HistoryPage = world.executor("reader")?.call(Command::History(get)).await?;
    match page.entries.into_iter().next().and_then(|entry| entry.entry) {
        Some(Entry::Message(message)) => Ok(Ok(message.header.unwrap_or_default().sender)),
        other => Err(Fault::Broken(format!("what a ticket has sent is {other:?}"))),
    }
}
