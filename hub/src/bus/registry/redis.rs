//! The registry on Redis.
//!
//! | key | is |
//! |---|---|
//! | `nodes` in the hub's partition | the leases: lives by when they end, in milliseconds of the server's clock |
//! | `nodes/left` there | those among them that have stopped |
//! | `nodes/seen` there | when a lease was renewed last, see `lease.lua` |
//! | `nodes/LIFE` there | the tenants of which a life keeps something |
//! | `t/TENANT/p/LIFE` in the tenant's partition | a hash: records by session, and under `c` the number of the last batch, see `batch.lua` |
//!
//! Where a life's lease has ended others remove what is kept of it. What is written after that goes by itself: everything of a
//! life lasts for eight leases, and is given as much again while its lease is renewed.
//!
//! A life's tenant is noted before anything of it is kept, so that whoever removes the life finds it all.

mod asking;
mod keeping;
mod limits;
mod tickets;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{FromRedisValue, Pipeline, Script, Value, cmd};
use tokio_util::sync::CancellationToken;

use super::{Asking, Kept, Lease, Leases, Registry, Writing};
use crate::bus::port::BusError;
use crate::bus::sessions::Life;
use crate::domain::limits::{LEASE_ANSWERS, LEASE_ANSWERS_LEAST};
use crate::domain::names::{SessionId, TenantId};
use crate::redis::{Link, LinkError, LinkFigures, Names, Options, keep};
use keeping::Keeping;

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease.lua")));
static BATCH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("batch.lua")));

/// The field that has the number of the last batch. Sessions' have 16 bytes.
const COUNTER: &[u8] = b"c";

struct Inner {
    /// This node's random id.
    node: u64,
    link: Link,
    names: Names,
    publish: &'static str,
    keeping: Keeping,
}

/// The registry on Redis. A cheap handle.
#[derive(Clone)]
pub struct RedisRegistry(Arc<Inner>);

impl RedisRegistry {
    /// A registry of the node with this random id, whose lease lasts so long, that is not connected yet; the settings are
    /// checked. It waits no longer for an answer than leaves time to renew the lease over another connection.
    pub fn new(options: Options, node: u64, lease: Duration) -> Result<Self, LinkError> {
        let most = (lease / LEASE_ANSWERS).max(LEASE_ANSWERS_LEAST);
        let options = Options {
            answer_timeout: options.answer_timeout.min(most),
            connect_timeout: options.connect_timeout.min(most),
            ..options
        };
        let names = Names::new(&options.prefix);
        let publish = if options.cluster { "SPUBLISH" } else { "PUBLISH" };
        let (link, keeping) = (Link::new(options)?, Keeping::default());
        Ok(Self(Arc::new(Inner { node, link, names, publish, keeping })))
    }

    /// Figures of its connections.
    pub fn figures(&self) -> LinkFigures {
        self.0.link.figures()
    }

    /// Keeps its connection until cancelled.
    pub async fn keep(self, cancel: CancellationToken) {
        // It is not there yet.
        self.0.link.moved();
        keep(self.0.link.clone(), cancel, Box::new(|_, _| Box::pin(async { Ok(()) }))).await;
        self.0.link.close();
    }
}

impl Inner {
    fn leases(&self) -> String {
        self.names.nodes()
    }

    fn left(&self) -> String {
        self.names.nodes_left()
    }

    fn seen(&self) -> String {
        format!("{}/seen", self.leases())
    }

    fn tenants(&self, life: Life) -> String {
        format!("{}/{}", self.leases(), name(life))
    }

    fn sessions(&self, tenant: &TenantId, life: Life) -> String {
        format!("{}/p/{}", self.names.tenant(tenant), name(life))
    }

    async fn renew(&self, life: Life, lease: Duration, is_new: bool) -> Result<Leases, BusError> {
        self.keeping.last_for(lease);
        let leases = self.renew_for(life, lease, is_new).await?;
        if leases.is_renewed {
            self.keep_what_is_kept(life).await;
        }
        Ok(leases)
    }

    async fn renew_for(&self, life: Life, time: Duration, is_new: bool) -> Result<Leases, BusError> {
        let key = self.leases();
        let mut call = LEASE.key(&key);
        call.key(self.seen()).arg(name(life)).arg(millis(time)).arg(u8::from(is_new));
        call.arg(millis(self.keeping.lease()));
        let answer: Vec<Value> = self.ask(&key, &call).await?;
        let mut parts = answer.into_iter();
        let is_renewed = parts.next() == Some(Value::Int(1));
        let mut all = Vec::new();
        while let (Some(life), Some(left)) = (parts.next(), parts.next()) {
            // What a later version writes otherwise is not known here.
            let Some(life) = text(life).as_deref().and_then(parse) else { continue };
            let left = u64::from_redis_value(left).unwrap_or(0);
            all.push(Lease { life, left: (left > 0).then(|| Duration::from_millis(left)) });
        }
        Ok(Leases { is_renewed, all })
    }

