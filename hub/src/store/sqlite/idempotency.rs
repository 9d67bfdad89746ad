//! Idempotency keys: packed into one row per group, found through a map in memory.
//!
//! A row's `keys` are 128-bit keyed hashes of (tenant, actor, home, key, kind of actor); its `records` say what the first
//! attempt gave. The map takes 64 bits of a hash to (row, index) and the row decides, so a collision in the map costs a read, never a
//! wrong answer. The map is sharded: one large map stalls commits for the time of its growth (0.9 s measured).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rusqlite::Connection;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::domain::limits::{IDEMPOTENCY_WINDOW, IDEMPOTENCY_WINDOW_FLOOR};
use crate::domain::position::{Seq, Tag};
use crate::domain::time::Timestamp;
use crate::store::{Home, Outcome};

use super::engine::{EngineError, Result, optional};

/// Bytes of a hash in `keys`.
const HASH: usize = 16;
/// Bytes of a record: seq 8, number 8, time 8, fingerprint 8, tag 4, version 4, little endian.
pub(super) const RECORD: usize = 40;
/// Maps that the keys are spread over.
const SHARDS: usize = 1024;
/// Bits of a map's value that say which record of the row it is.
const INDEX_BITS: u32 = 16;

/// Keys of these maps are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Shard = HashMap<u64, u64, BuildHasherDefault<AsIs>>;

/// A key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyHash([u8; HASH]);

impl KeyHash {
    /// The two places where the map may have it: the second where another hash has the first.
    fn places(self) -> [u64; 2] {
        let place = self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        [place, place.wrapping_add(1)]
    }
}

/// What the first attempt gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) seq: Seq,
    pub(super) tag: Tag,
    pub(super) number: u64,
    pub(super) time: Timestamp,
    pub(super) version: u32,
    pub(super) fingerprint: u64,
}

/// All keys that are remembered.
pub(super) struct Keys {
    secret: [u8; 16],
    shards: Box<[Shard]>,
    remembered: usize,
    most: usize,
    /// The row of the group that is being applied.
    group: i64,
    /// What the group has so far.
    hashes: Vec<u8>,
    records: Vec<u8>,
    /// The oldest row and its time.
    oldest: Option<(i64, i64)>,
}

impl Keys {
    /// Reads all remembered keys.
    pub(super) fn load(db: &Connection, secret: [u8; 16], most: usize) -> Result<Self> {
        let mut keys = Self {
            secret,
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            remembered: 0,
            most,
            group: 1,
            hashes: Vec::new(),
            records: Vec::new(),
            oldest: None,
        };
        let mut statement = db.prepare("SELECT id, time, keys FROM idempotency ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, time): (i64, i64) = (row.get(0)?, row.get(1)?);
            keys.oldest.get_or_insert((id, time));
            keys.group = id + 1;
            let hashes = row.get_ref(2)?.as_blob().map_err(|_| EngineError::Damaged("idempotency keys"))?;
            for (index, hash) in hashes.as_chunks::<HASH>().0.iter().enumerate() {
                keys.remember(KeyHash(*hash), value(id, index));
            }
        }
        drop(rows);
        drop(statement);
        Ok(keys)
    }

    /// How many are remembered.
    pub(super) fn remembered(&self) -> usize {
        self.remembered
    }

    /// The hash of an outcome's key.
    pub(super) fn hash(&self, outcome: &Outcome) -> Option<KeyHash> {
        self.hash_of(outcome, outcome.by_service)
    }

    /// What a service's key gave when its hash was that of the user of its name, before kinds of actors were told apart. That
    /// it was the service's is seen by its fingerprint, which is of the service's request: no user's command reads the same.
    pub(super) fn find_of_before(&self, db: &Connection, outcome: &Outcome) -> Result<Option<Record>> {
        let (true, Some(idempotency)) = (outcome.by_service, &outcome.idempotency) else { return Ok(None) };
        let Some(hash) = self.hash_of(outcome, false) else { return Ok(None) };
        Ok(self.find(db, hash)?.filter(|record| record.fingerprint == idempotency.fingerprint))
    }

    fn hash_of(&self, outcome: &Outcome, by_service: bool) -> Option<KeyHash> {
        let key = &outcome.idempotency.as_ref()?.key;
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        let mut part = |bytes: &[u8]| {
            hasher.write(&(bytes.len() as u64).to_le_bytes());
            hasher.write(bytes);
        };
        part(outcome.tenant.as_str().as_bytes());
        part(outcome.actor.as_str().as_bytes());
        match &outcome.home {
            Home::Room(room) => (part(b"room"), part(room.as_str().as_bytes())),
            Home::Inbox(user) => (part(b"inbox"), part(user.as_str().as_bytes())),
            Home::Tenant => (part(b"tenant"), part(b"")),
        };
        part(key.as_bytes());
        if by_service {
            part(b"service");
        }
        Some(KeyHash(hasher.finish128().as_bytes()))
    }

