//! Frames that are none, and commands that are wrong. A broken frame ends its own stream with its code; a wrong command
//! is answered and ends nothing; nobody else notices.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionRequest};
use futures::future::try_join;
use prost::Message as _;

use crate::stress::fault::{Fault, Outcome, same};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::talk::{agree, send_all, texts};
use crate::stress::wire::{Wire, prefixed};
use crate::stress::world::{PATIENCE, World};

const ROOM: &str = "room:bystanders";
const MESSAGES: usize = 80;
const NOISE: usize = 25;

/// Bytes on an open session, and the code that the stream ends with.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let ping = |command_id| {
        let command = Some(Command::Ping(v1::Ping {}));
        SessionRequest { command_id, command, ..SessionRequest::default() }.encode_to_vec()
    };
    let mut compressed = prefixed(&ping(7));
    compressed.splice(..1, [1]);
    // Field 1 of `Join` is text; 0xff is in none.
    let not_text = [vec![0x08, 7, 0x52, 4, 0x0a, 2], vec![0xff, 0xfe]].concat();
    vec![
        ("id 0", prefixed(&ping(0)), "PROTOCOL_ERROR"),
        ("an empty frame", prefixed(&[]), "PROTOCOL_ERROR"),
        ("no protobuf", prefixed(&[0xff; 20]), "PROTOCOL_ERROR"),
        ("a field that ends too early", prefixed(&[0x08, 7, 0x52, 40, 0x0a]), "PROTOCOL_ERROR"),
        ("text that is not UTF-8", prefixed(&not_text), "PROTOCOL_ERROR"),
        ("a compressed frame", compressed, "PROTOCOL_ERROR"),
        ("a length beyond all limits", vec![0, 0xff, 0xff, 0xff, 0xff, 1], "MESSAGE_TOO_LARGE"),
    ]
}

/// Commands that break a rule, with the code of the answer.
fn wrong() -> Vec<(&'static str, Option<Command>, &'static str)> {
    let join = |room: &str| Some(Command::Join(v1::Join { room: room.to_owned(), ..v1::Join::default() }));
    let says = |text: &str| {
        let content = Some(carillon_client::text(text));
        let send = v1::MessageSend { room: ROOM.to_owned(), content, ..v1::MessageSend::default() };
        Some(Command::MessageSend(send))
    };
    let mark = |up_to| Some(Command::MarkRead(v1::MarkRead { room: ROOM.to_owned(), up_to }));
    vec![
        ("no command", None, "INVALID_ARGUMENT"),
        ("a room without a namespace", join("lobby"), "INVALID_ARGUMENT"),
        ("a room with a space", join("room:a b"), "INVALID_ARGUMENT"),
        ("an unknown namespace", join("nowhere:1"), "ACCESS_DENIED"),
        ("a conversation of others", join("conversation:secret"), "ACCESS_DENIED"),
        ("a control character", says("a\u{7}b"), "INVALID_ARGUMENT"),
        ("an empty message", says(""), "INVALID_ARGUMENT"),
        ("a seq from the future", mark(1_000_000), "INVALID_ARGUMENT"),
        ("seq 0", mark(0), "INVALID_ARGUMENT"),
    ]
}

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let ((), streams) = try_join(bystanders(&world), intruders(&world, &mut random)).await?;
    Ok(Counts::default().with("streams", streams).with("messages beside them", MESSAGES))
}

/// Two who talk all the while.
async fn bystanders(world: &World) -> Outcome<()> {
    let mut listener = world.enters("listener").await?;
    let mut copy = listener.follows(ROOM).await?;
    let speaker = world.sender("speaker").await?;
    let sent = send_all(&speaker, ROOM, &texts("word", MESSAGES), 2).await?;
    listener.catches_up(&mut copy, MESSAGES as u64).await?;
    agree([&copy], &sent, 1)?;
    listener.leaves().await;
    speaker.close().await;
    Ok(())
}

