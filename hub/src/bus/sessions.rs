//! What nodes say of their sessions to each other: on the tenant's topic as it changes, and in the [`super::registry`] as it
//! is.
//!
//! Numbers are little endian. A record is version u8, flags u8, status u8, instance u64, text order u64, last activity i64,
//! where the flag says so the grace that is left u32, user, text, rooms after their count u16, and the sessions that it
//! continues, u128 each, after their count u8. A later version only adds bytes after these.

use bytes::{BufMut, Bytes};

use crate::domain::names::{RoomName, SessionId, UserId};
use crate::domain::presence::Status;
use crate::domain::time::Timestamp;
use crate::redis::{Malformed, Reader, put_bytes16, put_bytes32};

const VERSION: u8 = 1;
const IS_LOST: u8 = 1;

/// A node, from one end of its lease to the next: after that it is another one to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Life {
    /// The node's random id.
    pub node: u64,
    /// Which of its lives, from 1.
    pub number: u32,
}

/// Figures of what nodes have said of their sessions, since this one began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionsFigures {
    /// Whether this node's own lease is good.
    pub has_lease: bool,
    /// Other nodes that are there now, as their leases say.
    pub others: u64,
    /// Batches that this node has told.
    pub told: u64,
    /// Those that could not be told, and were told anew.
    pub untold: u64,
    /// Batches that came from others.
    pub heard: u64,
    /// Times that what a node keeps of a tenant was read.
    pub reads: u64,
    /// Times that this node's own lease had ended.
    pub lives: u64,
}

/// A session, as its node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub user: UserId,
    /// A hash of the tab or process; 0 where it is not named.
    pub instance: u64,
    /// What it shows.
    pub status: Status,
    /// At most 128 characters.
    pub text: String,
    /// Of a user's texts the one with the greatest is shown; 0 where none was set.
    pub text_order: u64,
    /// When it last did something, more or less.
    pub last_active: Timestamp,
    /// It was lost, and counts for so many milliseconds more.
    pub grace_left: Option<u32>,
    /// Where it is present.
    pub rooms: Vec<RoomName>,
    /// The sessions whose place it has taken, wherever those were, the newest first: one that took another's, and that one.
    /// Their nodes may not know it, or be no more.
    pub continues: Vec<SessionId>,
}

/// What a node says of one of its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub session: SessionId,
    /// Whether what ended did so on purpose.
    pub has_left: bool,
    /// How it is; `None` where it is no more.
    pub record: Option<Record>,
}

/// What changed at once among a node's sessions of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Who says it.
    pub life: Life,
    /// What it is counted from.
    pub follows: Follows,
    /// Its number among the node's batches; greater than those before.
    pub counter: u64,
    /// The sessions.
    pub told: Vec<Told>,
}

/// What a batch is to be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The one with this number, of the same tenant.
    Batch(u64),
    /// Nothing: it says all that there is.
    Nothing,
    /// What the registry has: it is too much to be said here.
    Registry,
}

impl Record {
    /// Its byte form.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(64 + self.text.len() + self.rooms.len() * 32);
        let lost = if self.grace_left.is_some() { IS_LOST } else { 0 };
        to.extend_from_slice(&[VERSION, lost, self.status as u8]);
        to.put_u64_le(self.instance);
        to.put_u64_le(self.text_order);
        to.put_i64_le(self.last_active.millis());
        if let Some(left) = self.grace_left {
            to.put_u32_le(left);
        }
        put_bytes16(&mut to, self.user.as_str().as_bytes());
        put_bytes16(&mut to, self.text.as_bytes());
        let count = u16::try_from(self.rooms.len()).unwrap_or(u16::MAX);
        to.put_u16_le(count);
        for room in self.rooms.iter().take(count.into()) {
            put_bytes16(&mut to, room.as_str().as_bytes());
        }
        let count = u8::try_from(self.continues.len()).unwrap_or(u8::MAX);
        to.push(count);
        for session in self.continues.iter().take(count.into()) {
            to.put_u128_le(session.0);
        }
        to
    }

    /// Reads a byte form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        if from.u8()? != VERSION {
            return Err(Malformed("version of a session"));
        }
        let (flags, status) = (from.u8()?, status(from.u8()?)?);
        let (instance, text_order, last_active) = (from.u64()?, from.u64()?, Timestamp(from.i64()?));
        let grace_left = if flags & IS_LOST != 0 { Some(from.u32()?) } else { None };
        let user = UserId::parse(from.text16()?).map_err(|_| Malformed("user"))?;
        let text = from.text16()?.to_owned();
        let room = |from: &mut Reader<'_>| RoomName::parse(from.text16()?).map_err(|_| Malformed("room"));
        let rooms = (0..from.u16()?).map(|_| room(&mut from)).collect::<Result<_, _>>()?;
        let continues = (0..from.u8()?).map(|_| read_session(&mut from)).collect::<Result<_, _>>()?;
        Ok(Self { user, instance, status, text, text_order, last_active, grace_left, rooms, continues })
    }
}

