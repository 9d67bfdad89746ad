//! The executor: from a parsed command to its answer. It looks up what `access` decides on, lets the area decide, and
//! commits what was decided; when the home refuses a condition it decides again on what the home said.
//!
//! Memberships are remembered, so that a send reads nothing before it commits. The memory is only a hint: the
//! membership's version is a condition of the commit. Reads, joins and presence ask the store.

mod alone;
mod asking;
mod creating;
mod known;
mod planned;
mod retries;
mod steps;
mod turn;

use std::sync::Arc;

use crate::access::authorizer::Gate;
use crate::access::rules::{Capability, Permit};
use crate::access::storage::StorageLimit;
use crate::conversations::{self, Case, Creation, Decision, Facts};
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::inbox::InboxChange;
use crate::domain::limits;
use crate::domain::names::{RoomKey, RoomName};
use crate::domain::namespace::{NamespaceRules, Namespaces};
use crate::domain::position::Seq;
use crate::domain::reply::Reply;
use crate::domain::time::Timestamp;
use crate::events::{self, EphemeralEvent, Publication};
use crate::inbox;
use crate::session::locks::Locks;
use crate::store::{Change, CommitError, Committed, Idempotency, Outcome, Store, refuse, refuse_commit};

use alone::Alone;
use known::{Known, Standing};
use planned::Planned;
pub use turn::Turn;

/// A command's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the caller is told.
    pub reply: Reply,
    /// What is to be delivered now, as nothing was committed that would deliver it.
    pub ephemeral: Option<EphemeralEvent>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, ephemeral: None }
    }
}

/// Executes commands that need no session. Shared by all sessions and by the unary services.
pub struct Executor {
    store: Arc<dyn Store>,
    namespaces: Arc<Namespaces>,
    gate: Gate,
    storage: Arc<StorageLimit>,
    known: Known,
    /// Rooms whose metadata is being changed: of those that change it on this node none refuses another.
    updates: Locks<RoomKey>,
}

/// Who asks for what in which room, as the loop of decisions carries it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    caller: &'a Caller,
    room: &'a RoomKey,
    rules: &'a NamespaceRules,
    capability: Capability,
    now: Timestamp,
}

impl Executor {
    /// An executor over `store` and the configured namespaces; `gate` leads to the authoriser, and `storage` says how much
    /// a tenant's rooms may hold.
    pub fn new(
        store: Arc<dyn Store>,
        namespaces: Arc<Namespaces>,
        gate: Gate,
        storage: Arc<StorageLimit>,
    ) -> Self {
        Self { store, namespaces, gate, storage, known: Known::new(), updates: Locks::default() }
    }

    /// Executes a command for `caller`. `idempotency` makes a retry give the first attempt's result, also where the
    /// command would be refused by now; commands that are their own retry (marks, the inbox, reads) pass it over, and
    /// ephemeral events, which [`Services::publish`](super::Services::publish) looks at.
    ///
    /// Waits for the store without a limit of its own: the session has one. [`Stateless::PresenceGet`] is only
    /// permitted here, with [`Reply::Done`]: who is present is answered by presence.
    pub async fn execute(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Stateless,
        now: Timestamp,
        turn: Turn,
    ) -> Result<Answer, Refusal> {
        match &command {
            Stateless::History { .. }
            | Stateless::Rooms { .. }
            | Stateless::Members { .. }
            | Stateless::Notifications { .. }
            | Stateless::PresenceGet { .. } => self.read(caller, &command).await.map(Answer::from),
            Stateless::ConversationCreate { members, metadata, direct } => {
                let creation = Creation::check(caller, members, metadata, *direct)?;
                self.create(caller, idempotency, creation).await.map(Answer::from)
            }
            Stateless::Inbox(change) => self.change_inbox(caller, change).await.map(Answer::from),
            _ => {
                let (Some(room), Some(capability)) = (command.room(), Capability::of(&command, caller))
                else {
                    return Err(ErrorCode::Internal.into());
                };
                let room = room_of(caller, room);
                let asked = self.asked(caller, &room, capability, now)?;
                self.change(asked, idempotency.filter(|_| retries::is_keyed(asked)), &command, turn).await
            }
        }
    }

    /// Whether `caller` may do this in `room`, by what the store says now.
    pub async fn authorise(
        &self,
        caller: &Caller,
        room: &RoomName,
        capability: Capability,
    ) -> Result<Permit, Refusal> {
        let room = room_of(caller, room);
        let asked = self.asked(caller, &room, capability, Timestamp::default())?;
        let member = self.store.member(&room, &caller.user).await.map_err(refuse)?;
        let created = self.known.created(&*self.store, asked).await?;
        let standing = Standing { member, created, remembered: false };
        self.judge(asked, &standing, &mut None).await
    }

