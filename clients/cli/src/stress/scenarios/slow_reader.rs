//! Readers who stop reading. Others wait for nobody. One who reads again in time gets everything; one who does not is
//! told SLOW_CONSUMER, resumes, and has everything too.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{Client, text, v1};
use futures::future::try_join3;

use crate::stress::fault::{Fault, Outcome, holds, same};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::talk::{agree, send_all};
use crate::stress::wire::{Heard, Wire};
use crate::stress::world::{PATIENCE, World};

const ROOM: &str = "room:slow";
const EPHEMERAL: &str = "live:flood";
/// Together far more than a stream's window, the socket's buffers aside.
const MESSAGES: usize = 200;
const MESSAGE_BYTES: usize = 8_000;
const AT_ONCE: usize = 8;
/// Longest silence that may follow the hub's last words: its sweep, and its patience with a closed stream.
const LAST_WORDS: Duration = Duration::from_secs(10);

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let (stopped, paused, flooded) =
        (follower(&world, "stopped").await?, follower(&world, "paused").await?, flooded(&world).await?);
    let mut quick = world.enters("quick").await?;
    let mut copy = quick.follows(ROOM).await?;
    let sender = world.sender("sender").await?;
    let texts: Vec<_> = (0..MESSAGES)
        .map(|number| format!("{number} {}", "x".repeat(MESSAGE_BYTES + random.below(100))))
        .collect();
    let sending = send_all(&sender, ROOM, &texts, AT_ONCE);
    let sent = quick.during(sending, |event| copy.take(event).map(|_| ())).await?;
    quick.catches_up(&mut copy, MESSAGES as u64).await?;
    agree([&copy], &sent, 1)?;
    let ended = try_join3(
        reads_in_time(paused),
        reads_too_late(&world, stopped),
        overflows(&world, flooded, &sender),
    );
    let ((), read, ()) = ended.await?;
    quick.leaves().await;
    sender.close().await;
    Ok(Counts::default().with("messages", MESSAGES).with("entries before the end", read))
}

/// A session that follows the room, and reads nothing from now on.
async fn follower(world: &World, user: &str) -> Outcome<Wire> {
    let mut wire = world.wire_session(user).await?;
    let id = wire.command(Command::Join(v1::Join { room: ROOM.to_owned(), ..v1::Join::default() }))?;
    wire.reply(id).await?;
    Ok(wire)
}

async fn flooded(world: &World) -> Outcome<Wire> {
    let mut wire = world.wire_session("flooded").await?;
    let id = wire.command(Command::Join(v1::Join { room: EPHEMERAL.to_owned(), ..v1::Join::default() }))?;
    wire.reply(id).await?;
    Ok(wire)
}

/// Reads on before the hub loses patience, and misses nothing.
async fn reads_in_time(mut wire: Wire) -> Outcome<()> {
    let mut position = v1::Position::default();
    while position.seq < MESSAGES as u64 {
        position = next_entry(&mut wire, position.seq).await?;
    }
    wire.goodbye().await
}

async fn next_entry(wire: &mut Wire, after: u64) -> Outcome<v1::Position> {
    let header = wire
        .waits_for(&format!("entry {} comes", after + 1), |_, kind| match kind {
            Kind::Message(message) => message.header,
            _ => None,
        })
        .await?;
    same("the next entry", header.seq, after + 1)?;
    Ok(v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag })
}

/// Reads on when the hub has given up. What was on its way still comes, then the word why; the rest after a resume.
async fn reads_too_late(world: &World, mut wire: Wire) -> Outcome<u64> {
    tokio::time::sleep(world.timing().slow_consumer_after + LAST_WORDS / 5).await;
    let mut position = v1::Position::default();
    let code = loop {
        match wire.next().await? {
            Heard::Frame(_, Kind::Message(message)) => {
                let header = message.header.unwrap_or_default();
                same("the next entry", header.seq, position.seq + 1)?;
                position = v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag };
            }
            Heard::Frame(_, Kind::Disconnected(end)) => break end.code,
            Heard::Frame(..) => {}
            Heard::End(end) => return Err(Fault::Broken(format!("a slow reader's stream ended: {end:?}"))),
        }
    };
    same("the end of a slow reader", code.as_str(), "SLOW_CONSUMER")?;
    same("the status of a slow reader", wire.end_code(LAST_WORDS).await?.as_str(), "SLOW_CONSUMER")?;
    holds("some entries were still to come", position.seq < MESSAGES as u64)?;
    let read = position.seq;

    let mut wire = world.wire().await?;
    let place = v1::RoomPosition { room: ROOM.to_owned(), position: Some(position), presence: false };
    let resume = Some(v1::Resume { rooms: vec![place], inbox: None });
    let token = world.token("stopped")?;
    wire.hello_with(v1::Hello { token, protocol: 1, resume, ..v1::Hello::default() }).await?;
    while position.seq < MESSAGES as u64 {
        position = next_entry(&mut wire, position.seq).await?;
    }
    wire.goodbye().await?;
    Ok(read)
}

/// What is in no log waits in bounded memory: past that the reader is slow, however short it has been.
async fn overflows(world: &World, mut wire: Wire, sender: &Client) -> Outcome<()> {
    let payload = "y".repeat(MESSAGE_BYTES);
    // The stream's window, twice over for what is on its way, lies between the hub's memory and the reader.
    let events = (world.timing().mailbox_bytes + 4 * 65_536) / MESSAGE_BYTES + 1;
    for _ in 0..events {
        let event = v1::EventPublish {
            room: EPHEMERAL.to_owned(),
            name: "flood".to_owned(),
            payload: Some(text(payload.clone())),
            ..v1::EventPublish::default()
        };
        sender.publish(event).await?;
    }
    let code = wire.end_code(PATIENCE).await?;
    same("the end of one who lets events pile up", code.as_str(), "SLOW_CONSUMER")
}
