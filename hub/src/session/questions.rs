//! What administrators ask of all nodes, as nodes say it to each other.
//!
//! Little endian. A question is the tenant, its kind u8, then by kind; the answer by the question's kind. A later version only
//! adds kinds, or bytes at the end.

use bytes::Bytes;

use crate::administration::commands::{Disconnect, DisconnectTarget, SessionInfo};
use crate::bus::wire::{Malformed, Reader, put_bytes16};
use crate::domain::error::ErrorCode;
use crate::domain::names::{InstanceId, SessionId, TenantId, UserId};
use crate::domain::peer::Peer;
use crate::domain::time::Timestamp;

/// A question, of a tenant's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Those of a user, or all, after one, so many: a [`Page`].
    List(Option<UserId>, Option<SessionId>, u32),
    /// End some: how many, u32.
    Disconnect(Disconnect),
    /// How much a user's sessions may still send: [`CommandLevels`].
    Levels(UserId),
    /// Fill a user's buckets, or the tenant's, and whether those too of a service of that name for several tenants: how many were
    /// not full, u32.
    Reset(Option<UserId>, bool),
}

/// Some of a node's sessions, in order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) sessions: Vec<SessionInfo>,
    /// Whether there are more.
    pub(super) more: bool,
}

/// Of each session how many commands are left, of how many.
pub(super) type CommandLevels = Vec<(SessionId, u32, u32)>;

impl Question {
    pub(super) fn encode(&self, tenant: &TenantId) -> Vec<u8> {
        let mut to = Vec::with_capacity(64);
        put_text(&mut to, tenant.as_str());
        match self {
            Self::List(user, after, limit) => {
                to.push(1);
                put_text(&mut to, user.as_ref().map_or("", |user| user.as_str()));
                put_session(&mut to, after.unwrap_or(SessionId(0)));
                to.extend_from_slice(&limit.to_le_bytes());
            }
            Self::Disconnect(Disconnect { target, code }) => {
                to.push(2);
                to.push(match code {
                    ErrorCode::GoingAway => 2,
                    ErrorCode::Unavailable => 3,
                    _ => 1,
                });
                let (session, user, instance) = match target {
                    DisconnectTarget::Session(session) => (*session, "", ""),
                    DisconnectTarget::User { user, instance } => {
                        let instance = instance.as_ref().map_or("", |instance| instance.as_str());
                        (SessionId(0), user.as_str(), instance)
                    }
                };
                put_session(&mut to, session);
                put_text(&mut to, user);
                put_text(&mut to, instance);
            }
            Self::Levels(user) => {
                to.push(3);
                put_text(&mut to, user.as_str());
            }
            Self::Reset(user, everywhere) => {
                to.push(4);
                put_text(&mut to, user.as_ref().map_or("", |user| user.as_str()));
                to.extend(everywhere.then_some(1));
            }
        }
        to
    }

    /// Whose tenant, and what. Of a later version's kinds nothing is known.
    pub(super) fn decode(bytes: &[u8]) -> Result<(TenantId, Self), Malformed> {
        let mut from = Reader::new(bytes);
        let tenant = TenantId::parse(from.text16()?).map_err(|_| Malformed("tenant"))?;
        let question = match from.u8()? {
            1 => {
                let (user, after) = (optional_user(&mut from)?, session(&mut from)?);
                Self::List(user, (after.0 > 0).then_some(after), from.u32()?)
            }
            2 => {
                let code = match from.u8()? {
                    2 => ErrorCode::GoingAway,
                    3 => ErrorCode::Unavailable,
                    _ => ErrorCode::SessionInvalidated,
                };
                let session = session(&mut from)?;
                let (user, instance) = (optional_user(&mut from)?, instance(&mut from)?);
                let target = match user {
                    None => DisconnectTarget::Session(session),
                    Some(user) => DisconnectTarget::User { user, instance },
                };
                Self::Disconnect(Disconnect { target, code })
            }
            3 => Self::Levels(user(&mut from)?),
            // Of an earlier version nothing follows, nor where it is not to be done.
            4 => Self::Reset(optional_user(&mut from)?, !from.is_empty() && from.u8()? == 1),
            _ => return Err(Malformed("a question of an unknown kind")),
        };
        Ok((tenant, question))
    }
}

impl Page {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = vec![u8::from(self.more)];
        for info in &self.sessions {
            put_session(&mut to, info.session);
            put_text(&mut to, info.user.as_str());
            put_text(&mut to, info.instance.as_ref().map_or("", |instance| instance.as_str()));
            put_text(&mut to, &info.client);
            put_text(&mut to, &info.peer.address.map(|address| address.to_string()).unwrap_or_default());
            put_text(&mut to, info.peer.agent.as_deref().unwrap_or_default());
            put_text(&mut to, info.peer.origin.as_deref().unwrap_or_default());
            for time in [info.connected, info.last_active, info.token_expires] {
                to.extend_from_slice(&time.millis().to_le_bytes());
            }
            to.extend_from_slice(&info.rooms.to_le_bytes());
        }
        to
    }

    pub(super) fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let more = from.u8()? != 0;
        let mut sessions = Vec::new();
        while !from.is_empty() {
            let (session, user, instance) = (session(&mut from)?, user(&mut from)?, instance(&mut from)?);
            let client = from.text16()?.to_owned();
            let address = from.text16()?.parse().ok();
            let (agent, origin) = (from.text16()?, from.text16()?);
            let text = |text: &'_ str| (!text.is_empty()).then(|| text.into());
            sessions.push(SessionInfo {
                session,
                user,
                instance,
                client,
                peer: Peer { address, agent: text(agent), origin: text(origin) },
                connected: Timestamp(from.i64()?),
                last_active: Timestamp(from.i64()?),
                token_expires: Timestamp(from.i64()?),
                rooms: from.u32()?,
            });
        }
        Ok(Self { sessions, more })
    }
}

