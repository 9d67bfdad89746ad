//! Asking Redis: a script or a command, its time limit, and what its failures mean.

use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{
    Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value,
};

use crate::redis::{Partition, Server, Way, is_moving};
use crate::store::StoreError;

use super::answer::Answer;
use super::barrier::Written;
use super::limits::{ASKED_AGAIN, ASKED_AGAIN_MOST};
use super::shared::Shared;

/// What a key that is not what it is to be comes to: somebody else has written under the prefix.
const WRONG_TYPE: &str = "what redis holds is damaged: a key is of another type";

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

    /// A call that was taken apart.
    pub(super) fn of_parts(script: &'static Script, command: Cmd) -> Self {
        Self { script, command }
    }

    /// The script and the command.
    pub(super) fn into_parts(self) -> (&'static Script, Cmd) {
        (self.script, self.command)
    }

    /// Asks, and gives the answer's parts.
    pub(super) async fn ask(self, shared: &Shared) -> Result<Answer, StoreError> {
        self.ask_at(shared).await.map(|(answer, _)| answer)
    }

    /// Asks, and gives the answer's parts with who answered.
    pub(super) async fn ask_at(self, shared: &Shared) -> Result<(Answer, Server), StoreError> {
        self.over_its_server(shared, Way::Reads).await.map_err(StoreError::from)
    }

    /// Writes what is to be made durable: gives the answer's parts, and where that is.
    pub(super) async fn write(self, shared: &Shared) -> Result<(Answer, Written), StoreError> {
        let (answer, server) = self.over_its_server(shared, Way::Writes).await?;
        Ok((answer, Written(server)))
    }

    /// Writes, and waits until that is durable; gives the answer's parts.
    pub(super) async fn write_durably(self, shared: &Shared) -> Result<Answer, StoreError> {
        let (answer, written) = self.write(shared).await?;
        shared.make_durable(&written).await?;
        Ok(answer)
    }

    async fn over_its_server(&self, shared: &Shared, way: Way) -> Result<(Answer, Server), Failure> {
        let mut search = Search::begin(shared, &self.command)?;
        loop {
            let answer = self.over(shared, &search.server, way).await;
            if !matches!(answer, Err(Failure::Moving)) || !search.goes_on(shared, &self.command).await {
                return answer.map(|answer| (answer, search.server));
            }
        }
    }

    async fn over(&self, shared: &Shared, server: &Server, way: Way) -> Result<Answer, Failure> {
        let answer = match shared.send_over(server, way, &self.command).await {
            Err(Failure::NoScript) => {
                let loaded = self.script.load_async(&mut server.over(way)).await;
                loaded.map_err(|error| Failure::of(&error))?;
                shared.send_over(server, way, &self.command).await
            }
            answer => answer,
        };
        answer.map(Answer::new)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server does not know the script.
    NoScript,
    /// Its slot is on its way to another server, or there already: it was not carried out.
    Moving,
    /// There is no connection, no answer in time, or the server does not take commands now.
    Away,
    /// The server refused the command itself.
    Refused(String),
}

impl Failure {
    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::NoScript,
            _ if is_moving(error) => Self::Moving,
            // A script's, of a command in it.
            ErrorKind::Server(ServerErrorKind::ResponseError)
                if error.detail().is_some_and(|said| said.contains("WRONGTYPE")) =>
            {
                Self::Refused(WRONG_TYPE.into())
            }
            ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::ExecAbort)
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Client => Self::Refused(error.to_string()),
            ErrorKind::Extension if error.code() == Some("WRONGTYPE") => Self::Refused(WRONG_TYPE.into()),
            _ => Self::Away,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoScript | Failure::Moving | Failure::Away => Self::Unavailable,
            Failure::Refused(text) => Self::Engine(text.into()),
        }
    }
}

/// Looks for the server that has a command's key, for as long as an answer may take, while that is on its way to another one.
struct Search {
    server: Server,
    until: Instant,
    wait: Duration,
}

impl Search {
    fn begin(shared: &Shared, command: &Cmd) -> Result<Self, Failure> {
        let server = shared.server_for(command).map_err(|_| Failure::Away)?;
        Ok(Self { server, until: Instant::now() + shared.options.redis.answer_timeout, wait: ASKED_AGAIN })
    }

    /// The server that was asked does not have it: whether another is to be asked, or the same once more.
    async fn goes_on(&mut self, shared: &Shared, command: &Cmd) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(ASKED_AGAIN_MOST);
        // One that is new in the cluster may not be connected yet: the one before says again that it does not have it.
        if let Ok(server) = shared.server_for(command) {
            self.server = server;
        }
        true
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

    /// Sends one command and waits for its answer.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        self.send_at(command).await.map(|(answer, _)| answer)
    }

    /// Sends one command; gives its answer with who answered.
    pub(super) async fn send_at(&self, command: &Cmd) -> Result<(Value, Server), Failure> {
        let mut search = Search::begin(self, command)?;
        loop {
            let answer = self.send_over(&search.server, Way::Reads, command).await;
            if !matches!(answer, Err(Failure::Moving)) || !search.goes_on(self, command).await {
                return answer.map(|answer| (answer, search.server));
            }
        }
    }

    async fn send_over(&self, server: &Server, way: Way, command: &Cmd) -> Result<Value, Failure> {
        let mut connection = server.over(way);
        let asking = async { connection.req_packed_command(command).await?.extract_error() };
        let answer = self.link.traffic().count(asking).await;
        self.take(server, way, answer)
    }

    /// Sends commands in one piece; gives each one's answer.
    pub(super) async fn send_all(
        &self,
        server: &Server,
        way: Way,
        commands: &Pipeline,
    ) -> Vec<Result<Value, Failure>> {
        if commands.is_empty() {
            return Vec::new();
        }
        let mut connection = server.over(way);
        let asking = connection.req_packed_commands(commands, 0, commands.len());
        let answers = self.link.traffic().count(asking).await;
        let each = |answer: Value| answer.extract_error().map_err(|error| self.failed(server, way, &error));
        match self.take(server, way, answers) {
            Ok(answers) => answers.into_iter().map(each).collect(),
            Err(failure) => vec![Err(failure); commands.len()],
        }
    }

    /// Takes an answer. One of a connection that was replaced meanwhile is none: what was asked for over the other one may
    /// have been done before it.
    pub(super) fn take<T>(&self, server: &Server, way: Way, answer: RedisResult<T>) -> Result<T, Failure> {
        let answer = answer.map_err(|error| self.failed(server, way, &error))?;
        server.answered(way);
        if server.is_replaced() { Err(Failure::Away) } else { Ok(answer) }
    }

    /// What a failure means; where the connection is broken or silent another one is opened.
    pub(super) fn failed(&self, server: &Server, way: Way, error: &RedisError) -> Failure {
        self.link.failed(server, error, way);
        Failure::of(error)
    }
}
