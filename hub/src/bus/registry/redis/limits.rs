//! What nodes count together, on Redis.
//!
//! | key | is |
//! |---|---|
//! | `u/TENANT/USER/sessions`, `t/TENANT/sessions`, `a/ADDRESS/sessions` in their partitions | a hash: what each node has of them, see `count.lua` |
//! | `l/KIND/…` in the user's or tenant's partition | a bucket, see `bucket.lua` |

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Pipeline, Script, cmd};

use super::{Inner, RedisRegistry, millis, parse};
use crate::bus::port::BusError;
use crate::bus::registry::Asking;
use crate::bus::registry::limits::{
    Entered, Entrants, Instance, Own, Present, SharedBucket, SharedLimits, TakesOver, Whose,
};
use crate::domain::limits::SESSION_COUNT_LASTS;
use crate::domain::rate::Rate;
use crate::redis::{Names, Partition, Reader};

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../count.lua")));
static BUCKET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../bucket.lua")));

/// Lives with when their leases end.
type Leases = Vec<(String, f64)>;

impl Inner {
    async fn count(&self, whose: &Whose, own: &Own, entrants: Option<Entrants>) -> Result<Entered, BusError> {
        let (entered, others) = self.count_without(whose, own, entrants, &[]).await?;
        if others.is_empty() {
            return Ok(entered);
        }
        // Some of those may be no more.
        let alive = self.nodes().await?;
        let gone: Vec<_> =
            others.into_iter().filter(|other| !alive.iter().any(|id| name(*id) == *other)).collect();
        if gone.is_empty() {
            return Ok(entered);
        }
        // What was said is said anew, and so are those who were let in.
        Ok(self.count_without(whose, own, entrants, &gone).await?.0)
    }

    async fn count_without(
        &self,
        whose: &Whose,
        own: &Own,
        entrants: Option<Entrants>,
        gone: &[String],
    ) -> Result<(Entered, Vec<String>), BusError> {
        let key = count_key(&self.names, whose);
        let marks = |instance: &Instance| [instance.mark.to_le_bytes(), instance.from.to_le_bytes()];
        let present = |present: &Present| {
            let [mark, from] = marks(&present.instance);
            [mark, from, present.since.to_le_bytes()]
        };
        let own_marks: Vec<u8> = own.instances.iter().flat_map(present).flatten().collect();
        let nobody = Entrants { many: 0, most: 0, instance: None, is_all: false };
        let Entrants { many, most, instance, is_all } = entrants.unwrap_or(nobody);
        let instance = instance.as_ref().map(marks);
        let [mark, from] = instance.as_ref().map_or([&[][..]; 2], |[mark, from]| [&mark[..], &from[..]]);
        let mut call = COUNT.key(&key);
        call.arg(name(self.node)).arg(millis(SESSION_COUNT_LASTS)).arg(own.sessions).arg(own_marks);
        call.arg(many).arg(most).arg(mark).arg(from).arg(u8::from(is_all)).arg(gone);
        let (many, takes_over, others, at, later): (u32, u8, Vec<String>, u64, Vec<Vec<u8>>) =
            self.ask(&key, &call).await?;
        let later = later.iter().filter_map(|later| {
            let mut from = Reader::new(later);
            Some((from.u64().ok()?, from.u64().ok()?))
        });
        let takes_over = match takes_over {
            0 => TakesOver::Nobody,
            1 => TakesOver::Instance,
            _ => TakesOver::FromThere,
        };
        Ok((Entered { many, takes_over, at, later: later.collect() }, others))
    }

    async fn take(
        &self,
        bucket: &SharedBucket,
        every: i64,
        burst: u32,
    ) -> Result<Option<Duration>, BusError> {
        let key = bucket_key(&self.names, bucket);
        let mut call = BUCKET.key(&key);
        call.arg(every).arg(burst);
        let lacks: u64 = self.ask(&key, &call).await?;
        Ok((lacks > 0).then(|| Duration::from_millis(lacks)))
    }

