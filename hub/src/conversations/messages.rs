//! Messages: sent, edited, deleted, reacted to.

use crate::domain::content::{Content, Pairs};
use crate::domain::entry::{Entry, EntryBody, Message, ReactionKey};
use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::limits;
use crate::domain::position::Seq;
use crate::store::{Condition, Write};

use super::case::{Case, Decision};

/// A message. It is decided without a look at the room; `reply_to` must be an entry that the caller may read.
pub(super) fn send(
    case: &Case<'_>,
    content: &Content,
    reply_to: Option<Seq>,
    attributes: &Pairs,
) -> Result<Decision, Refusal> {
    case.durable()?;
    fits(case, content)?;
    let mut conditions = Vec::with_capacity(2);
    if let Some(seq) = reply_to {
        conditions.push(case.reached("reply_to", seq)?);
        if seq < case.permit.history_from {
            return Err(ErrorCode::NotFound.into());
        }
    }
    let message = Message::new(content.clone(), reply_to, attributes.clone());
    let message = Message { by_service: case.caller.service, ..message };
    Ok(case.commit(conditions, vec![Write::Append(EntryBody::Message(message))]))
}

/// Whether the caller sent it.
fn is_own(case: &Case<'_>, entry: &Entry, message: &Message) -> bool {
    entry.sender == case.caller.user && message.by_service == case.caller.service
}

/// `MESSAGE_TOO_LARGE` for more than the namespace allows, `INVALID_ARGUMENT` for data of another media type.
fn fits(case: &Case<'_>, content: &Content) -> Result<(), Refusal> {
    case.rules.data_types.check(content, "content.media_type")?;
    if content.as_bytes().len() <= case.rules.message_bytes {
        return Ok(());
    }
    let violation = Violation { field: "content", rule: "at most the namespace's message_bytes" };
    Err(Refusal { violations: vec![violation], ..ErrorCode::MessageTooLarge.into() })
}

/// New content for one's own message. `PERMISSION_DENIED` for another's or when the edit window is over, CONFLICT for a
/// deleted one or another version. How often a message is edited is checked against what was read: a few more edits may
/// pass at the same moment.
pub(super) fn edit(
    case: &Case<'_>,
    seq: Seq,
    content: &Content,
    expected_version: Option<u32>,
) -> Result<Decision, Refusal> {
    case.durable()?;
    fits(case, content)?;
    let (entry, message) = case.message(seq)?;
    if !is_own(case, entry, message) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    let other_version = expected_version.is_some_and(|version| version != message.version);
    if message.content.is_none() || other_version {
        return Err(ErrorCode::Conflict.into());
    }
    if case.rules.edit_window.is_some_and(|window| case.now.since(entry.time) >= window) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    if message.version > limits::EDITS_PER_MESSAGE {
        return Err(Refusal::invalid("seq", "a message with fewer than 1000 edits"));
    }
    let unchanged =
        Condition::Message { seq, sender: Some(case.caller.user.clone()), version: expected_version };
    // The store assigns the version.
    let edit = EntryBody::Edit { target: seq, content: Some(content.clone()), version: 0 };
    Ok(case.commit(vec![unchanged], vec![Write::Append(edit)]))
}

/// One's own message, or as a moderator anyone's, is gone. Deleting what is deleted changes nothing and is answered
/// with the tombstone's place, as a duplicate.
pub(super) fn delete(case: &Case<'_>, seq: Seq) -> Result<Decision, Refusal> {
    case.durable()?;
    let (entry, message) = case.message(seq)?;
    if !is_own(case, entry, message) && !case.permit.moderates {
        return Err(ErrorCode::PermissionDenied.into());
    }
    if message.content.is_none() {
        return Ok(case.already(Vec::new(), seq, Some(entry)));
    }
    let unchanged = Condition::Message { seq, sender: Some(entry.sender.clone()), version: None };
    Ok(case.commit(vec![unchanged], vec![Write::Append(EntryBody::Deletion { target: seq })]))
}

/// A reaction to a message that is not deleted. What a message may hold of them the store checks as well: many may be decided
/// on at the same moment.
pub(super) fn react(case: &Case<'_>, seq: Seq, key: &ReactionKey, add: bool) -> Result<Decision, Refusal> {
    case.durable()?;
    let (_, message) = case.message(seq)?;
    if message.content.is_none() {
        return Err(ErrorCode::Conflict.into());
    }
    if add && message.reactions_total as usize >= limits::REACTIONS_PER_MESSAGE {
        return Err(Refusal::invalid("seq", "a message with fewer than 1000 reactions"));
    }
    let unchanged = Condition::Message { seq, sender: None, version: None };
    let reaction = EntryBody::Reaction { target: seq, key: key.clone(), add };
    Ok(case.commit(vec![unchanged], vec![Write::Append(reaction)]))
}
