//! An outcome as a script's arguments, and what its answer means.

use std::sync::Arc;

use crate::domain::entry::{Entry, EntryBody};
use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::limits::{
    IDEMPOTENCY_WINDOW, IDEMPOTENCY_WINDOW_FLOOR, REACTIONS_PER_MESSAGE, STATE_BYTES, STATE_KEYS,
};
use crate::domain::marks::Marks;
use crate::domain::names::{RoomKey, RoomName};
use crate::domain::position::{Position, Seq, Tag};
use crate::domain::time::Timestamp;
use crate::redis::{notice, record};
use crate::store::{Change, CommitError, Committed, Condition, Effect, Outcome, StoreError, Write};

use super::answer::Answer;
use super::call::Call;
use super::idempotency;
use super::random;
use super::script;
use super::shared::{Shared, partition_of};
use super::state;

/// What an outcome came to.
pub(super) struct Settled {
    /// What its caller is told.
    pub(super) result: Result<Committed, CommitError>,
    /// What everybody is told first.
    pub(super) changes: Vec<Change>,
    /// The number of its last effects in the outbox; 0 where there are none.
    pub(super) waits: u64,
    /// The tag of the entry before the first one that it appended.
    pub(super) previous: Tag,
}

impl Settled {
    /// Nothing was written.
    pub(super) fn refused(error: CommitError) -> Self {
        Self { result: Err(error), changes: Vec::new(), waits: 0, previous: Tag(0) }
    }
}

impl From<StoreError> for Settled {
    fn from(error: StoreError) -> Self {
        Self::refused(error.into())
    }
}

/// The tags of the entries that an outcome appends, in order.
type Tags = Vec<Tag>;

/// The call that begins with what all homes' calls begin with.
pub(super) fn begin(
    shared: &Shared,
    script: &'static redis::Script,
    outcome: &Outcome,
    home: Option<&str>,
) -> Call {
    let partition = partition_of(&outcome.tenant, &outcome.home);
    let mut call =
        Call::new(script, shared, partition).arg(shared.now().millis()).arg(outcome.tenant.as_str());
    if let Some(home) = home {
        call.push(home);
    }
    call
}

/// Adds the arguments that idempotency takes.
pub(super) fn push_key(call: &mut Call, shared: &Shared, outcome: &Outcome) {
    let fingerprint = outcome.idempotency.as_ref().map_or(0, |idempotency| idempotency.fingerprint);
    call.push(idempotency::hash(shared.secret, outcome));
    call.push(&fingerprint.to_le_bytes()[..]);
    call.push(shared.keys.limit(partition_of(&outcome.tenant, &outcome.home)));
    call.push(IDEMPOTENCY_WINDOW.as_millis() as u64);
    call.push(IDEMPOTENCY_WINDOW_FLOOR.as_millis() as u64);
}

/// Adds what an outcome causes at other homes: one notice after the other, each with whom it is for.
pub(super) fn push_effects(call: &mut Call, effects: &[Effect]) {
    let same = |one: &Effect, other: &Effect| {
        let (Effect::Notify { notice: one, .. }, Effect::Notify { notice: other, .. }) = (one, other);
        Arc::ptr_eq(one, other)
    };
    let groups: Vec<_> = effects.chunk_by(same).collect();
    call.push(groups.len());
    for group in groups {
        let Some(Effect::Notify { notice, .. }) = group.first() else { continue };
        call.push(notice::encode(notice));
        call.push(group.len());
        for Effect::Notify { user, .. } in group {
            call.push(user.as_str());
        }
    }
}

/// A room's outcome as a call, and the tags that its entries get.
pub(super) fn room(shared: &Shared, room: &RoomName, outcome: &Outcome) -> (Call, Tags) {
    let mut call = begin(shared, &script::ROOM, outcome, Some(room.as_str())).arg(outcome.actor.as_str());
    push_key(&mut call, shared, outcome);
    call.push(shared.scripts_publish_with());
    call.push(&shared.head().to_bytes()[..]);
    let rules = shared.rules(room);
    let age = rules.and_then(|rules| rules.retention_age).map_or(0, |age| age.as_millis() as u64);
    call.push(rules.and_then(|rules| rules.retention_count).unwrap_or(0));
    call.push(age);
    call.push(u8::from(rules.is_some_and(|rules| rules.latest_per_key)));
    call.push(u8::from(rules.is_none_or(|rules| rules.history_before_join)));
    call.push(STATE_KEYS);
    call.push(STATE_BYTES);
    call.push(REACTIONS_PER_MESSAGE);
    call.push(outcome.conditions.len());
    for condition in &outcome.conditions {
        push_condition(&mut call, condition);
    }
    let mut tags = Vec::new();
    call.push(outcome.writes.len());
    for write in &outcome.writes {
        push_write(&mut call, write, &mut tags);
    }
    push_effects(&mut call, &outcome.effects);
    (call, tags)
}