    async fn leave(&self, life: Life, grace: Duration) -> Result<(), BusError> {
        let key = self.leases();
        let mut note = cmd("SADD");
        note.arg(self.left()).arg(name(life));
        self.ask::<()>(&key, &note).await?;
        self.keeping.last_for(grace.max(self.keeping.lease()));
        let leases = self.renew_for(life, grace, false).await?;
        if leases.is_renewed {
            self.keep_what_is_kept(life).await;
        }
        Ok(())
    }

    async fn write(&self, writing: Writing) -> Result<(), BusError> {
        let Writing { tenant, life, counter, follows, is_last, set, gone, message } = writing;
        if follows.is_none() {
            let key = self.tenants(life);
            let mut note = Pipeline::new();
            note.atomic().cmd("SADD").arg(&key).arg(tenant.as_str()).ignore();
            note.cmd("PEXPIRE").arg(&key).arg(self.keeping.lasts()).ignore();
            self.ask::<()>(&key, &note).await?;
        }
        self.keeping.note(life, &tenant, !is_last);
        let key = self.sessions(&tenant, life);
        let mut call = BATCH.key(&key);
        call.arg(counter).arg(follows.map_or_else(String::new, |follows| follows.to_string()));
        call.arg(u8::from(is_last)).arg(self.keeping.lasts());
        call.arg(self.publish).arg(self.names.tenant_channel(&tenant)).arg(&message[..]);
        call.arg(set.len());
        for (session, record) in &set {
            call.arg(&session.0.to_le_bytes()).arg(record);
        }
        for session in &gone {
            call.arg(&session.0.to_le_bytes());
        }
        let is_kept: bool = self.ask(&key, &call).await?;
        if is_kept { Ok(()) } else { Err(BusError::Unavailable) }
    }

    async fn read(&self, tenant: &TenantId, life: Life) -> Result<Kept, BusError> {
        let key = self.sessions(tenant, life);
        let mut command = cmd("HGETALL");
        command.arg(&key);
        let fields: Vec<(Vec<u8>, Vec<u8>)> = self.ask(&key, &command).await?;
        let mut kept = Kept::default();
        for (field, value) in fields {
            if field == COUNTER {
                let number = std::str::from_utf8(&value).ok().and_then(|number| number.parse().ok());
                kept.counter = number.unwrap_or(0);
            } else if let Ok(session) = field.try_into() {
                kept.records.push((SessionId(u128::from_le_bytes(session)), value));
            }
        }
        Ok(kept)
    }

    async fn remove(&self, life: Life) -> Result<(), BusError> {
        let key = self.tenants(life);
        let mut members = cmd("SMEMBERS");
        members.arg(&key);
        let tenants: Vec<String> = self.ask(&key, &members).await?;
        for tenant in tenants.iter().filter_map(|tenant| TenantId::parse(tenant).ok()) {
            let key = self.sessions(&tenant, life);
            let mut unlink = cmd("UNLINK");
            unlink.arg(&key);
            self.ask::<()>(&key, &unlink).await?;
        }
        let mut last = Pipeline::new();
        last.atomic().cmd("UNLINK").arg(&key).ignore();
        last.cmd("ZREM").arg(self.leases()).arg(name(life)).ignore();
        last.cmd("SREM").arg(self.left()).arg(name(life)).ignore();
        self.ask::<()>(&key, &last).await
    }
}

impl Registry for RedisRegistry {
    fn renew(&self, life: Life, lease: Duration, is_new: bool) -> Asking<Leases> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.renew(life, lease, is_new).await })
    }

    fn leave(&self, life: Life, grace: Duration) -> Asking<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.leave(life, grace).await })
    }

    fn write(&self, writing: Writing) -> Asking<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.write(writing).await })
    }

    fn read(&self, tenant: &TenantId, life: Life) -> Asking<Kept> {
        let (inner, tenant) = (Arc::clone(&self.0), tenant.clone());
        Box::pin(async move { inner.read(&tenant, life).await })
    }

    fn remove(&self, life: Life) -> Asking<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.remove(life).await })
    }
}

/// A life's name in keys.
fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn name(life: Life) -> String {
    format!("{:016x}.{}", life.node, life.number)
}

fn parse(name: &str) -> Option<Life> {
    let (node, number) = name.split_once('.')?;
    Some(Life { node: u64::from_str_radix(node, 16).ok()?, number: number.parse().ok()? })
}

fn text(value: Value) -> Option<String> {
    String::from_redis_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_found_by_their_names() {
        for life in [Life { node: 0, number: 1 }, Life { node: u64::MAX, number: u32::MAX }] {
            assert_eq!(parse(&name(life)), Some(life));
        }
        assert!(parse("nonsense").is_none() && parse("zz.1").is_none() && parse("0.x").is_none());
    }
}
