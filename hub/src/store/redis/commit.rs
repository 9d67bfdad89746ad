//! An outcome as a script's arguments, and what its answer means.

use std::sync::Arc;

use crate::domain::entry::{Entry, EntryBody};
use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::limits::{REACTIONS_PER_MESSAGE, STATE_BYTES, STATE_KEYS};
use crate::domain::names::{RoomKey, RoomName};
use crate::domain::position::{Position, Seq, Tag};
use crate::domain::time::Timestamp;
use crate::redis::{Malformed, Reader, notice, record};
use crate::store::{Change, CommitError, Committed, Condition, Outcome, StoreError, Write};

use super::answer::Answer;
use super::arguments::{Numbers, begin, groups, push_effects};
use super::call::Call;
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

/// Marks, as scripts keep them, have so many bytes.
const MARKS: usize = 24;

/// The tags of the entries that an outcome appends, in order.
pub(super) type Tags = Vec<Tag>;

/// A room's outcome as a call, and the tags that its entries get.
pub(super) fn room(shared: &Shared, room: &RoomName, outcome: &Outcome) -> (Call, Tags) {
    let rules = shared.rules(room);
    let age = rules.and_then(|rules| rules.retention_age).map_or(0, |age| age.as_millis() as u64);
    let numbers = Numbers::begin(shared, outcome)
        .u64(rules.and_then(|rules| rules.retention_count).unwrap_or(0))
        .u64(age)
        .u8(u8::from(rules.is_some_and(|rules| rules.latest_per_key)))
        .u8(u8::from(rules.is_none_or(|rules| rules.history_before_join)))
        .u8(u8::from(outcome.by_service))
        .count(STATE_KEYS)
        .count(STATE_BYTES)
        .count(REACTIONS_PER_MESSAGE)
        .count(outcome.conditions.len())
        .count(outcome.writes.len())
        .count(groups(&outcome.effects).count());
    let names = [room.as_str(), outcome.actor.as_str()];
    let mut call = begin(shared, &script::ROOM, outcome, &numbers, &names);
    call.push(shared.scripts_publish_with());
    call.push(&shared.head().to_bytes()[..]);
    for condition in &outcome.conditions {
        push_condition(&mut call, condition);
    }
    let mut tags = Vec::new();
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
            let mut append = vec![b'A', record::kind(body) as u8];
            append.extend_from_slice(&tag.0.to_le_bytes());
            append.extend_from_slice(&record::first_version(body).to_le_bytes());
            call.push(append);
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
    Done(Done),
    /// It was committed before.
    Before(Committed),
    /// It was refused.
    Refused(CommitError),
    /// A condition did not hold; what it was checked against follows.
    Condition,
}

/// What was committed now.
pub(super) struct Done {
    pub(super) committed: Committed,
    /// The number of its last effects in the outbox; 0 where there are none.
    pub(super) waits: u64,
    /// What else the answer says, of a room.
    pub(super) more: Vec<u8>,
}

/// Takes the beginning that all answers share. Notes how many idempotency keys the partition has.
pub(super) fn take_verdict(
    shared: &Shared,
    outcome: &Outcome,
    answer: &mut Answer,
) -> Result<Verdict, StoreError> {
    let word = answer.some_bytes()?;
    Ok(match &word[..] {
        b"ok" => Verdict::Done(take_done(shared, outcome, &answer.some_bytes()?)?),
        b"dup" => Verdict::Before(take_committed(shared, &mut Reader::new(&answer.some_bytes()?), true)?),
        b"key" => Verdict::Refused(CommitError::KeyReused),
        b"over" => Verdict::Refused(StoreError::Overloaded.into()),
        b"many" => Verdict::Refused(CommitError::TooManyKeys),
        b"reacted" => Verdict::Refused(CommitError::ReactionsFull),
        b"state" => Verdict::Refused(CommitError::StateFull),
        b"cond" => Verdict::Condition,
        _ => return Err(super::answer::damaged("an answer that is not known")),
    })
}