    /// What a key's first attempt gave.
    pub(super) fn find(&self, db: &Connection, hash: KeyHash) -> Result<Option<Record>> {
        for place in hash.places() {
            let Some(value) = self.shard(place).get(&place) else { continue };
            let (found, record) = self.read(db, *value)?;
            if found == hash {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Makes place for one more key; false where only keys younger than the shortest window could go.
    pub(super) fn make_place(&mut self, db: &Connection, now: Timestamp) -> Result<bool> {
        while self.remembered >= self.most {
            let floor = now.millis() - IDEMPOTENCY_WINDOW_FLOOR.as_millis() as i64;
            match self.oldest {
                Some((_, time)) if time <= floor => self.forget_oldest(db)?,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Remembers what a key gave, in the group that is being applied.
    pub(super) fn insert(&mut self, hash: KeyHash, record: Record) {
        let index = self.hashes.len() / HASH;
        self.hashes.extend_from_slice(&hash.0);
        self.records.extend_from_slice(&record.seq.0.to_le_bytes());
        self.records.extend_from_slice(&record.number.to_le_bytes());
        self.records.extend_from_slice(&record.time.millis().to_le_bytes());
        self.records.extend_from_slice(&record.fingerprint.to_le_bytes());
        self.records.extend_from_slice(&record.tag.0.to_le_bytes());
        self.records.extend_from_slice(&record.version.to_le_bytes());
        self.remember(hash, value(self.group, index));
    }

    /// Writes the group's row, and forgets what is past the window. Whether anything was written.
    pub(super) fn finish_group(&mut self, db: &Connection, now: Timestamp) -> Result<bool> {
        self.expire(db, now)?;
        if self.hashes.is_empty() {
            return Ok(false);
        }
        db.prepare_cached("INSERT INTO idempotency VALUES(?1, ?2, ?3, ?4)")?.execute((
            self.group,
            now.millis(),
            &self.hashes,
            &self.records,
        ))?;
        self.oldest.get_or_insert((self.group, now.millis()));
        self.group += 1;
        self.hashes.clear();
        self.records.clear();
        Ok(true)
    }

    /// Forgets what is past the window: two rows a group, so that no commit waits for it.
    fn expire(&mut self, db: &Connection, now: Timestamp) -> Result<()> {
        let end = now.millis() - IDEMPOTENCY_WINDOW.as_millis() as i64;
        for _ in 0..2 {
            match self.oldest {
                Some((_, time)) if time < end => self.forget_oldest(db)?,
                _ => break,
            }
        }
        Ok(())
    }

    fn forget_oldest(&mut self, db: &Connection) -> Result<()> {
        let Some((id, _)) = self.oldest else { return Ok(()) };
        let hashes: Vec<u8> = db
            .prepare_cached("DELETE FROM idempotency WHERE id = ?1 RETURNING keys")?
            .query_row([id], |row| row.get(0))?;
        for (index, hash) in hashes.as_chunks::<HASH>().0.iter().enumerate() {
            let gone = value(id, index);
            for place in KeyHash(*hash).places() {
                let shard = self.shard_mut(place);
                if shard.get(&place) == Some(&gone) {
                    shard.remove(&place);
                    self.remembered -= 1;
                }
            }
        }
        let mut next =
            db.prepare_cached("SELECT id, time FROM idempotency WHERE id > ?1 ORDER BY id LIMIT 1")?;
        self.oldest = optional(next.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))))?;
        Ok(())
    }

    fn read(&self, db: &Connection, value: u64) -> Result<(KeyHash, Record)> {
        let (id, index) = ((value >> INDEX_BITS) as i64, (value & ((1 << INDEX_BITS) - 1)) as usize);
        let damaged = || EngineError::Damaged("idempotency record");
        if id == self.group {
            let hash = self.hashes.as_chunks::<HASH>().0.get(index).ok_or_else(damaged)?;
            let record = self.records.as_chunks::<RECORD>().0.get(index).ok_or_else(damaged)?;
            return Ok((KeyHash(*hash), unpack(record)));
        }
        let mut statement = db.prepare_cached(
            "SELECT substr(keys, ?2, 16), substr(records, ?3, 40) FROM idempotency WHERE id = ?1",
        )?;
        let (hash, record): (Vec<u8>, Vec<u8>) = statement
            .query_row((id, (index * HASH + 1) as i64, (index * RECORD + 1) as i64), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let hash = hash.try_into().map_err(|_| damaged())?;
        let record: [u8; RECORD] = record.try_into().map_err(|_| damaged())?;
        Ok((KeyHash(hash), unpack(&record)))
    }

    fn remember(&mut self, hash: KeyHash, value: u64) {
        let [first, second] = hash.places();
        let place = if self.shard(first).contains_key(&first) { second } else { first };
        if self.shard_mut(place).insert(place, value).is_none() {
            self.remembered += 1;
        }
    }

    fn shard(&self, place: u64) -> &Shard {
        &self.shards[shard_of(place)]
    }

    fn shard_mut(&mut self, place: u64) -> &mut Shard {
        &mut self.shards[shard_of(place)]
    }
}

/// The map uses the lowest and the highest bits itself.
fn shard_of(place: u64) -> usize {
    (place >> 32) as usize % SHARDS
}

fn value(row: i64, index: usize) -> u64 {
    (row as u64) << INDEX_BITS | index as u64
}

fn unpack(record: &[u8; RECORD]) -> Record {
    let words = record.as_chunks::<8>().0;
    let word = |index: usize| words.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Record {
        seq: Seq(word(0)),
        number: word(1),
        time: Timestamp(word(2) as i64),
        fingerprint: word(3),
        tag: Tag(word(4) as u32),
        version: (word(4) >> 32) as u32,
    }
}