fn push_condition(call: &mut Call, condition: &Condition) {
    match condition {
        Condition::RoomNotCreated => call.push("N"),
        Condition::RoomVersion(version) => {
            call.push("V");
            call.push(version.0);
        }
        Condition::Member { user, version } => {
            call.push("M");
            call.push(user.as_str());
            call.push(version.0);
        }
        Condition::NotMember(user) => {
            call.push("n");
            call.push(user.as_str());
        }
        Condition::MembersBelow(most) => {
            call.push("B");
            call.push(*most);
        }
        Condition::OtherOwner(user) => {
            call.push("O");
            call.push(user.as_str());
        }
        Condition::Message { seq, sender, version } => {
            call.push("G");
            call.push(seq.0);
            call.push(sender.as_ref().map_or("", |sender| sender.as_str()));
            call.push(version.map_or(-1, i64::from));
        }
        Condition::HeadAtLeast(seq) => {
            call.push("H");
            call.push(seq.0);
        }
    }
}

fn push_write(call: &mut Call, write: &Write, tags: &mut Tags) {
    match write {
        Write::Append(body) => {
            let tag = random::tag();
            tags.push(tag);
            call.push("A");
            call.push(record::kind(body) as u8);
            call.push(tag.0);
            call.push(record::encode_body(body));
        }
        Write::Create { direct } => {
            call.push("C");
            call.push(u8::from(*direct));
        }
        Write::Marks { delivered, read } => {
            call.push("M");
            call.push(delivered.0);
            call.push(read.0);
        }
        Write::Already(seq) => {
            call.push("Y");
            call.push(seq.0);
        }
        // `is_well_formed` keeps those away: they count as nothing.
        Write::Inbox(_) | Write::Broadcast(_) | Write::Know => call.push("-"),
    }
}

/// What an answer begins with.
pub(super) enum Verdict {
    /// It was committed now.
    Done(Committed),
    /// It was committed before.
    Before(Committed),
    /// It was refused.
    Refused(CommitError),
    /// A condition did not hold; what it was checked against follows.
    Condition,
}

/// Takes the beginning that all answers share.
pub(super) fn take_verdict(shared: &Shared, answer: &mut Answer) -> Result<Verdict, StoreError> {
    let word = answer.some_bytes()?;
    Ok(match &word[..] {
        b"ok" => Verdict::Done(take_committed(shared, answer, false)?),
        b"dup" => Verdict::Before(take_committed(shared, answer, true)?),
        b"key" => Verdict::Refused(CommitError::KeyReused),
        b"over" => Verdict::Refused(StoreError::Overloaded.into()),
        b"many" => Verdict::Refused(CommitError::TooManyKeys),
        b"reacted" => Verdict::Refused(CommitError::ReactionsFull),
        b"state" => Verdict::Refused(CommitError::StateFull),
        b"cond" => Verdict::Condition,
        _ => return Err(super::answer::damaged("an answer that is not known")),
    })
}

fn take_committed(shared: &Shared, answer: &mut Answer, duplicate: bool) -> Result<Committed, StoreError> {
    let (seq, tag) = (Seq(answer.count()?), Tag(answer.count()? as u32));
    Ok(Committed {
        position: Position { epoch: shared.epoch(), seq, tag },
        number: answer.count()?,
        time: Timestamp(answer.number()?),
        version: answer.count()? as u32,
        duplicate,
        marks: None,
        inbox: None,
    })
}

/// Takes the number of keys that the partition has now, and that of the effects that wait.
pub(super) fn take_waits(shared: &Shared, outcome: &Outcome, answer: &mut Answer) -> Result<u64, StoreError> {
    let keys = answer.number()?;
    if let Ok(keys) = u32::try_from(keys) {
        shared.keys.set(partition_of(&outcome.tenant, &outcome.home), keys);
    }
    answer.count()
}

