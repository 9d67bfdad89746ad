//! From inbound bytes to domain commands. Whatever a client can send is checked here, once, for every transport.
//!
//! Fields are checked in the order of the message, and the first that breaks a rule is the one reported.

mod connection;
mod content;
mod conversations;
mod fields;
mod inbox;
mod messages;
mod presence;
mod rooms;

use std::cell::RefCell;
use std::hash::Hasher;

use bytes::Bytes;
use carillon_proto::v1;
use carillon_proto::v1::execute_request::Command as ExecuteMember;
use carillon_proto::v1::session_request::Command as SessionMember;
use prost::Message;
use siphasher::sip::SipHasher13;

use crate::domain::command::{Command, Request, Stateless};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::IdempotencyKey;
use crate::session::Input;
use crate::store::Idempotency;

pub(super) use content::{ContentPaths, optional_content};
pub(super) use fields::{cursor, members, page, repeats};
pub(super) use inbox::priority;

const HTML: &str = "text/html";

/// Why a frame gave no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no `SessionRequest` (invalid UTF-8 in a text included), or its id is 0: nothing can be answered, and the
    /// stream ends with `PROTOCOL_ERROR`.
    #[error("the frame cannot be read")]
    Broken,
    /// It is one, but a field breaks a rule: the command is answered and the stream goes on.
    #[error("the command was refused: {refusal}")]
    Refused {
        /// The command's id, not 0.
        command_id: u32,
        /// What it is answered with.
        refusal: Refusal,
    },
}

impl DecodeError {
    /// The refusal that the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Broken => ErrorCode::ProtocolError.into(),
            Self::Refused { refusal, .. } => refusal.clone(),
        }
    }
}

/// What a session is given for one inbound frame. HTML is sanitised here, which is work: `held_back` says why nothing at all would be
/// taken now, and is asked before that.
pub fn input(frame: Bytes, held_back: impl FnOnce() -> Result<(), Refusal>) -> Input {
    match request_unless(frame, held_back) {
        Ok(request) => Input::Request(Box::new(request)),
        Err(DecodeError::Broken) => Input::Broken(ErrorCode::ProtocolError.into()),
        Err(DecodeError::Refused { command_id, refusal }) => Input::Refused(command_id, refusal),
    }
}

/// The command in one inbound frame of a session: an encoded `SessionRequest` without the gRPC prefix. Its length was
/// checked by the transport, as that is what reads it.
pub fn request(frame: Bytes) -> Result<Request, DecodeError> {
    request_unless(frame, || Ok(()))
}

fn request_unless(
    frame: Bytes,
    held_back: impl FnOnce() -> Result<(), Refusal>,
) -> Result<Request, DecodeError> {
    let request = v1::SessionRequest::decode(frame).map_err(|_| DecodeError::Broken)?;
    let command_id = request.command_id;
    if command_id == 0 {
        return Err(DecodeError::Broken);
    }
    let may_be_read = if bears_html(&request) { held_back() } else { Ok(()) };
    let accepted = may_be_read.and_then(|()| accepted(request));
    accepted.map_err(|refusal| DecodeError::Refused { command_id, refusal })
}

fn bears_html(request: &v1::SessionRequest) -> bool {
    let content = match &request.command {
        Some(SessionMember::MessageSend(send)) => &send.content,
        Some(SessionMember::MessageEdit(edit)) => &edit.content,
        Some(SessionMember::EventPublish(event)) => &event.payload,
        _ => &None,
    };
    let media_type = content.as_ref().and_then(|content| content.media_type.get(..HTML.len()));
    media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(HTML))
}

/// The command in an `ExecuteRequest`, and what makes a retry the same where the caller gave a key.
pub fn execute(request: v1::ExecuteRequest) -> Result<(Option<Idempotency>, Stateless), Refusal> {
    let member = request.command.ok_or_else(missing)?;
    let idempotency = idempotency(request.idempotency_key, |buffer| member.encode(buffer))?;
    Ok((idempotency, execute_member(member)?))
}

/// What makes a retry of an administrator's request the same. `request` is the message without its key, so that the
/// fingerprint is its content's alone.
pub(super) fn idempotency_of(key: Bytes, request: &impl Message) -> Result<Option<Idempotency>, Refusal> {
    // Vec<u8> grows as needed, which is the only way that encoding can fail.
    idempotency(key, |buffer| request.encode_raw(buffer))
}

fn accepted(request: v1::SessionRequest) -> Result<Request, Refusal> {
    let member = request.command.ok_or_else(missing)?;
    let idempotency = idempotency(request.idempotency_key, |buffer| member.encode(buffer))?;
    let (key, fingerprint) = idempotency.map_or((None, 0), |i| (Some(i.key), i.fingerprint));
    Ok(Request { command_id: request.command_id, key, fingerprint, command: session_member(member)? })
}