    /// Forgets what a commit made untrue. Call it for each change in commit order, before the commit is acknowledged.
    pub fn invalidate(&self, change: &Change) {
        self.known.invalidate(change);
    }

    fn asked<'a>(
        &'a self,
        caller: &'a Caller,
        room: &'a RoomKey,
        capability: Capability,
        now: Timestamp,
    ) -> Result<Asked<'a>, Refusal> {
        let rules = self.namespaces.rules(&room.room).ok_or(ErrorCode::AccessDenied)?;
        Ok(Asked { caller, room, rules, capability, now })
    }

    async fn read(&self, caller: &Caller, command: &Stateless) -> Result<Reply, Refusal> {
        let store = &*self.store;
        match command {
            Stateless::History { room, bound, limit } => {
                let permit = self.authorise(caller, room, Capability::ReadHistory).await?;
                let rules = self.namespaces.rules(room).ok_or(ErrorCode::AccessDenied)?;
                let key = room_of(caller, room);
                let page = conversations::pages::history(store, &permit, rules, &key, *bound, *limit).await?;
                // A removal between the two reads: what was said after it is not for them.
                let still = self.authorise(caller, room, Capability::ReadHistory).await?;
                let same =
                    still.member.as_ref().map(|m| m.joined) == permit.member.as_ref().map(|m| m.joined);
                if same { Ok(page) } else { Err(ErrorCode::Conflict.into()) }
            }
            Stateless::Rooms { cursor, limit, unread_only } => {
                conversations::pages::rooms(store, &self.namespaces, caller, cursor, *limit, *unread_only)
                    .await
            }
            Stateless::Members { room, cursor, limit } => {
                self.authorise(caller, room, Capability::ListMembers).await?;
                let room = room_of(caller, room);
                conversations::pages::members(store, caller, &room, cursor, *limit).await
            }
            Stateless::Notifications { cursor, filter, limit } => {
                inbox::page(store, caller, cursor, filter, *limit).await
            }
            Stateless::PresenceGet { room, .. } => {
                self.authorise(caller, room, Capability::SeePresence).await?;
                Ok(Reply::Done)
            }
            _ => Err(ErrorCode::Internal.into()),
        }
    }

    /// Decides on a change of a room, and commits it where it is durable.
    async fn change(
        &self,
        asked: Asked<'_>,
        key: Option<Idempotency>,
        command: &Stateless,
        turn: Turn,
    ) -> Result<Answer, Refusal> {
        let undone = match self.decide(asked, key.as_ref(), command, turn).await {
            Ok(committed) => return Ok(reply(asked, command, &committed).into()),
            Err(Undone::Failed(refusal)) => return Err(refusal),
            Err(Undone::Needless(answer)) => Ok(*answer),
            Err(Undone::Refused(refusal)) => Err(refusal),
        };
        // A retry is answered as its first attempt was, though by now it may be refused or have nothing to do.
        match self.earlier(asked, key).await? {
            Some(committed) => Ok(reply(asked, command, &committed).into()),
            None => undone,
        }
    }

    /// Decides and commits, and where the home refuses a condition decides again, a few times at most: after what the same session
    /// sent before it for the room, so that its commands keep their order there.
    async fn decide(
        &self,
        asked: Asked<'_>,
        key: Option<&Idempotency>,
        command: &Stateless,
        mut turn: Turn,
    ) -> Result<Committed, Undone> {
        let store = &*self.store;
        if Facts::are_of_changes(command) {
            turn.comes_first().await;
        }
        let mut alone = Alone::of(command);
        let mut standing = self.known.standing(store, asked).await?;
        let (mut answer, mut head, mut refused) = (turn.asked.take(), None, None);
        let mut decisions = 0;
        while decisions < limits::DECISIONS {
            let permit = self.judge(asked, &standing, &mut answer).await;
            if permit.is_ok() && alone.waits(&self.updates, asked.room).await {
                standing = self.known.standing(store, asked).await?;
                continue;
            }
            let decided = match permit {
                Ok(permit) => self.plan(asked, &permit, head, command, key.is_some()).await,
                Err(refusal) => Err(refusal.into()),
            };
            let planned = match decided {
                Ok(planned) => planned,
                // What is only remembered refuses nobody.
                Err(Undone::Refused(_)) if standing.remembered => {
                    standing = self.known.read(store, asked).await?;
                    continue;
                }
                Err(undone) => return Err(undone),
            };
            // What the home refused it would refuse again.
            if refused.as_ref() == Some(&planned.outcome.conditions) {
                planned.give_up();
                break;
            }
            let stands = turn::standing(&planned.outcome);
            if !turn.goes_with(stands) {
                planned.give_up();
                turn.waits_to_go_with(stands).await;
                standing = self.known.standing(store, asked).await?;
                continue;
            }
            decisions += 1;
            let conditions = planned.outcome.conditions.clone();
            // What was decided on members or metadata is refused by itself, and then those after it must not have gone before.
            let goes_along = (!Facts::are_of_changes(command)).then_some(stands);
            match planned.commit(store, key, || turn.is_queued(goes_along)).await {
                Ok(committed) => return Ok(committed),
                Err(CommitError::Condition(current)) => {
                    standing = self.known.observed(asked, &current, standing.created);
                    head = Some(current.room.map_or(Seq(0), |room| room.head.seq));
                    refused = Some(conditions);
                    if turn.decides_again().await {
                        standing = self.known.read(store, asked).await?;
                    }
                }
                Err(error) => return Err(Undone::Failed(refuse_commit(error))),
            }
        }
        Err(Undone::Refused(ErrorCode::Conflict.into()))
    }

    /// Lets the command's area decide, and sets aside what it adds to the tenant's storage.
    async fn plan(
        &self,
        asked: Asked<'_>,
        permit: &Permit,
        head: Option<Seq>,
        command: &Stateless,
        keyed: bool,
    ) -> Result<Planned<'_>, Undone> {
        let facts = Facts::load(&*self.store, asked.room, command).await.map_err(refuse)?;
        let (outcome, needless) = plan(asked, permit, &facts.with_head(head), command)?.committable(keyed)?;
        let reserved = self.storage.reserve(&*self.store, &outcome).await?;
        Ok(Planned { outcome, needless, reserved })
    }

    async fn change_inbox(&self, caller: &Caller, change: &InboxChange) -> Result<Reply, Refusal> {
        let head = if inbox::needs_head(change) {
            Some(self.store.inbox_summary(&caller.key()).await.map_err(refuse)?.head)
        } else {
            None
        };
        let outcome = inbox::change(caller, change, head)?;
        steps::commit(&*self.store, outcome).await.map_err(refuse_commit)?;
        Ok(Reply::Done)
    }
}

