//! Asking the server that has a key.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, ScriptInvocation};

use super::Inner;
use crate::bus::port::BusError;
use crate::redis::{Way, is_moving};

/// What is asked of a slot that is on its way to another server is asked again after this.
const MOVING_WAIT: Duration = Duration::from_millis(50);

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    Command(&'a Cmd),
    Commands(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
}

impl<'a> From<&'a Cmd> for Question<'a> {
    fn from(command: &'a Cmd) -> Self {
        Self::Command(command)
    }
}

impl<'a> From<&'a Pipeline> for Question<'a> {
    fn from(commands: &'a Pipeline) -> Self {
        Self::Commands(commands)
    }
}

impl<'a> From<&'a ScriptInvocation<'a>> for Question<'a> {
    fn from(script: &'a ScriptInvocation<'a>) -> Self {
        Self::Script(script)
    }
}

impl Question<'_> {
    async fn over<T: FromRedisValue>(self, connection: &mut MultiplexedConnection) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Commands(commands) => commands.query_async(connection).await,
            Self::Script(script) => script.invoke_async(connection).await,
        }
    }
}

impl Inner {
    /// Asks the server that has a key. Where its connection is broken another one is opened. While its slot is on its way to
    /// another server nothing is carried out: it is asked again, for as long as an answer may take.
    pub(super) async fn ask<'a, T: FromRedisValue>(
        &self,
        key: &str,
        question: impl Into<Question<'a>>,
    ) -> Result<T, BusError> {
        let question = question.into();
        let until = Instant::now() + self.link.options().answer_timeout;
        loop {
            let mut server = self.link.server(key.as_bytes()).ok_or(BusError::Unavailable)?;
            let asking = self.link.traffic().count(question.over(&mut server.connection));
            let error = match asking.await {
                Ok(answer) => {
                    server.answered(Way::Reads);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            self.link.failed(&server, &error, Way::Reads);
            if !is_moving(&error) || Instant::now() >= until {
                return Err(BusError::Unavailable);
            }
            tokio::time::sleep(MOVING_WAIT).await;
        }
    }
}