async fn intruders(world: &World, random: &mut Random) -> Outcome<usize> {
    let mut streams = 0;
    for (what, bytes, code) in broken() {
        let mut wire = world.wire_session("intruder").await?;
        wire.bytes(bytes)?;
        ends(what, &mut wire, code).await?;
        streams += 1;
    }
    answered(world).await?;
    out_of_turn(world).await?;
    for _ in 0..NOISE {
        noise(world, random).await?;
        streams += 1;
    }
    Ok(streams + 6)
}

async fn ends(what: &str, wire: &mut Wire, code: &str) -> Outcome<()> {
    let found = wire.end_code(PATIENCE).await?;
    same(format!("the end after {what}"), found.as_str(), code)
}

/// Wrong commands are answered each, and the stream goes on.
async fn answered(world: &World) -> Outcome<()> {
    let mut wire = world.wire_session("intruder").await?;
    let mut id = 100;
    for (what, command, code) in wrong() {
        id += 1;
        wire.request(&SessionRequest { command_id: id, command, ..SessionRequest::default() })?;
        match wire.reply(id).await? {
            Kind::Error(error) => same(what, error.code.as_str(), code)?,
            other => return Err(Fault::Broken(format!("{what}: {other:?}"))),
        }
    }
    // Field 2000 is no command that there is.
    wire.bytes(prefixed(&[0x08, 99, 0x82, 0x7d, 0]))?;
    match wire.reply(99).await? {
        Kind::Error(error) => same("an unknown command", error.code.as_str(), "INVALID_ARGUMENT")?,
        other => return Err(Fault::Broken(format!("an unknown command: {other:?}"))),
    }
    wire.goodbye().await
}

/// What is right by itself, but not now.
async fn out_of_turn(world: &World) -> Outcome<()> {
    let mut wire = world.wire().await?;
    wire.command(Command::Ping(v1::Ping {}))?;
    ends("a command before hello", &mut wire, "PROTOCOL_ERROR").await?;

    let mut wire = world.wire().await?;
    wire.command(Command::Hello(v1::Hello { protocol: 1, ..v1::Hello::default() }))?;
    ends("hello without a token", &mut wire, "AUTH_REQUIRED").await?;

    let mut wire = world.wire().await?;
    let token = "not.a.token".to_owned();
    wire.command(Command::Hello(v1::Hello { token, protocol: 1, ..v1::Hello::default() }))?;
    ends("hello with a bad token", &mut wire, "INVALID_TOKEN").await?;

    let mut wire = world.wire_session("intruder").await?;
    let token = world.token("intruder")?;
    wire.command(Command::Hello(v1::Hello { token, protocol: 1, ..v1::Hello::default() }))?;
    ends("a second hello", &mut wire, "PROTOCOL_ERROR").await?;

    let mut wire = world.wire_session("intruder").await?;
    wire.bytes(vec![0, 0, 0])?;
    wire.finish()?;
    ends("half a frame", &mut wire, "PROTOCOL_ERROR").await?;

    // Both in one write: the first waits for its commit when the second is read.
    let mut wire = world.wire_session("intruder").await?;
    let get = v1::HistoryGet { room: ROOM.to_owned(), ..v1::HistoryGet::default() };
    let request =
        SessionRequest { command_id: 9, command: Some(Command::History(get)), ..SessionRequest::default() };
    let frame = prefixed(&request.encode_to_vec());
    wire.bytes([frame.clone(), frame].concat())?;
    ends("an id in flight", &mut wire, "PROTOCOL_ERROR").await
}

/// Random bytes end the stream, or are answered; they never silence it.
async fn noise(world: &World, random: &mut Random) -> Outcome<()> {
    let mut wire = world.wire_session("intruder").await?;
    let length = random.below(200);
    let bytes = random.bytes(length);
    wire.bytes(if random.percent(50) { prefixed(&bytes) } else { bytes })?;
    wire.finish()?;
    let code = wire.end_code(PATIENCE + Duration::from_secs(5)).await?;
    match code.as_str() {
        "" | "PROTOCOL_ERROR" | "MESSAGE_TOO_LARGE" => Ok(()),
        other => Err(Fault::Broken(format!("noise ended a stream with {other}"))),
    }
}
