//! Asking Redis: a script or a command, its time limit, and what its failures mean.

use futures::future::try_join_all;
use redis::aio::ConnectionLike;
use redis::{
    Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value,
};

use crate::redis::{Partition, Server};
use crate::store::StoreError;

use super::shared::Shared;

/// A script with its arguments.
pub(super) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    /// A call of `script` in a partition.
    pub(super) fn new(script: &'static Script, shared: &Shared, partition: Partition) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(1).arg(shared.names.partition(partition));
        Self { script, command }
    }

    /// With one more argument.
    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds an argument.
    pub(super) fn push(&mut self, argument: impl ToRedisArgs) {
        self.command.arg(argument);
    }

    /// Asks, and gives the answer's parts.
    pub(super) async fn ask(self, shared: &Shared) -> Result<super::answer::Answer, StoreError> {
        let answer = match shared.send(&self.command).await {
            Err(Failure::NoScript) => {
                self.load(shared).await?;
                shared.send(&self.command).await
            }
            answer => answer,
        };
        answer.map(super::answer::Answer::new).map_err(StoreError::from)
    }

    async fn load(&self, shared: &Shared) -> Result<(), StoreError> {
        let mut server = shared.server_for(&self.command)?;
        let loaded = self.script.load_async(&mut server.connection).await;
        loaded.map(drop).map_err(|error| Failure::of(&error).into())
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server does not know the script.
    NoScript,
    /// There is no connection, no answer in time, or the server does not take commands now.
    Away,
    /// The server refused the command itself.
    Refused(String),
}

impl Failure {
    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::NoScript,
            ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::ExecAbort)
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Client => Self::Refused(error.to_string()),
            ErrorKind::Extension if error.code() == Some("WRONGTYPE") => Self::Refused(error.to_string()),
            _ => Self::Away,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoScript | Failure::Away => Self::Unavailable,
            Failure::Refused(text) => Self::Engine(text.into()),
        }
    }
}

impl Shared {
    /// The server that has a command's key: its first argument, a script's third.
    fn server_for(&self, command: &Cmd) -> Result<Server, StoreError> {
        let mut arguments = command.args_iter().filter_map(|argument| match argument {
            Arg::Simple(bytes) => Some(bytes),
            _ => None,
        });
        let key = match arguments.next() {
            Some(b"EVALSHA") => arguments.nth(2),
            _ => arguments.next(),
        };
        self.link.server(key.unwrap_or_default()).ok_or(StoreError::Unavailable)
    }

    /// Sends one command and waits for its answer. Where its key has moved it was not carried out: who asked asks again.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut server = self.server_for(command).map_err(|_| Failure::Away)?;
        let asking = async { server.connection.req_packed_command(command).await?.extract_error() };
        let answer = self.link.traffic().count(asking).await;
        self.take(&server, answer)
    }

    /// Sends commands, in one piece where there is one server; each answer is there.
    pub(super) async fn send_all(&self, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        if self.options.redis.cluster {
            let asked = commands.cmd_iter().map(|command| self.send(command));
            return Ok(try_join_all(asked).await?);
        }
        let mut server = self.link.server(b"").ok_or(StoreError::Unavailable)?;
        let asking = async {
            let answers = server.connection.req_packed_commands(commands, 0, commands.len()).await?;
            answers.into_iter().map(Value::extract_error).collect()
        };
        let answers: RedisResult<Vec<_>> = self.link.traffic().count(asking).await;
        Ok(self.take(&server, answers)?)
    }

    /// Takes an answer. One of a connection that was replaced meanwhile is none: what was asked for over the other one may
    /// have been done before it.
    fn take<T>(&self, server: &Server, answer: RedisResult<T>) -> Result<T, Failure> {
        let answer = answer.map_err(|error| self.failed(server, &error))?;
        server.answered();
        if server.is_replaced() { Err(Failure::Away) } else { Ok(answer) }
    }

    /// What a failure means; where the connection is broken another one is opened.
    fn failed(&self, server: &Server, error: &RedisError) -> Failure {
        if error.is_unrecoverable_error() || error.is_connection_dropped() {
            self.link.lost(server);
        } else if error.is_timeout() {
            self.link.silent(server);
        } else {
            server.answered();
        }
        if matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask)) {
            self.link.moved();
        }
        Failure::of(error)
    }
}
