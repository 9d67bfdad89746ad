//! The load that the store is measured with: sends as an area decides them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use carillon_hub::config::Config;
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::names::{IdempotencyKey, RoomKey, RoomName, TenantId, UserId};
use carillon_hub::redis;
use carillon_hub::store::redis::{Options as RedisOptions, RedisStore};
use carillon_hub::store::sqlite::{Options, SqliteStore};
use carillon_hub::store::{Change, CommitSink, Home, Idempotency, Outcome, Store, Write};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::StoreBenchError;
use crate::bench::choice::choose;
use crate::bench::keys::Keys;
use crate::bench::payload::{Payload, Payloads};
use crate::bench::report::Latency;

/// Users that send: in each room some of them.
const USERS: usize = 5_000;

/// Nobody is joined to anything.
struct Unheard;

impl CommitSink for Unheard {
    fn committed(&self, _: &[Change]) {}
}

/// Opens the store of a data folder as `serve --dev` does.
pub(in crate::bench) fn open(data: &Path) -> Result<SqliteStore, StoreBenchError> {
    let config = Config::development(data)?;
    Ok(SqliteStore::open(&Options::new(data, Arc::new(config.namespaces()), Arc::new(Unheard)))?)
}

/// Opens the store on Redis with the rooms that `serve --dev` has, under a prefix of the benchmark's own.
pub(super) fn open_redis(url: &str, data: &Path) -> Result<RedisStore, StoreBenchError> {
    let config = Config::development(data)?;
    let redis =
        redis::Options { prefix: format!("bench-{}", std::process::id()), ..redis::Options::new(url) };
    let options = RedisOptions {
        strict: false,
        ..RedisOptions::new(redis, Arc::new(config.namespaces()), Arc::new(Unheard))
    };
    Ok(RedisStore::open(options)?)
}

/// Makes sends to rooms by chance, but the same in every run.
pub(in crate::bench) struct Load {
    tenant: TenantId,
    rooms: Vec<RoomName>,
    users: Vec<UserId>,
    payloads: Payloads,
    keys: Keys,
    sent: u64,
}

impl Load {
    /// To these rooms; `size` is a text's, bytes.
    pub(in crate::bench) fn new(
        tenant: &str,
        rooms: &[String],
        size: usize,
    ) -> Result<Self, StoreBenchError> {
        let broken = |_| StoreBenchError::Name;
        Ok(Self {
            tenant: TenantId::parse(tenant).map_err(broken)?,
            rooms: rooms
                .iter()
                .map(|room| RoomName::parse(room).map_err(broken))
                .collect::<Result<_, _>>()?,
            users: (0..USERS)
                .map(|user| UserId::parse(&format!("bench-{user}")).map_err(broken))
                .collect::<Result<_, _>>()?,
            payloads: Payloads::new(size),
            keys: Keys::new().map_err(StoreBenchError::Random)?,
            sent: 0,
        })
    }

    /// Room `index`, or another where there are fewer.
    pub(super) fn room(&self, index: usize) -> RoomKey {
        RoomKey { tenant: self.tenant.clone(), room: self.rooms[index % self.rooms.len()].clone() }
    }

    /// How many rooms there are.
    pub(super) fn rooms(&self) -> usize {
        self.rooms.len()
    }

    fn send(&mut self) -> Result<Outcome, StoreBenchError> {
        let room = choose(self.sent, self.rooms.len());
        let user = (room * 7 + choose(self.sent ^ 1 << 60, 200)) % USERS;
        let text = self.payloads.text(Payload { room: room as u32, number: self.sent, time: 0 });
        let key = IdempotencyKey::parse(self.keys.key(self.sent)).map_err(|_| StoreBenchError::Name)?;
        let content = Content::text(&text, "").map_err(|_| StoreBenchError::Name)?;
        self.sent += 1;
        Ok(Outcome {
            tenant: self.tenant.clone(),
            home: Home::Room(self.rooms[room].clone()),
            actor: self.users[user].clone(),
            by_service: false,
            idempotency: Some(Idempotency { key, fingerprint: self.sent }),
            conditions: Vec::new(),
            writes: vec![Write::Append(EntryBody::Message(Message::new(content, None, Pairs::default())))],
            effects: Vec::new(),
        })
    }

    /// Keeps `in_flight` sends under way until `more`, asked with the count of those committed, says no, and waits for
    /// the rest. Gives the time of each from its submission to its commit.
    pub(in crate::bench) async fn drive(
        &mut self,
        store: &dyn Store,
        in_flight: usize,
        mut more: impl FnMut(u64) -> bool,
    ) -> Result<Latency, StoreBenchError> {
        let timed = |outcome| {
            let (started, committed) = (Instant::now(), store.commit(outcome));
            async move { committed.await.map(|_| started.elapsed()) }
        };
        let mut pending = FuturesUnordered::new();
        for _ in 0..in_flight {
            pending.push(timed(self.send()?));
        }
        let (mut latency, mut done) = (Latency::new(), 0);
        while let Some(committed) = pending.next().await {
            latency.record(committed?.as_nanos() as u64);
            done += 1;
            if more(done) {
                pending.push(timed(self.send()?));
            }
        }
        Ok(latency)
    }
}