    async fn levels(&self, buckets: &[SharedBucket]) -> Result<Vec<Duration>, BusError> {
        let Some(first) = buckets.first().map(|bucket| bucket_key(&self.names, bucket)) else {
            return Ok(Vec::new());
        };
        // What is left of a bucket's time is how long it takes to be full.
        let mut ask = Pipeline::new();
        for bucket in buckets {
            ask.cmd("PTTL").arg(bucket_key(&self.names, bucket));
        }
        let left: Vec<i64> = self.ask(&first, &ask).await?;
        Ok(left.into_iter().map(|left| Duration::from_millis(u64::try_from(left).unwrap_or(0))).collect())
    }

    async fn reset(&self, buckets: &[SharedBucket]) -> Result<u32, BusError> {
        let Some(first) = buckets.first().map(|bucket| bucket_key(&self.names, bucket)) else { return Ok(0) };
        let mut remove = cmd("DEL");
        for bucket in buckets {
            remove.arg(bucket_key(&self.names, bucket));
        }
        self.ask(&first, &remove).await
    }

    async fn nodes(&self) -> Result<Vec<u64>, BusError> {
        let key = self.leases();
        let mut step = Pipeline::new();
        step.cmd("TIME").cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES");
        step.cmd("SMEMBERS").arg(self.left());
        step.cmd("GET").arg(self.seen());
        let (time, leases, left, seen): ((f64, f64), Leases, Vec<String>, Option<f64>) =
            self.ask(&key, &step).await?;
        let now = time.0 * 1_000.0 + (time.1 / 1_000.0).floor();
        // As in `lease.lua`: time in which nobody renewed a lease does not count.
        let passed = seen.map_or(0.0, |seen| now - seen);
        let is_none = passed < 0.0 || passed > millis(self.keeping.lease()) as f64 / 2.0;
        let now = if is_none { now - passed } else { now };
        let is_there = |(name, ends): &(String, f64)| *ends > now && !left.contains(name);
        let lives = leases.iter().filter(|lease| is_there(lease)).filter_map(|(name, _)| parse(name));
        let mut nodes: Vec<u64> = lives.map(|life| life.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        Ok(nodes)
    }
}

impl SharedLimits for RedisRegistry {
    fn count(&self, whose: Whose, own: Own, entrants: Option<Entrants>) -> Asking<Entered> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.count(&whose, &own, entrants).await })
    }

    fn take(&self, bucket: SharedBucket, rate: Rate) -> Asking<Option<Duration>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.take(&bucket, millis(rate.every), rate.burst).await })
    }

    fn give_back(&self, bucket: SharedBucket, rate: Rate) -> Asking<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.take(&bucket, -millis(rate.every), rate.burst).await.map(drop) })
    }

    fn levels(&self, buckets: Vec<SharedBucket>) -> Asking<Vec<Duration>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.levels(&buckets).await })
    }

    fn reset(&self, buckets: Vec<SharedBucket>) -> Asking<u32> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.reset(&buckets).await })
    }

    fn nodes(&self) -> Asking<Vec<u64>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.nodes().await })
    }
}

/// A node's name in what is counted.
fn name(node: u64) -> String {
    format!("{node:016x}")
}

fn count_key(names: &Names, whose: &Whose) -> String {
    match whose {
        Whose::User(user) => format!("{}/sessions", names.user(user)),
        Whose::Tenant(tenant) => format!("{}/sessions", names.tenant(tenant)),
        Whose::Address(address) => {
            format!("{}a/{address}/sessions", names.partition(Partition::of_address(*address)))
        }
    }
}

fn bucket_key(names: &Names, bucket: &SharedBucket) -> String {
    let SharedBucket { tenant, name, service, kind, namespace } = bucket;
    let partition = match name {
        Some(name) => Partition::of_user(tenant, name),
        None => Partition::of_tenant(tenant),
    };
    let name = name.as_ref().map_or("", |name| name.as_str());
    let (whose, namespace) = (if *service { "s" } else { "u" }, namespace.as_deref().unwrap_or(""));
    format!("{}l/{kind}/{namespace}/{whose}/{tenant}/{name}", names.partition(partition))
}
