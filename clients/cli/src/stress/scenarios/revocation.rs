//! Tokens are revoked while others talk. The sessions of those tokens end, with the code that says why, and the tokens open
//! nothing any more; a user's other sessions stay where one token was meant; others miss nothing; a newer token is good.

use std::time::{Duration, SystemTime};

use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::token_revocation::Id;
use carillon_client::{AdminClient, Code, Event, v1};
use futures::future::{try_join, try_join_all};
use sha2::{Digest, Sha256};

use crate::stress::copy::Copy;
use crate::stress::fault::{Fault, Outcome, holds, same, within};
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::residue;
use crate::stress::talk::{Sent, add, agree, send_all, texts};
use crate::stress::world::{PATIENCE, World, users};

const ROOM: &str = "room:revoked";
const WITNESSES: usize = 4;
const ROUNDS: usize = 3;
/// What is said while a round's tokens are revoked.
const MESSAGES: usize = 40;
/// A token is revoked within this time of a round's begin.
const WITHIN_MS: usize = 60;
/// A token says in whole seconds when it was made: one of the same second counts as made before.
const AGAIN: Duration = Duration::from_millis(200);

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let admin = world.admin()?;
    let mut witnesses: Vec<(Person, Copy)> = Vec::new();
    for person in world.enter(&users("witness", WITNESSES)).await? {
        let copy = person.follows(ROOM).await?;
        witnesses.push((person, copy));
    }
    let steady = world.sender("steady").await?;
    let mut sent = Sent::new();
    for round in 0..ROUNDS {
        let delay = Duration::from_millis(random.below(WITHIN_MS) as u64);
        let victim = format!("victim{round}");
        let texts = texts(&format!("round {round}:"), MESSAGES);
        let talking = send_all(&steady, ROOM, &texts, 4);
        let (of_round, of_victim) = try_join(talking, revoke_both(&world, &admin, &victim, delay)).await?;
        add(&mut sent, of_round)?;
        add(&mut sent, of_victim)?;
    }
    let all = sent.len() as u64;
    try_join_all(witnesses.iter_mut().map(|(person, copy)| person.catches_up(copy, all))).await?;
    agree(witnesses.iter().map(|(_, copy)| copy), &sent, 1)?;
    let left = WITNESSES as u64 + 1;
    residue::counts(&world, "nobody else has lost a session", |s| s.sessions == left).await?;
    for (person, _) in witnesses {
        person.leaves().await;
    }
    steady.close().await;
    Ok(Counts::default().with("tokens revoked", ROUNDS * 2).with("messages", all))
}

/// One token of a user's two, and then all that the user has. What the user said in between, by the one that stayed.
async fn revoke_both(world: &World, admin: &AdminClient, victim: &str, delay: Duration) -> Outcome<Sent> {
    let (stolen_token, kept_token) = (world.token(victim)?, world.token(victim)?);
    let mut stolen = Person::connect(victim, world.options_with(stolen_token.clone())).await?;
    let mut kept = Person::connect(victim, world.options_with(kept_token.clone())).await?;
    stolen.joins(ROOM).await?;
    let mut copy = kept.follows(ROOM).await?;
    tokio::time::sleep(delay).await;

    revoke(admin, one(&stolen_token)).await?;
    ends(&mut stolen, Code::TokenRevoked).await?;
    opens_nothing(world, &stolen_token, "TOKEN_REVOKED").await?;
    let words = format!("{victim} is still here");
    let seq = kept.says(ROOM, words.clone()).await?;
    kept.catches_up(&mut copy, seq).await?;

    revoke(admin, What::User(victim.to_owned())).await?;
    ends(&mut kept, Code::SessionInvalidated).await?;
    opens_nothing(world, &kept_token, "SESSION_INVALIDATED").await?;
    is_good_again(world, victim).await?;
    Ok(Sent::from([(seq, words)]))
}

/// By the hash of its text, as for who has the token and no more of it.
fn one(token: &str) -> What {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let expires = SystemTime::now() + Duration::from_hours(24);
    let since_1970 = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    What::Token(v1::TokenRevocation {
        id: Some(Id::Sha256(Sha256::digest(signed).to_vec().into())),
        expires_ms: since_1970.as_millis() as i64,
    })
}

async fn revoke(admin: &AdminClient, what: What) -> Outcome<()> {
    let request = v1::RevokeTokensRequest { what: Some(what), ..v1::RevokeTokensRequest::default() };
    admin.revoke_tokens(request).await?;
    Ok(())
}

/// The session ends for good, and says why.
async fn ends(person: &mut Person, code: Code) -> Outcome<()> {
    let end = person
        .waits_for("why its session ends", |event| match event {
            Event::Disconnected(end) => Some(end),
            _ => None,
        })
        .await?;
    same("why it ended", (end.code, end.reconnect_after), (Some(code), None))?;
    let ended = async { Ok(person.events.next().await) };
    holds("nothing is heard after that", within(PATIENCE, "the events end", ended).await?.is_none())
}

/// Neither a session nor a call.
async fn opens_nothing(world: &World, token: &str, code: &str) -> Outcome<()> {
    let opened = world.wire().await?.shows(token.to_owned()).await?;
    same("a session", opened.map(|connected| connected.user), Err(code.to_owned()))?;
    let sent = world.executor_with(token.to_owned())?.send(ROOM, "I should not").await;
    match sent {
        Err(error) if error.code().is_some_and(|refused| refused.name() == code) => Ok(()),
        other => Err(Fault::Broken(format!("a call: expected {code}, found {other:?}"))),
    }
}

/// A token that was made after all were revoked.
async fn is_good_again(world: &World, user: &str) -> Outcome<()> {
    let begun = tokio::time::Instant::now();
    loop {
        let mut wire = world.wire().await?;
        match wire.shows(world.token(user)?).await? {
            Ok(_) => return wire.goodbye().await,
            Err(code) => same("why a newer token is refused", code.as_str(), "SESSION_INVALIDATED")?,
        }
        holds("a newer token is good", begun.elapsed() < PATIENCE)?;
        tokio::time::sleep(AGAIN).await;
    }
}
