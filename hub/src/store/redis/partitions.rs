//! Asking many partitions the same: each server in pieces, the servers beside each other.

use futures::future::try_join_all;
use redis::aio::ConnectionLike;
use redis::{Pipeline, Value};
use rustc_hash::FxHashMap;

use crate::domain::time::Timestamp;
use crate::redis::Way;
use crate::redis::slots::Address;
use crate::redis::{Partition, Server};
use crate::store::StoreError;

use super::answer::Answer;
use super::limits::PARTITIONS_AT_ONCE;
use super::shared::Shared;

impl Shared {
    /// Asks all partitions the same; `ask` is given what their keys begin with. Gives each one's answer; fails where one does
    /// not answer.
    pub(super) async fn ask_partitions(
        &self,
        ask: impl Fn(&str, &mut Pipeline),
    ) -> Result<Vec<(Partition, Value)>, StoreError> {
        let mut servers: FxHashMap<u64, (Server, Vec<Partition>)> = FxHashMap::default();
        for partition in Partition::all() {
            let key = self.names.partition(partition);
            let server = self.link.server(key.as_bytes()).ok_or(StoreError::Unavailable)?;
            servers.entry(server.number).or_insert_with(|| (server, Vec::new())).1.push(partition);
        }
        let asked = servers.into_values().map(|(server, partitions)| {
            let ask = &ask;
            async move { self.ask_server(&server, &partitions, ask).await }
        });
        let answers = try_join_all(asked).await?.into_iter().flatten();
        answers.map(|(partition, answer)| Ok((partition, answer?))).collect()
    }

    /// Asks partitions of one server the same. Gives each one's answer, or why there is none; fails where the server is away.
    pub(super) async fn ask_server(
        &self,
        server: &Server,
        partitions: &[Partition],
        ask: impl Fn(&str, &mut Pipeline),
    ) -> Result<Vec<(Partition, Result<Value, StoreError>)>, StoreError> {
        let mut connection = server.connection.clone();
        let mut answers = Vec::with_capacity(partitions.len());
        for some in partitions.chunks(PARTITIONS_AT_ONCE) {
            let mut pipeline = Pipeline::with_capacity(some.len());
            for partition in some {
                ask(&self.names.partition(*partition), &mut pipeline);
            }
            let asking = connection.req_packed_commands(&pipeline, 0, pipeline.len());
            let found = self.link.traffic().count(asking).await;
            let found = self.take(server, Way::Reads, found)?;
            for (partition, value) in some.iter().zip(found) {
                let value =
                    value.extract_error().map_err(|error| self.failed(server, Way::Reads, &error).into());
                answers.push((*partition, value));
            }
        }
        Ok(answers)
    }

    /// All servers; fails where one is away.
    pub(super) fn all_servers(&self) -> Result<Vec<Server>, StoreError> {
        if self.link.is_whole() { Ok(self.link.servers()) } else { Err(StoreError::Unavailable) }
    }

    /// A server's time.
    pub(super) async fn time_of(&self, server: &Server) -> Result<Timestamp, StoreError> {
        let mut connection = server.connection.clone();
        let time = redis::cmd("TIME");
        let asking = async { connection.req_packed_command(&time).await?.extract_error() };
        let answer = self.link.traffic().count(asking).await;
        time_in(self.take(server, Way::Reads, answer)?)
    }

    /// The partitions that are at an address now.
    pub(super) fn partitions_at(&self, address: &Address) -> Vec<Partition> {
        Partition::all().filter(|partition| self.link.is_at(address, partition.slot())).collect()
    }

    /// Reads how many idempotency keys partitions have; those of all, or of one server.
    pub(super) async fn count_keys(&self) -> Result<(), StoreError> {
        for (partition, value) in self.ask_partitions(ask_keys).await? {
            self.set_keys(partition, &value)?;
        }
        Ok(())
    }

    /// Reads how many idempotency keys partitions of a server have.
    pub(super) async fn count_keys_at(
        &self,
        server: &Server,
        partitions: &[Partition],
    ) -> Result<(), StoreError> {
        for (partition, value) in self.ask_server(server, partitions, ask_keys).await? {
            self.set_keys(partition, &value?)?;
        }
        Ok(())
    }

    fn set_keys(&self, partition: Partition, value: &Value) -> Result<(), StoreError> {
        self.keys.set(partition, u32::try_from(super::answer::number(value)?).unwrap_or(u32::MAX));
        Ok(())
    }
}

/// What a server answers to `TIME`.
pub(super) fn time_in(answer: Value) -> Result<Timestamp, StoreError> {
    let mut answer = Answer::new(answer);
    Ok(Timestamp(answer.number()? * 1_000 + answer.number()? / 1_000))
}

fn ask_keys(names: &str, pipeline: &mut Pipeline) {
    pipeline.cmd("HLEN").arg(format!("{names}keys"));
}
