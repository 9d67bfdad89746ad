//! Outcomes whose home is a user's inbox. The tenant's broadcasts are another home: what the change is about of those is
//! looked up first; one that arrives meanwhile is not in the summary, and is told by itself.

use std::sync::Arc;

use crate::domain::inbox::InboxChange;
use crate::domain::names::{NotificationId, UserId, UserKey};
use crate::domain::position::Tag;
use crate::store::{Change, Outcome, StoreError, Write};

use super::answer::{Answer, damaged};
use super::arguments::{Numbers, begin, groups, push_effects};
use super::broadcasts::{Broadcasts, State};
use super::call::Call;
use super::commit::{Settled, Verdict, take_verdict};
use super::script;
use super::shared::Shared;

/// One that was asked for, with what was looked up before.
pub(super) struct Asked {
    pub(super) outcome: Outcome,
    user: UserKey,
    broadcasts: Arc<Broadcasts>,
}

/// Looks up what one is about; gives the call that commits it.
pub(super) async fn ask(
    shared: &Shared,
    user: UserId,
    outcome: Outcome,
) -> Result<(Call, Asked), StoreError> {
    let user = UserKey { tenant: outcome.tenant.clone(), user };
    let (broadcasts, known_from) =
        futures::try_join!(shared.broadcasts(&user.tenant), shared.known_from(&user))?;
    let asked = Asked { outcome, user, broadcasts };
    let outcome = &asked.outcome;
    let numbers = Numbers::begin(shared, outcome)
        .count(asked.changes().count())
        .count(groups(&outcome.effects).count());
    let mut call = begin(shared, &script::INBOX, outcome, &numbers, &[asked.user.user.as_str()]);
    call.push(&shared.head().to_bytes()[..]);
    asked.broadcasts.push(&mut call, known_from, shared.now());
    for change in asked.changes() {
        push_change(shared, &mut call, (&asked.user, known_from), change).await?;
    }
    push_effects(&mut call, &asked.outcome.effects);
    Ok((call, asked))
}

impl Asked {
    fn changes(&self) -> impl Iterator<Item = &InboxChange> {
        self.outcome.writes.iter().filter_map(inbox_change)
    }

    /// What the answer means.
    pub(super) fn settle(self, shared: &Shared, mut answer: Answer) -> Result<Settled, StoreError> {
        let (mut committed, is_new, waits) = match take_verdict(shared, &self.outcome, &mut answer)? {
            Verdict::Done(done) => (done.committed, true, done.waits),
            Verdict::Before(committed) => (committed, false, 0),
            Verdict::Refused(error) => return Ok(Settled::refused(error)),
            Verdict::Condition => return Err(damaged("a condition that was not asked for")),
        };
        let state = State::take(answer.list()?)?;
        let summary = state.summary(shared.epoch(), &self.broadcasts);
        committed.inbox = self.changes().next().is_some().then_some(summary);
        let mut changes = Vec::new();
        if is_new {
            let mut changed = answer.list()?;
            for change in self.changes() {
                // What changed nothing is nobody's concern.
                if changed.number()? > 0 {
                    changes.push(Change::Inbox { user: self.user.clone(), change: change.clone(), summary });
                }
            }
        }
        Ok(Settled { result: Ok(committed), changes, waits, previous: Tag(0) })
    }
}

fn inbox_change(write: &Write) -> Option<&InboxChange> {
    match write {
        Write::Inbox(change) => Some(change),
        _ => None,
    }
}

async fn push_change(
    shared: &Shared,
    call: &mut Call,
    (user, known_from): (&UserKey, Option<u64>),
    change: &InboxChange,
) -> Result<(), StoreError> {
    let (op, ids) = match change {
        InboxChange::ReadUpTo(position) => {
            call.push("U");
            call.push(position.own.0);
            call.push(position.broadcast.0);
            return Ok(());
        }
        InboxChange::Read(ids) => ("R", ids),
        InboxChange::Delete(ids) => ("D", ids),
    };
    let places = broadcast_places(shared, user, known_from, ids).await?;
    call.push(op);
    call.push(ids.len());
    for id in ids {
        call.push(id.as_str());
    }
    call.push(places.len());
    for place in places {
        call.push(place);
    }
    Ok(())
}

/// The places of those broadcasts among `ids` that are the user's.
async fn broadcast_places(
    shared: &Shared,
    user: &UserKey,
    known_from: Option<u64>,
    ids: &[NotificationId],
) -> Result<Vec<u64>, StoreError> {
    let (Some(known_from), false) = (known_from, ids.is_empty()) else { return Ok(Vec::new()) };
    let mut command = redis::cmd("HMGET");
    command.arg(format!("{}/i", shared.names.tenant(&user.tenant)));
    for id in ids {
        command.arg(id.as_str());
    }
    let found = Answer::new(shared.send(&command).await?).numbers()?;
    Ok(found.into_iter().map(i64::cast_unsigned).filter(|seq| *seq > known_from).collect())
}