fn missing() -> Refusal {
    Refusal::invalid("command", "required")
}

thread_local! {
    /// Where commands are encoded for their fingerprint: one per worker, at most as large as the largest frame.
    static FINGERPRINTED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The key and the hash of what `encode` writes: the command alone, because a retry bears another command id. Unkeyed
/// commands are not hashed.
fn idempotency(key: Bytes, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Option<Idempotency>, Refusal> {
    if key.is_empty() {
        return Ok(None);
    }
    let key = IdempotencyKey::parse(key)?;
    let fingerprint = FINGERPRINTED.with_borrow_mut(|buffer| {
        buffer.clear();
        encode(buffer);
        // Remembered across restarts, so the hash's key is fixed. Whoever finds a collision fools only themselves.
        let mut hasher = SipHasher13::new();
        hasher.write(buffer);
        hasher.finish()
    });
    Ok(Some(Idempotency { key, fingerprint }))
}

fn session_member(member: SessionMember) -> Result<Command, Refusal> {
    let stateless = match member {
        SessionMember::Hello(hello) => return hello.try_into(),
        SessionMember::RefreshToken(refresh) => return refresh.try_into(),
        SessionMember::Ping(v1::Ping {}) => return Ok(Command::Ping),
        SessionMember::Pong(v1::Pong { .. }) => return Ok(Command::Pong),
        SessionMember::Goodbye(v1::Goodbye {}) => return Ok(Command::Goodbye),
        SessionMember::Join(join) => return Ok(Command::Join(join.try_into()?)),
        SessionMember::Leave(leave) => return leave.try_into(),
        SessionMember::PresenceWatch(watch) => return watch.try_into(),
        SessionMember::PresenceSet(set) => return set.try_into(),
        SessionMember::Typing(typing) => return typing.try_into(),
        SessionMember::History(command) => command.try_into(),
        SessionMember::Rooms(command) => command.try_into(),
        SessionMember::ConversationCreate(command) => command.try_into(),
        SessionMember::ConversationUpdate(command) => command.try_into(),
        SessionMember::MemberAdd(command) => command.try_into(),
        SessionMember::MemberRemove(command) => command.try_into(),
        SessionMember::MemberRole(command) => command.try_into(),
        SessionMember::Members(command) => command.try_into(),
        SessionMember::MessageSend(command) => command.try_into(),
        SessionMember::MessageEdit(command) => command.try_into(),
        SessionMember::MessageDelete(command) => command.try_into(),
        SessionMember::Reaction(command) => command.try_into(),
        SessionMember::MarkDelivered(command) => command.try_into(),
        SessionMember::MarkRead(command) => command.try_into(),
        SessionMember::EventPublish(command) => command.try_into(),
        SessionMember::PresenceGet(command) => command.try_into(),
        SessionMember::Notifications(command) => command.try_into(),
        SessionMember::NotificationRead(command) => command.try_into(),
        SessionMember::NotificationDelete(command) => command.try_into(),
    };
    stateless.map(Command::Stateless)
}

fn execute_member(member: ExecuteMember) -> Result<Stateless, Refusal> {
    match member {
        ExecuteMember::History(command) => command.try_into(),
        ExecuteMember::Rooms(command) => command.try_into(),
        ExecuteMember::ConversationCreate(command) => command.try_into(),
        ExecuteMember::ConversationUpdate(command) => command.try_into(),
        ExecuteMember::MemberAdd(command) => command.try_into(),
        ExecuteMember::MemberRemove(command) => command.try_into(),
        ExecuteMember::MemberRole(command) => command.try_into(),
        ExecuteMember::Members(command) => command.try_into(),
        ExecuteMember::MessageSend(command) => command.try_into(),
        ExecuteMember::MessageEdit(command) => command.try_into(),
        ExecuteMember::MessageDelete(command) => command.try_into(),
        ExecuteMember::Reaction(command) => command.try_into(),
        ExecuteMember::MarkDelivered(command) => command.try_into(),
        ExecuteMember::MarkRead(command) => command.try_into(),
        ExecuteMember::EventPublish(command) => command.try_into(),
        ExecuteMember::PresenceGet(command) => command.try_into(),
        ExecuteMember::Notifications(command) => command.try_into(),
        ExecuteMember::NotificationRead(command) => command.try_into(),
        ExecuteMember::NotificationDelete(command) => command.try_into(),
    }
}

#[cfg(test)]
mod tests;
