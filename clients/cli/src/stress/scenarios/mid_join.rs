//! Streams that end in the middle of joins: nothing stays, and who joins afterwards finds all in order.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1;

use crate::stress::fault::{Outcome, same};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::residue;
use crate::stress::talk::{agree, send_all, texts};
use crate::stress::wire::{Heard, Wire};
use crate::stress::world::{PATIENCE, World};

const ROOMS: usize = 5;
const STREAMS: usize = 50;
const MESSAGES: usize = 30;

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut observer = world.enters("observer").await?;
    let mut copy = observer.follows(&room(0)).await?;
    let sender = world.sender("sender").await?;
    let texts = texts("word", MESSAGES);
    let sending = send_all(&sender, "room:middle0", &texts, 2);
    let ending = async {
        let mut joins = 0;
        for number in 0..STREAMS {
            joins += breaks_off(&world, &mut random, number).await?;
            if number % 10 == 0 {
                leaves_at_once(&world).await?;
            }
        }
        Ok(joins)
    };
    let (sent, joins) = futures::future::try_join(sending, ending).await?;
    observer.catches_up(&mut copy, MESSAGES as u64).await?;
    agree([&copy], &sent, 1)?;
    // The observer's three rooms, and the two that the sender is in by itself, of which they share one.
    residue::counts(&world, "only the observer and the sender are left", |statistics| {
        (statistics.sessions, statistics.users, statistics.active_rooms) == (2, 2, 4)
    })
    .await?;
    observer.leaves().await;
    sender.close().await;
    Ok(Counts::default().with("streams", STREAMS).with("joins begun", joins))
}

fn room(number: usize) -> String {
    format!("room:middle{number}")
}

/// Says hello and joins rooms without waiting, and is gone at some moment.
async fn breaks_off(world: &World, random: &mut Random, number: usize) -> Outcome<usize> {
    let mut wire = world.wire().await?;
    let token = world.token(&format!("brief{}", number % 7))?;
    let resume = random.percent(50).then(|| v1::Resume {
        rooms: (0..ROOMS).map(|n| v1::RoomPosition { room: room(n), position: None, presence: true }).collect(),
        inbox: None,
    });
    let resumed = resume.as_ref().map_or(0, |resume| resume.rooms.len());
    wire.command(Command::Hello(v1::Hello { token, protocol: 1, resume, ..v1::Hello::default() }))?;
    let joins = random.below(ROOMS + 1);
    for n in 0..joins {
        wire.command(join(&room(n)))?;
    }
    match random.below(4) {
        0 => {}
        1 => tokio::time::sleep(Duration::from_micros(random.below(20_000) as u64)).await,
        2 => hears(&mut wire, 1 + random.below(4)).await?,
        _ => {
            hears(&mut wire, 1).await?;
            wire.finish()?;
        }
    }
    Ok(resumed + joins)
}

fn join(room: &str) -> Command {
    Command::Join(v1::Join { room: room.to_owned(), presence: true, ..v1::Join::default() })
}

async fn hears(wire: &mut Wire, frames: usize) -> Outcome<()> {
    for _ in 0..frames {
        let next = crate::stress::fault::within(PATIENCE, "a frame comes", wire.next()).await?;
        if let Heard::End(_) = next {
            break;
        }
    }
    Ok(())
}

/// A leave that comes while the join is under way: both are answered, in order, and the room is left.
async fn leaves_at_once(world: &World) -> Outcome<()> {
    let mut wire = world.wire_session("hasty").await?;
    let joining = wire.command(join(&room(1)))?;
    let leaving = wire.command(Command::Leave(v1::Leave { room: room(1) }))?;
    let mut order = Vec::new();
    wire.waits_for("both are answered", |id, kind| {
        match kind {
            Kind::Joined(_) if id == joining => order.push("joined"),
            Kind::Left(_) if id == leaving => order.push("left"),
            _ => {}
        }
        (order.len() == 2).then_some(())
    })
    .await?;
    same("the order of the answers", order, vec!["joined", "left"])?;
    wire.goodbye().await
}
