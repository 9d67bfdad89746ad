//! Making conversations. The pair's, or the one that an earlier attempt with the same key made, is looked for before
//! another is made: it may be where the caller would make none now.

use crate::conversations::{Creation, conversation_id};
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::RoomName;
use crate::domain::reply::Reply;
use crate::store::{CommitError, Committed, Condition, Idempotency, refuse, refuse_commit};

use super::{Executor, room_of, steps};

impl Executor {
    pub(super) async fn create(
        &self,
        caller: &Caller,
        key: Option<Idempotency>,
        creation: Creation<'_>,
    ) -> Result<Reply, Refusal> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| ErrorCode::Internal)?;
        let random = u128::from_ne_bytes(random);
        let known_by = key.as_ref().map(|idempotency| &idempotency.key);
        let id = conversation_id(self.store.secret(), caller, creation.peer(), known_by, random);
        let own = creation.place(&self.namespaces).and_then(|rules| Ok(creation.room(rules, id)?));
        let is_known = creation.peer().is_some() || key.is_some();
        let made = if is_known { self.find(caller, &creation, id, own.as_ref().ok()).await? } else { None };
        let room = made.map_or(own, Ok)?;
        let mut outcome = creation.outcome(&room);
        outcome.idempotency = key;
        let reserved = match self.storage.reserve(&*self.store, &outcome).await {
            Ok(reserved) => reserved,
            // What is there already takes no room: it is found, and nothing is made.
            Err(refusal) if is_known => {
                outcome.conditions = vec![Condition::NEVER];
                let committed = steps::commit(&*self.store, outcome).await;
                return found(&creation, room, committed).unwrap_or(Err(refusal));
            }
            Err(refusal) => return Err(refusal),
        };
        let committed = steps::commit(&*self.store, outcome).await;
        if let Some(reserved) = reserved {
            reserved.settle(&committed);
        }
        found(&creation, room, committed).unwrap_or_else(|| Err(ErrorCode::Conflict.into()))
    }

    /// The room with this id in another namespace than that of `own`.
    async fn find(
        &self,
        caller: &Caller,
        creation: &Creation<'_>,
        id: u128,
        own: Option<&RoomName>,
    ) -> Result<Option<RoomName>, Refusal> {
        for rules in creation.places(&self.namespaces) {
            let room = creation.room(rules, id)?;
            if own == Some(&room) {
                continue;
            }
            let stored = self.store.room(&room_of(caller, &room)).await.map_err(refuse)?;
            if stored.is_some_and(|stored| stored.created) {
                return Ok(Some(room));
            }
        }
        Ok(None)
    }
}

/// The answer where the room is there, made now or before; `None` where it is not.
fn found(
    creation: &Creation<'_>,
    room: RoomName,
    committed: Result<Committed, CommitError>,
) -> Option<Result<Reply, Refusal>> {
    match committed {
        Ok(committed) => Some(Ok(creation.created(room, &committed))),
        Err(CommitError::Condition(current)) => creation.found(room, &current).map(Ok),
        Err(error) => Some(Err(refuse_commit(error))),
    }
}
