//! One command under one key, from several sessions and without one, all at once: it is done once, and all are told the
//! same.

use carillon_client::v1::session_request::Command;
use carillon_client::{Code, Executor, text, v1};
use futures::future::{BoxFuture, try_join_all};
use futures::FutureExt;

use crate::stress::fault::{Outcome, refused, same};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::world::{World, key};

const ROOM: &str = "room:retries";
const SESSIONS: usize = 4;
const EXECUTORS: usize = 2;
const KEYS: usize = 20;

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut observer = world.enters("observer").await?;
    let mut copy = observer.follows(ROOM).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(world.sender("sender").await?);
    }
    let executors: Vec<Executor> =
        (0..EXECUTORS).map(|_| world.executor("sender")).collect::<Outcome<_>>()?;
    for number in 1..=KEYS as u64 {
        let key = key(&mut random);
        let send = |words: &str| v1::MessageSend {
            room: ROOM.to_owned(),
            content: Some(text(words)),
            ..v1::MessageSend::default()
        };
        let message = send(&format!("word {number}"));
        let mut attempts: Vec<BoxFuture<'_, Outcome<v1::MessageSent>>> = Vec::new();
        for session in &sessions {
            let (session, message) = (session.with_key(key.clone()), message.clone());
            attempts.push(async move { Ok(session.send_message(message).await?) }.boxed());
        }
        for executor in &executors {
            let (command, key) = (Command::MessageSend(message.clone()), key.clone().into());
            attempts.push(async move { Ok(executor.call_with_key(command, key).await?) }.boxed());
        }
        random.shuffle(&mut attempts);
        let answers = try_join_all(attempts).await?;
        let first = answers.iter().filter(|answer| !answer.duplicate).count();
        same(format!("answers to key {number} that are no duplicates"), first, 1)?;
        let place = |answer: &v1::MessageSent| (answer.position, answer.number, answer.time_ms);
        for answer in &answers {
            same(format!("what key {number} is told"), Some(place(answer)), answers.first().map(place))?;
            same("the message's number", answer.number, number)?;
        }
        if let Some(session) = random.pick(&sessions) {
            let other = session.with_key(key).send_message(send("another word")).await;
            refused("the same key with another content", other, &Code::Conflict)?;
        }
    }
    // One more, so that an entry too many would be seen before it.
    let last = observer.client.clone().send(ROOM, "the end").await?;
    same("the seq after all keys", last.position.unwrap_or_default().seq, KEYS as u64 + 1)?;
    observer.catches_up(&mut copy, KEYS as u64 + 1).await?;
    let words: Vec<_> = copy.entries().iter().map(|entry| entry.text.clone()).collect();
    let mut expected: Vec<_> = (1..=KEYS).map(|number| format!("word {number}")).collect();
    expected.push("the end".to_owned());
    same("the log", words, expected)?;
    observer.leaves().await;
    for session in sessions {
        session.close().await;
    }
    Ok(Counts::default().with("keys", KEYS).with("attempts", KEYS * (SESSIONS + EXECUTORS)))
}