/// How many, as an answer.
pub(super) fn encode_count(count: u32) -> Vec<u8> {
    count.to_le_bytes().to_vec()
}

/// Reads how many.
pub(super) fn decode_count(bytes: &Bytes) -> Result<u32, Malformed> {
    Reader::new(bytes).u32()
}

/// What sessions may still send, as an answer.
pub(super) fn encode_levels(levels: &CommandLevels) -> Vec<u8> {
    let mut to = Vec::with_capacity(levels.len() * 24);
    for (session, left, burst) in levels {
        put_session(&mut to, *session);
        to.extend_from_slice(&left.to_le_bytes());
        to.extend_from_slice(&burst.to_le_bytes());
    }
    to
}

/// Reads that.
pub(super) fn decode_levels(bytes: &Bytes) -> Result<CommandLevels, Malformed> {
    let mut from = Reader::new(bytes);
    let mut levels = Vec::new();
    while !from.is_empty() {
        levels.push((session(&mut from)?, from.u32()?, from.u32()?));
    }
    Ok(levels)
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    put_bytes16(to, text.as_bytes());
}

fn put_session(to: &mut Vec<u8>, session: SessionId) {
    to.extend_from_slice(&session.0.to_le_bytes());
}

fn session(from: &mut Reader<'_>) -> Result<SessionId, Malformed> {
    let (low, high) = (from.u64()?, from.u64()?);
    Ok(SessionId(u128::from(low) | u128::from(high) << 64))
}

fn user(from: &mut Reader<'_>) -> Result<UserId, Malformed> {
    UserId::parse(from.text16()?).map_err(|_| Malformed("user"))
}

fn optional_user(from: &mut Reader<'_>) -> Result<Option<UserId>, Malformed> {
    match from.text16()? {
        "" => Ok(None),
        text => UserId::parse(text).map(Some).map_err(|_| Malformed("user")),
    }
}

fn instance(from: &mut Reader<'_>) -> Result<Option<InstanceId>, Malformed> {
    match from.text16()? {
        "" => Ok(None),
        text => InstanceId::parse(text).map(Some).map_err(|_| Malformed("instance")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> UserId {
        UserId::parse("alice").unwrap()
    }

    #[test]
    fn what_is_asked_is_read() {
        let tenant = TenantId::parse("acme").unwrap();
        let tab = InstanceId::parse("tab").unwrap();
        let disconnect = |target, code| Question::Disconnect(Disconnect { target, code });
        let of_user = |instance| DisconnectTarget::User { user: user(), instance };
        for question in [
            Question::List(None, None, 50),
            Question::List(Some(user()), Some(SessionId(u128::MAX)), 200),
            disconnect(DisconnectTarget::Session(SessionId(1 << 100)), ErrorCode::SessionInvalidated),
            disconnect(of_user(None), ErrorCode::GoingAway),
            disconnect(of_user(Some(tab)), ErrorCode::Unavailable),
            Question::Levels(user()),
            Question::Reset(Some(user()), false),
            Question::Reset(None, false),
        ] {
            let bytes = question.encode(&tenant);
            assert_eq!(Question::decode(&bytes), Ok((tenant.clone(), question)));
            assert!((0..bytes.len()).all(|length| Question::decode(&bytes[..length]).is_err()));
        }
        assert!(Question::decode(b"\x01\x00a\x09").is_err(), "of a later version");
        let everywhere = Question::Reset(Some(user()), true);
        assert_eq!(Question::decode(&everywhere.encode(&tenant)), Ok((tenant, everywhere)));
    }

    #[test]
    fn what_is_answered_is_read() {
        let info = |session, instance, peer| SessionInfo {
            session: SessionId(session),
            user: user(),
            instance,
            client: "carillon-page/1".to_owned(),
            peer,
            connected: Timestamp(1),
            last_active: Timestamp(2),
            rooms: 3,
            token_expires: Timestamp(4),
        };
        let peer = Peer::new("10.0.0.1".parse().ok(), Some("agent"), Some("https://example.org"));
        let sessions = vec![
            info(1, None, Peer::default()),
            info(u128::MAX, Some(InstanceId::parse("tab").unwrap()), peer),
        ];
        for more in [false, true] {
            let page = Page { sessions: sessions.clone(), more };
            assert_eq!(Page::decode(&page.encode().into()), Ok(page));
        }
        let levels = vec![(SessionId(7), 3, 60), (SessionId(1 << 90), 60, 60)];
        assert_eq!(decode_levels(&encode_levels(&levels).into()), Ok(levels));
        assert_eq!(decode_count(&encode_count(9).into()), Ok(9));
        assert!(Page::decode(&Bytes::new()).is_err() && decode_count(&Bytes::new()).is_err());
    }
}
