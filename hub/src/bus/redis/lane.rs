//! One server's connection: what is to be sent over it goes in batches, one at a time, and what waits meanwhile is the
//! next one.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use rustc_hash::FxHashSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use super::connection::{self, Open};
use super::state::{Batch, Channel, Outgoing};
use crate::bus::port::BusError;
use crate::domain::time::jittered;
use crate::redis::Partition;
use crate::redis::slots::{Address, slot_of};

/// A connection that ended is opened again after this long at most, where the server can be reached.
const LONGEST_GAP: Duration = Duration::from_millis(500);

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// It ended, or brought more than could be taken.
    #[error("the connection has ended")]
    Closed,
    /// A command failed. Servers' texts may name keys, and so are left out.
    #[error("{0}")]
    Failed(&'static str),
}

impl From<&RedisError> for Ended {
    fn from(error: &RedisError) -> Self {
        Self::Failed(match error.kind() {
            redis::ErrorKind::Server(ServerErrorKind::NoPerm) => "not permitted",
            redis::ErrorKind::Server(_) => "refused by the server",
            _ if error.is_timeout() => "no answer in time",
            _ => "the connection failed",
        })
    }
}

/// Keeps the connection to `server`. Ends when it is dropped.
pub(super) async fn keep(shared: Arc<Shared>, server: Address) {
    let mut wait = shared.options.redis.back_off;
    loop {
        match connection::open(&shared, &server).await {
            Ok(open) => {
                let began = Instant::now();
                let ended =
                    Lane { shared: &shared, server: &server, heard: FxHashSet::default() }.serve(open).await;
                shared.state.lock().disconnected(&server);
                tracing::warn!(server = ?server, reason = %ended, "the bus lost a connection");
                let is_lasting = began.elapsed() > wait;
                wait = match ended {
                    _ if is_lasting => shared.options.redis.back_off,
                    // The server is there: what is said meanwhile is late by no more than this.
                    Ended::Closed => wait.min(LONGEST_GAP),
                    Ended::Failed(_) => wait,
                };
            }
            Err(error) => {
                shared.state.lock().unreachable(&server);
                tracing::warn!(server = ?server, reason = %Ended::from(&error), "the bus cannot reach a server");
            }
        }
        shared.moved.notify_one();
        sleep(jittered(wait)).await;
        wait = (wait * 2).min(shared.options.redis.back_off_most);
    }
}

struct Lane<'a> {
    shared: &'a Arc<Shared>,
    server: &'a Address,
    /// What the server has confirmed on this connection.
    heard: FxHashSet<Channel>,
}

impl Lane<'_> {
    async fn serve(mut self, open: Open) -> Ended {
        let work = self.shared.state.lock().work(self.server);
        let Open { connection, number, ended } = open;
        tokio::select! {
            // First, so that what is sent last does not hide why.
            biased;
            () = ended.notified() => Ended::Closed,
            failed = async {
                let mut connection = connection;
                let heartbeat = self.shared.options.heartbeat;
                loop {
                    let idle = sleep_until(Instant::now() + heartbeat);
                    let result = tokio::select! {
                        () = work.notified() => self.send_all(&mut connection, number).await,
                        () = idle => self.ask(&mut connection).await,
                    };
                    if let Err(ended) = result {
                        return ended;
                    }
                }
            } => failed,
        }
    }

    /// Sends what waits until nothing does.
    async fn send_all(&mut self, connection: &mut impl ConnectionLike, number: u64) -> Result<(), Ended> {
        loop {
            let batch = self.shared.state.lock().take(self.server);
            if batch.is_empty() {
                return Ok(());
            }
            self.send(connection, number, batch).await?;
        }
    }

    async fn send(
        &mut self,
        connection: &mut impl ConnectionLike,
        number: u64,
        batch: Batch,
    ) -> Result<(), Ended> {
        let mut commands = Pipeline::new();
        let mut channels = Vec::with_capacity(batch.channels.len());
        for (channel, wanted) in batch.channels {
            if self.heard.contains(&channel) == wanted {
                if wanted {
                    self.shared.state.lock().heard(self.server, number, &channel);
                }
                continue;
            }
            // One command for each: a server refuses what it does not have, and no others.
            commands.cmd(self.command(wanted)).arg(&channel[..]);
            channels.push((channel, wanted));
        }
        for Outgoing { channel, message, .. } in &batch.outgoing {
            let command = if self.shared.options.sharded { "SPUBLISH" } else { "PUBLISH" };
            commands.cmd(command).arg(&channel[..]).arg(&message[..]);
        }
        if commands.is_empty() {
            return Ok(());
        }
        let count = commands.len();
        let asking = connection.req_packed_commands(commands.ignore_errors(), 0, count);
        let answers = self.shared.link.traffic().count(asking).await;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => return Err(Ended::from(&error)),
        };
        let mut answers = answers.into_iter().map(Value::extract_error);
        let mut ended = Ok(());
        for ((channel, wanted), answer) in channels.into_iter().zip(answers.by_ref()) {
            match self.judge(answer) {
                Ok(true) if wanted => _ = self.heard.insert(channel),
                Ok(true) => _ = self.heard.remove(&channel),
                Ok(false) => {}
                Err(error) => ended = Err(error),
            }
        }
        self.shared.state.lock().count_published(&batch.outgoing);
        for (outgoing, answer) in batch.outgoing.into_iter().zip(answers) {
            let done = match self.judge(answer) {
                Ok(true) => Ok(()),
                Ok(false) => Err(BusError::Unavailable),
                Err(error) => {
                    ended = Err(error);
                    Err(BusError::Unavailable)
                }
            };
            outgoing.end(done);
        }
        ended
    }

    fn command(&self, subscribes: bool) -> &'static str {
        match (self.shared.options.sharded, subscribes) {
            (true, true) => "SSUBSCRIBE",
            (true, false) => "SUNSUBSCRIBE",
            (false, true) => "SUBSCRIBE",
            (false, false) => "UNSUBSCRIBE",
        }
    }

    /// Whether a command was done. Where the server does not have the slot the cluster is looked at again; any other
    /// refusal ends the connection.
    fn judge(&self, answer: RedisResult<Value>) -> Result<bool, Ended> {
        let Err(error) = answer else { return Ok(true) };
        match error.kind() {
            redis::ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => {
                self.shared.moved.notify_one();
                Ok(false)
            }
            _ => Err(Ended::from(&error)),
        }
    }

    /// Asks whether the server is there; in a cluster, whether it still takes what is published to its slots.
    async fn ask(&self, connection: &mut impl ConnectionLike) -> Result<(), Ended> {
        let command = match self.shared.options.sharded.then(|| self.own_channel()).flatten() {
            Some(channel) => Cmd::new().arg("SPUBLISH").arg(channel).arg("").to_owned(),
            None => redis::cmd("PING"),
        };
        let asking = async { connection.req_packed_command(&command).await?.extract_error() };
        let answer = self.shared.link.traffic().count(asking).await;
        self.judge(answer).map(|_| ())
    }

    /// A channel of one of the server's slots that nobody listens to.
    fn own_channel(&self) -> Option<String> {
        let state = self.shared.state.lock();
        let of_server = |name: &String| state.topology().owner(slot_of(name.as_bytes())) == Some(self.server);
        Partition::all().map(|partition| self.shared.names.partition(partition) + "beat").find(of_server)
    }
}