impl Batch {
    /// Adds its byte form.
    pub fn encode(&self, to: &mut Vec<u8>) {
        to.put_u64_le(self.life.node);
        to.put_u32_le(self.life.number);
        let (kind, number) = match self.follows {
            Follows::Batch(number) => (1, number),
            Follows::Nothing => (2, 0),
            Follows::Registry => (3, 0),
        };
        to.push(kind);
        to.put_u64_le(number);
        to.put_u64_le(self.counter);
        to.put_u32_le(self.told.len() as u32);
        for told in &self.told {
            to.put_u128_le(told.session.0);
            to.extend_from_slice(&[u8::from(told.has_left), u8::from(told.record.is_some())]);
            if let Some(record) = &told.record {
                put_bytes32(to, &record.encode());
            }
        }
    }

    /// Reads a byte form.
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let life = Life { node: from.u64()?, number: from.u32()? };
        let (kind, number) = (from.u8()?, from.u64()?);
        let follows = match kind {
            1 => Follows::Batch(number),
            2 => Follows::Nothing,
            _ => Follows::Registry,
        };
        let counter = from.u64()?;
        let told = (0..from.u32()?).map(|_| read_told(&mut from)).collect::<Result<_, _>>()?;
        Ok(Self { life, follows, counter, told })
    }
}

fn read_told(from: &mut Reader<'_>) -> Result<Told, Malformed> {
    let session = read_session(from)?;
    let (has_left, has_record) = (from.u8()? != 0, from.u8()? != 0);
    let record = if has_record { Some(Record::decode(from.bytes32()?)?) } else { None };
    Ok(Told { session, has_left, record })
}

fn read_session(from: &mut Reader<'_>) -> Result<SessionId, Malformed> {
    let (low, high) = (from.u64()?, from.u64()?);
    Ok(SessionId(u128::from(low) | u128::from(high) << 64))
}

fn status(number: u8) -> Result<Status, Malformed> {
    match number {
        1 => Ok(Status::Online),
        2 => Ok(Status::Away),
        3 => Ok(Status::Busy),
        4 => Ok(Status::Offline),
        _ => Err(Malformed("status")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            user: UserId::parse("alice").unwrap(),
            instance: 7,
            status: Status::Busy,
            text: "in a meeting".to_owned(),
            text_order: 1_000,
            last_active: Timestamp(2_000),
            grace_left: Some(9_000),
            continues: vec![SessionId(u128::MAX - 1), SessionId(5)],
            rooms: vec![RoomName::parse("room:a").unwrap(), RoomName::parse("room:b").unwrap()],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let plain = Record { grace_left: None, continues: Vec::new(), rooms: Vec::new(), ..record() };
        let gone = Told { session: SessionId(3), has_left: true, record: None };
        let told =
            |session, record| Told { session: SessionId(session), has_left: false, record: Some(record) };
        let batch = Batch {
            life: Life { node: u64::MAX, number: 2 },
            follows: Follows::Batch(41),
            counter: 42,
            told: vec![told(1, record()), told(1 << 100, plain), gone],
        };
        for follows in [Follows::Batch(41), Follows::Nothing, Follows::Registry] {
            let batch = Batch { follows, ..batch.clone() };
            let mut bytes = Vec::new();
            batch.encode(&mut bytes);
            assert_eq!(Batch::decode(&bytes.into()), Ok(batch));
        }
    }

    /// Nodes of two versions stand beside each other: what a record is made of stays.
    #[test]
    fn the_form_of_a_record_stays() {
        let mut bytes = record().encode();
        let head = [1, 1, 3, 7, 0, 0, 0, 0, 0, 0, 0, 0xe8, 3];
        assert_eq!(bytes[..13], head);
        bytes.extend_from_slice(b"something of a later version");
        assert_eq!(Record::decode(&bytes), Ok(record()));
        bytes[0] = 2;
        assert!(Record::decode(&bytes).is_err());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let bytes = record().encode();
        assert!((0..bytes.len()).all(|length| Record::decode(&bytes[..length]).is_err()));
    }
}
