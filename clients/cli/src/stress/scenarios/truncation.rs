//! Positions of every kind on join: everything after it, once and in order, or the word that the copy is void. Live
//! entries follow without gap or overlap.

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{Client, v1};

use crate::stress::fault::{Fault, Outcome, same};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::wire::Wire;
use crate::stress::world::World;

const ROOM: &str = "room:positions";
/// Entries before the first join: more than the hub keeps in memory for a room.
const BEFORE: usize = 300;
const JOINS: usize = 40;
const REWIND_MOST: u32 = 1_000;

/// What a join must bring.
struct Expected {
    join: v1::Join,
    /// The first entry after `joined`.
    first: u64,
    truncated: bool,
}

/// The log as it was acknowledged: the position of each entry, from 1.
struct Log {
    sender: Client,
    positions: Vec<v1::Position>,
}

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let mut log = Log { sender: world.sender("sender").await?, positions: Vec::new() };
    for _ in 0..BEFORE / 60 {
        log.grow(60).await?;
    }
    let mut wire = world.wire_session("reader").await?;
    let mut truncations = 0;
    for _ in 0..JOINS {
        let expected = log.choose(&mut random)?;
        truncations += usize::from(expected.truncated);
        joins(&mut wire, &mut log, expected).await?;
    }
    for join in [
        v1::Join { since: log.positions.first().copied(), rewind: 1, ..v1::Join::default() },
        v1::Join { rewind: REWIND_MOST + 1, ..v1::Join::default() },
    ] {
        let id = wire.command(Command::Join(v1::Join { room: ROOM.to_owned(), ..join }))?;
        match wire.reply(id).await? {
            Kind::Error(error) => same("a join that breaks a rule", error.code.as_str(), "INVALID_ARGUMENT")?,
            other => return Err(Fault::Broken(format!("a join that breaks a rule: {other:?}"))),
        }
    }
    wire.goodbye().await?;
    log.sender.close().await;
    Ok(Counts::default().with("joins", JOINS).with("truncations", truncations))
}

/// Joins, sends one message, and reads up to it.
async fn joins(wire: &mut Wire, log: &mut Log, expected: Expected) -> Outcome<()> {
    let Expected { join, first, truncated } = expected;
    let what = format!("after {:?} and a rewind of {}", join.since, join.rewind);
    let head = log.head();
    let id = wire.command(Command::Join(join))?;
    let Kind::Joined(joined) = wire.reply(id).await? else {
        return Err(Fault::Broken(format!("{what}: the join was refused")));
    };
    same(format!("the head, {what}"), joined.position, log.positions.last().copied())?;
    same(format!("truncated, {what}"), joined.truncated, truncated)?;
    same(format!("recovered, {what}"), joined.recovered, first <= head)?;
    log.grow(1).await?;
    for seq in first..=log.head() {
        let what = format!("entry {seq}, {what}");
        let header = wire
            .waits_for(&what, |_, kind| match kind {
                Kind::Message(message) if message.room == ROOM => message.header,
                _ => None,
            })
            .await?;
        let found = v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag };
        same(&what, Some(&found), log.positions.get(seq as usize - 1))?;
    }
    Ok(())
}

impl Log {
    fn head(&self) -> u64 {
        self.positions.len() as u64
    }

    async fn grow(&mut self, messages: usize) -> Outcome<()> {
        let sends = (0..messages).map(|_| self.sender.send(ROOM, "word"));
        for sent in futures::future::try_join_all(sends).await? {
            let position = sent.position.unwrap_or_default();
            same("the next seq", position.seq, self.head() + 1)?;
            self.positions.push(position);
        }
        Ok(())
    }

    /// A join of a random kind.
    fn choose(&self, random: &mut Random) -> Outcome<Expected> {
        let head = self.head();
        let place = random.below(self.positions.len());
        let known = *self.positions.get(place).ok_or_else(|| Fault::broken("an empty log"))?;
        let join = v1::Join { room: ROOM.to_owned(), ..v1::Join::default() };
        let since = |position: v1::Position, first: u64, truncated: bool| Expected {
            join: v1::Join { since: Some(position), ..join.clone() },
            first,
            truncated,
        };
        let other_bits = 1 << random.below(32);
        Ok(match random.below(8) {
            0 => Expected { join, first: head + 1, truncated: false },
            1 => since(v1::Position { tag: known.tag ^ other_bits, ..known }, head + 1, true),
            2 => since(v1::Position { epoch: known.epoch ^ u64::from(other_bits), ..known }, head + 1, true),
            3 => since(v1::Position { seq: head + 1 + place as u64, ..known }, head + 1, true),
            4 => since(v1::Position { seq: 0, tag: 0, ..known }, 1, false),
            5 => {
                let rewind = random.below(REWIND_MOST as usize + 1) as u32;
                let first = head.saturating_sub(u64::from(rewind)) + 1;
                Expected { join: v1::Join { rewind, ..join }, first, truncated: false }
            }
            _ => since(known, known.seq + 1, false),
        })
    }
}
