//! What an earlier attempt gave: a retry is answered with it, though by now the same would be refused.

use crate::access::rules::Capability;
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::Refusal;
use crate::domain::time::Timestamp;
use crate::store::{CommitError, Committed, Condition, Home, Idempotency, Outcome, refuse_commit};

use super::{Answer, Asked, Executor, reply, room_of};

impl Executor {
    /// The answer to a retry of what was done before, where it is kept what became of it. For a command that is not
    /// carried out now, whatever the reason.
    pub async fn done_before(
        &self,
        caller: &Caller,
        key: Option<Idempotency>,
        command: &Stateless,
    ) -> Result<Option<Answer>, Refusal> {
        let (Some(room), Some(capability)) = (command.room(), Capability::of(command, caller)) else {
            return Ok(None);
        };
        let room = room_of(caller, room);
        let asked = self.asked(caller, &room, capability, Timestamp::default())?;
        let earlier = self.earlier(asked, key.filter(|_| is_keyed(asked))).await?;
        Ok(earlier.map(|committed| reply(asked, command, &committed).into()))
    }

    /// What an earlier attempt with this key gave, if there was one.
    pub(super) async fn earlier(
        &self,
        asked: Asked<'_>,
        key: Option<Idempotency>,
    ) -> Result<Option<Committed>, Refusal> {
        let Some(key) = key else { return Ok(None) };
        let outcome = Outcome {
            tenant: asked.room.tenant.clone(),
            home: Home::Room(asked.room.room.clone()),
            actor: asked.caller.user.clone(),
            by_service: asked.caller.service,
            idempotency: Some(key),
            conditions: vec![Condition::NEVER],
            writes: Vec::new(),
            effects: Vec::new(),
        };
        match self.store.commit(outcome).await {
            Ok(committed) => Ok(Some(committed)),
            Err(CommitError::Condition(_) | CommitError::TooManyKeys) => Ok(None),
            Err(error) => Err(refuse_commit(error)),
        }
    }
}

/// Whether a retry finds its first attempt. Marks are their own retry, and what is not kept cannot be found again.
pub(super) fn is_keyed(asked: Asked<'_>) -> bool {
    asked.capability != Capability::Mark && asked.rules.durable
}