fn take_committed(shared: &Shared, from: &mut Reader<'_>, duplicate: bool) -> Result<Committed, Malformed> {
    let (seq, tag) = (Seq(from.u64()?), Tag(from.u32()?));
    Ok(Committed {
        position: Position { epoch: shared.epoch(), seq, tag },
        number: from.u64()?,
        time: Timestamp(from.i64()?),
        version: from.u32()?,
        duplicate,
        marks: None,
        inbox: None,
    })
}

fn take_done(shared: &Shared, outcome: &Outcome, bytes: &[u8]) -> Result<Done, Malformed> {
    let mut from = Reader::new(bytes);
    let committed = take_committed(shared, &mut from, false)?;
    // Those of an outcome without a key are not counted.
    if let Ok(keys) = u32::try_from(from.u32()?.cast_signed()) {
        shared.keys.set(partition_of(&outcome.tenant, &outcome.home), keys);
    }
    Ok(Done { committed, waits: from.u64()?, more: from.rest().to_vec() })
}

/// What the answer to a room's outcome means.
pub(super) fn settle_room(
    shared: &Shared,
    key: &RoomKey,
    (outcome, tags): (Outcome, Tags),
    mut answer: Answer,
) -> Result<Settled, StoreError> {
    let Done { mut committed, waits, more } = match take_verdict(shared, &outcome, &mut answer)? {
        Verdict::Done(done) => done,
        Verdict::Before(mut committed) => {
            if answer.len() > 0 {
                committed.marks = Some(state::marks(&answer.some_bytes()?)?);
            }
            return Ok(Settled { result: Ok(committed), changes: Vec::new(), waits: 0, previous: Tag(0) });
        }
        Verdict::Refused(error) => return Ok(Settled::refused(error)),
        Verdict::Condition => {
            let current = state::current(shared.epoch(), key, &outcome.actor, answer)?;
            return Ok(Settled::refused(CommitError::Condition(Box::new(current))));
        }
    };
    let mut from = Reader::new(&more);
    let trimmed = Seq(from.u64()?);
    shared.stored.change(&key.tenant, from.i64()?);
    let (are_changed, are_there) = (from.u8()? > 0, from.u8()? > 0);
    if are_there {
        committed.marks = Some(state::marks(from.take(MARKS)?)?);
    }
    let mut changes = Vec::with_capacity(tags.len() + 1);
    let mut tags = tags.into_iter();
    let mut first_previous = None;
    for write in outcome.writes {
        match write {
            Write::Append(body) => {
                let (seq, previous) = (Seq(from.u64()?), Tag(from.u32()?));
                first_previous.get_or_insert(previous);
                let (number, time, version) = (from.u64()?, Timestamp(from.i64()?), from.u32()?);
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
            Write::Marks { .. } if are_changed => {
                let (room, user) = (key.clone(), outcome.actor.clone());
                changes.push(Change::Marks { room, user, marks: committed.marks.unwrap_or_default() });
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

/// A tenant's outcome as a call.
pub(super) fn tenant(shared: &Shared, outcome: &Outcome) -> Call {
    let numbers = Numbers::begin(shared, outcome)
        .u64(shared.options.notification_retention.as_millis() as u64)
        .count(outcome.conditions.len())
        .count(outcome.writes.len())
        .count(groups(&outcome.effects).count());
    let mut call = begin(shared, &script::TENANT, outcome, &numbers, &[outcome.actor.as_str()]);
    call.push(shared.scripts_publish_with());
    call.push(&shared.head().to_bytes()[..]);
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
    let Done { committed, waits, .. } = match take_verdict(shared, outcome, &mut answer)? {
        Verdict::Done(done) => done,
        Verdict::Before(committed) => {
            return Ok(Settled { result: Ok(committed), changes: Vec::new(), waits: 0, previous: Tag(0) });
        }
        Verdict::Refused(error) => return Ok(Settled::refused(error)),
        Verdict::Condition => return Ok(Settled::refused(CommitError::Condition(Box::default()))),
    };
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
