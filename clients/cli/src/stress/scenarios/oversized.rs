//! Frames at the limit and beyond it: the largest that is allowed is taken, one byte more ends the stream, and of what
//! was refused nothing is stored.

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionRequest};
use prost::Message as _;

use crate::stress::fault::{Fault, Outcome, same};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::wire::{Wire, prefixed};
use crate::stress::world::{PATIENCE, World};

const ROOM: &str = "room:oversized";
const SENDER: &str = "sender";
/// Random sizes beyond the limit that are tried.
const TRIES: usize = 6;

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut wire = world.wire().await?;
    let limits = wire.hello(world.token(SENDER)?).await?.limits.unwrap_or_default();
    let frame = limits.frame_bytes as usize;

    taken(&mut wire, message(&"x".repeat(limits.content_chars as usize))).await?;
    let long = "x".repeat(limits.content_chars as usize + 1);
    refused(&mut wire, "a text of a character too many", message(&long)).await?;
    taken(&mut wire, data(limits.content_bytes as usize)).await?;
    refused(&mut wire, "data of a byte too many", data(limits.content_bytes as usize + 1)).await?;
    // Fields that the hub does not know may fill a frame up to the limit.
    let full = padded(&message("full"), frame)?;
    wire.bytes(prefixed(&full))?;
    sent(wire.reply(FULL_ID).await?)?;
    wire.goodbye().await?;

    for attempt in 0..TRIES {
        let size = frame + 1 + if attempt == 0 { 0 } else { random.below(3 * frame) };
        let mut wire = world.wire_session(SENDER).await?;
        wire.bytes(prefixed(&padded(&message("too large"), size)?))?;
        let code = wire.end_code(PATIENCE).await?;
        same(format!("the end after a frame of {size} bytes"), code.as_str(), "MESSAGE_TOO_LARGE")?;
    }
    let stored = world.executor(SENDER)?;
    let get = v1::HistoryGet { room: ROOM.to_owned(), ..v1::HistoryGet::default() };
    let page: v1::HistoryPage = stored.call(Command::History(get)).await?;
    same("messages stored", page.entries.len(), 3)?;
    Ok(Counts::default().with("frames beyond the limit", TRIES).with("messages stored", 3_u64))
}

const FULL_ID: u32 = 1_000;

fn message(text: &str) -> v1::MessageSend {
    let content = Some(carillon_client::text(text));
    v1::MessageSend { room: ROOM.to_owned(), content, ..v1::MessageSend::default() }
}

fn data(bytes: usize) -> v1::MessageSend {
    let body = Some(v1::content::Body::Data(vec![7; bytes].into()));
    let content = Some(v1::Content { body, media_type: String::new() });
    v1::MessageSend { room: ROOM.to_owned(), content, ..v1::MessageSend::default() }
}

/// The request with an unknown field, so that it has just this size.
fn padded(send: &v1::MessageSend, size: usize) -> Outcome<Vec<u8>> {
    let command = Some(Command::MessageSend(send.clone()));
    let mut bytes =
        SessionRequest { command_id: FULL_ID, command, ..SessionRequest::default() }.encode_to_vec();
    // Field 2000, bytes; its length takes three bytes from 16 KiB to 2 MiB.
    bytes.extend_from_slice(&[0x82, 0x7d]);
    let filling = size.saturating_sub(bytes.len() + 3);
    if !(1 << 14..1 << 21).contains(&filling) {
        return Err(Fault::Broken(format!("a hub that allows frames of {size} bytes is not expected")));
    }
    bytes.extend([filling as u8 | 0x80, (filling >> 7) as u8 | 0x80, (filling >> 14) as u8]);
    bytes.resize(size, b'x');
    Ok(bytes)
}

fn sent(kind: Kind) -> Outcome<()> {
    match kind {
        Kind::MessageSent(sent) => same("no duplicate", sent.duplicate, false),
        other => Err(Fault::Broken(format!("a message at the limit: {other:?}"))),
    }
}

async fn taken(wire: &mut Wire, send: v1::MessageSend) -> Outcome<()> {
    let id = wire.command(Command::MessageSend(send))?;
    sent(wire.reply(id).await?)
}

/// Refused as a command: the stream goes on.
async fn refused(wire: &mut Wire, what: &str, send: v1::MessageSend) -> Outcome<()> {
    let id = wire.command(Command::MessageSend(send))?;
    match wire.reply(id).await? {
        Kind::Error(error) if ["MESSAGE_TOO_LARGE", "INVALID_ARGUMENT"].contains(&error.code.as_str()) => Ok(()),
        other => Err(Fault::Broken(format!("{what}: {other:?}"))),
    }
}