/// What the answer to a room's outcome means.
pub(super) fn settle_room(
    shared: &Shared,
    key: &RoomKey,
    (outcome, tags): (Outcome, Tags),
    mut answer: Answer,
) -> Result<Settled, StoreError> {
    let mut committed = match take_verdict(shared, &mut answer)? {
        Verdict::Done(committed) => committed,
        Verdict::Before(mut committed) => {
            if answer.len() == 3 {
                committed.marks = Some(take_marks(&mut answer)?);
            }
            return Ok(Settled { result: Ok(committed), changes: Vec::new(), waits: 0, previous: Tag(0) });
        }
        Verdict::Refused(error) => return Ok(Settled::refused(error)),
        Verdict::Condition => {
            let current = state::current(shared.epoch(), key, &outcome.actor, answer)?;
            return Ok(Settled::refused(CommitError::Condition(Box::new(current))));
        }
    };
    let waits = take_waits(shared, &outcome, &mut answer)?;
    let (trimmed, marked) = (Seq(answer.count()?), answer.count()? > 0);
    shared.stored.change(&key.tenant, answer.number()?);
    let marks = take_marks(&mut answer)?;
    committed.marks = (marks.delivered.0 != u64::MAX).then_some(marks);
    let mut changes = Vec::with_capacity(tags.len() + 1);
    let mut tags = tags.into_iter();
    let mut first_previous = None;
    for write in outcome.writes {
        match write {
            Write::Append(body) => {
                let (seq, previous) = (Seq(answer.count()?), Tag(answer.count()? as u32));
                first_previous.get_or_insert(previous);
                let (number, time, version) =
                    (answer.count()?, Timestamp(answer.number()?), answer.count()? as u32);
                let entry = Entry {
                    epoch: shared.epoch(),
                    seq,
                    tag: tags.next().unwrap_or_default(),
                    time,
                    sender: outcome.actor.clone(),
                    number,
                    body: as_kept(body, version),
                };
                changes.push(Change::Entry { room: key.clone(), entry: Arc::new(entry) });
            }
            Write::Marks { .. } if marked => {
                changes.push(Change::Marks { room: key.clone(), user: outcome.actor.clone(), marks });
            }
            _ => {}
        }
    }
    if trimmed.0 > 0 {
        changes.push(Change::Trimmed { room: key.clone(), first: trimmed });
    }
    Ok(Settled { result: Ok(committed), changes, waits, previous: first_previous.unwrap_or_default() })
}

fn as_kept(body: EntryBody, assigned: u32) -> EntryBody {
    match body {
        EntryBody::Edit { target, content, .. } => EntryBody::Edit { target, content, version: assigned },
        body => body,
    }
}

fn take_marks(answer: &mut Answer) -> Result<Marks, StoreError> {
    Ok(Marks { delivered: Seq(answer.count()?), read: Seq(answer.count()?), read_number: answer.count()? })
}

/// A tenant's outcome as a call.
pub(super) fn tenant(shared: &Shared, outcome: &Outcome) -> Call {
    let mut call = begin(shared, &script::TENANT, outcome, None).arg(outcome.actor.as_str());
    push_key(&mut call, shared, outcome);
    call.push(shared.scripts_publish_with());
    call.push(&shared.head().to_bytes()[..]);
    call.push(shared.options.notification_retention.as_millis() as u64);
    call.push(outcome.writes.len());
    for write in &outcome.writes {
        match write {
            Write::Broadcast(notice) => {
                call.push("B");
                call.push(notice.id.as_str());
                call.push(notice.priority as u8);
                call.push(notice.expires.map_or(0, Timestamp::millis));
                call.push(notice::encode(notice));
            }
            _ => call.push("K"),
        }
    }
    push_effects(&mut call, &outcome.effects);
    call
}

/// What the answer to a tenant's outcome means.
pub(super) fn settle_tenant(
    shared: &Shared,
    outcome: &Outcome,
    mut answer: Answer,
) -> Result<Settled, StoreError> {
    let committed = match take_verdict(shared, &mut answer)? {
        Verdict::Done(committed) => committed,
        Verdict::Before(committed) => {
            return Ok(Settled { result: Ok(committed), changes: Vec::new(), waits: 0, previous: Tag(0) });
        }
        Verdict::Refused(error) => return Ok(Settled::refused(error)),
        Verdict::Condition => return Err(super::answer::damaged("a condition that was not asked for")),
    };
    let waits = take_waits(shared, outcome, &mut answer)?;
    let mut changes = Vec::new();
    for write in &outcome.writes {
        let Write::Broadcast(notice) = write else { continue };
        let notification = Notification {
            notice: Arc::clone(notice),
            place: InboxPlace::Broadcast(Seq(answer.count()?)),
            time: Timestamp(answer.number()?),
            read: false,
        };
        changes.push(Change::Broadcast { tenant: outcome.tenant.clone(), notification });
    }
    Ok(Settled { result: Ok(committed), changes, waits, previous: Tag(0) })
}