/// What an area decided.
enum Plan {
    Commit(Outcome),
    /// It is so already, as the outcome says at the home.
    Already(Outcome, Answer),
    Answer(Answer),
}

impl Plan {
    /// What is to be committed, and whether it changes nothing. That it is so already is committed under a key alone: a
    /// late retry must not do then what had no need to be done.
    fn committable(self, keyed: bool) -> Result<(Outcome, bool), Undone> {
        match self {
            Self::Commit(outcome) => Ok((outcome, false)),
            Self::Already(outcome, _) if keyed => Ok((outcome, true)),
            Self::Already(_, answer) | Self::Answer(answer) => Err(Undone::Needless(Box::new(answer))),
        }
    }
}

/// Why nothing was committed.
enum Undone {
    /// It is so already, or nothing is kept of it.
    Needless(Box<Answer>),
    /// It may not be, or not as things stand.
    Refused(Refusal),
    /// The store could not, or not under this key.
    Failed(Refusal),
}

impl From<Refusal> for Undone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Lets the command's area decide.
fn plan(asked: Asked<'_>, permit: &Permit, facts: &Facts, command: &Stateless) -> Result<Plan, Refusal> {
    let Asked { caller, rules, now, .. } = asked;
    let room = &asked.room.room;
    if let Stateless::EventPublish { event, exclude_self, .. } = command {
        return Ok(match events::publish(caller, room, rules, permit, event, *exclude_self, now)? {
            Publication::Durable(outcome) => Plan::Commit(outcome),
            Publication::Ephemeral(event) => {
                Plan::Answer(Answer { reply: Reply::Done, ephemeral: Some(event) })
            }
        });
    }
    let case = Case { caller, room, rules, permit, facts, now };
    Ok(match conversations::decide(&case, command)? {
        Decision::Commit(outcome) => Plan::Commit(outcome),
        Decision::Already(outcome, reply) => Plan::Already(outcome, reply.into()),
    })
}

fn reply(asked: Asked<'_>, command: &Stateless, committed: &Committed) -> Reply {
    match command {
        Stateless::EventPublish { .. } => events::reply(committed),
        _ => conversations::reply(asked.caller, &asked.room.room, command, committed),
    }
}

fn room_of(caller: &Caller, room: &RoomName) -> RoomKey {
    RoomKey { tenant: caller.tenant.clone(), room: room.clone() }
}
