//! Asking Redis: a script or a command, its time limit, and what its failures mean.

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, Script, ServerErrorKind, ToRedisArgs, Value};

use crate::redis::{Connection, Partition};
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
        let (_, mut connection) = shared.link.connection().ok_or(StoreError::Unavailable)?;
        let loaded = self.script.load_async(&mut connection).await;
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
    /// Sends one command and waits for its answer.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        let (number, mut connection) = self.link.connection().ok_or(Failure::Away)?;
        let answer = connection.req_packed_command(command).await;
        answer.and_then(Value::extract_error).map_err(|error| self.failed(number, &error))
    }

    /// Sends commands in one piece; each answer is there.
    pub(super) async fn send_all(&self, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let (number, mut connection) = self.link.connection().ok_or(StoreError::Unavailable)?;
        let count = commands.len();
        let answers = match &mut connection {
            Connection::Single(connection) => connection.req_packed_commands(commands, 0, count).await,
            Connection::Cluster(connection) => connection.req_packed_commands(commands, 0, count).await,
        };
        let answers = answers.and_then(|answers| answers.into_iter().map(Value::extract_error).collect());
        answers.map_err(|error| self.failed(number, &error).into())
    }

    /// What a failure means; where the connection is broken another one is opened.
    fn failed(&self, number: u64, error: &RedisError) -> Failure {
        if error.is_unrecoverable_error() || error.is_connection_dropped() {
            self.link.lost(number);
        }
        Failure::of(error)
    }
}
