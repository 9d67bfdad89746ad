//! Outcomes whose home is a user's inbox. The tenant's broadcasts are another home: what the change is about of those is
//! looked up first; one that arrives meanwhile is not in the summary, and is told by itself.

use crate::domain::inbox::InboxChange;
use crate::domain::names::{NotificationId, UserId, UserKey};
use crate::domain::position::Tag;
use crate::store::{Change, CommitError, Outcome, StoreError, Write};

use super::barrier::Written;
use super::broadcasts::State;
use super::call::Call;
use super::commit::{Settled, Verdict, begin, push_effects, push_key, take_verdict, take_waits};
use super::script;
use super::shared::Shared;

/// Commits one.
pub(super) async fn commit(
    shared: &Shared,
    user: UserId,
    outcome: Outcome,
) -> Result<(Settled, Written), StoreError> {
    let user = UserKey { tenant: outcome.tenant.clone(), user };
    let (broadcasts, known_from, before) = futures::try_join!(
        shared.broadcasts(&user.tenant),
        shared.known_from(&user),
        shared.inbox_state(&user)
    )?;
    let mut call = begin(shared, &script::INBOX, &outcome, Some(user.user.as_str()));
    push_key(&mut call, shared, &outcome);
    call.push(&shared.head().to_bytes()[..]);
    call.push(broadcasts.head);
    call.push(known_from.map_or(-1, u64::cast_signed));
    call.push(broadcasts.oldest);
    let (places, are_all) = broadcasts.after(before.read.max(known_from.unwrap_or(0)));
    call.push(u8::from(are_all));
    call.push(places.len());
    for place in places {
        call.push(place);
    }
    let changes: Vec<&InboxChange> = outcome.writes.iter().filter_map(inbox_change).collect();
    call.push(changes.len());
    for change in &changes {
        push_change(shared, &mut call, (&user, known_from), change).await?;
    }
    push_effects(&mut call, &outcome.effects);
    let (mut answer, written) = call.write(shared).await?;
    let now = shared.now();
    let (mut committed, is_new) = match take_verdict(shared, &mut answer)? {
        Verdict::Done(committed) => (committed, true),
        Verdict::Before(committed) => (committed, false),
        Verdict::Refused(error) => return Ok((Settled::refused(error), written)),
        Verdict::Condition => return Err(super::answer::damaged("a condition that was not asked for")),
    };
    let waits = if is_new { take_waits(shared, &outcome, &mut answer)? } else { 0 };
    let state = State::take(answer.list()?)?;
    let summary = state.summary(shared.epoch(), &broadcasts, known_from, now);
    committed.inbox = (!changes.is_empty()).then_some(summary);
    let mut told = Vec::new();
    if is_new {
        let mut changed = answer.list()?;
        for change in changes {
            // What changed nothing is nobody's concern.
            if changed.number()? > 0 {
                told.push(Change::Inbox { user: user.clone(), change: change.clone(), summary });
            }
        }
    }
    let settled = Settled { result: Ok::<_, CommitError>(committed), changes: told, waits, previous: Tag(0) };
    Ok((settled, written))
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
    let found = super::answer::Answer::new(shared.send(&command).await?).numbers()?;
    Ok(found.into_iter().map(i64::cast_unsigned).filter(|seq| *seq > known_from).collect())
}
