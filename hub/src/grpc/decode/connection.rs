//! A session's life: hello, resume, token.

use carillon_proto::v1;

use super::fields::{InboxPaths, PositionPaths, inbox_position, position, repeats};
use crate::domain::command::{Command, Hello, Join, Resume, Token};
use crate::domain::error::{Refusal, Violation};
use crate::domain::limits;
use crate::domain::names::{InstanceId, RoomName};

/// The protocol's version that this hub speaks.
const PROTOCOL: u32 = 1;

const RESUME_POSITION: PositionPaths =
    PositionPaths { seq: "resume.rooms[].position.seq", tag: "resume.rooms[].position.tag" };
const RESUME_INBOX: InboxPaths = InboxPaths { own: "resume.inbox.own", broadcast: "resume.inbox.broadcast" };

impl TryFrom<v1::Hello> for Command {
    type Error = Refusal;

    fn try_from(hello: v1::Hello) -> Result<Self, Refusal> {
        let token = if hello.token.is_empty() { None } else { Some(token(hello.token)?) };
        if hello.protocol != PROTOCOL {
            return Err(Refusal::invalid("protocol", "1"));
        }
        if hello.client.len() > limits::CLIENT_NAME_BYTES || hello.client.chars().any(char::is_control) {
            return Err(Refusal::invalid("client", "at most 64 bytes without control characters"));
        }
        let instance =
            if hello.instance.is_empty() { None } else { Some(InstanceId::parse(&hello.instance)?) };
        let resume = hello.resume.map(Resume::try_from).transpose()?;
        Ok(Self::Hello(Box::new(Hello {
            token,
            protocol: hello.protocol,
            client: hello.client,
            instance,
            resume,
        })))
    }
}

impl TryFrom<v1::Resume> for Resume {
    type Error = Refusal;

    /// How many rooms are too many is the session's to say: configuration gives its limit.
    fn try_from(resume: v1::Resume) -> Result<Self, Refusal> {
        let rooms = resume.rooms.iter().map(resumed_room).collect::<Result<Vec<_>, Violation>>()?;
        if repeats(rooms.iter().map(|join| &join.room)) {
            return Err(Refusal::invalid("resume.rooms", "no room twice"));
        }
        let inbox = resume.inbox.map(|position| inbox_position(position, RESUME_INBOX)).transpose()?;
        Ok(Self { rooms, inbox })
    }
}

fn resumed_room(room: &v1::RoomPosition) -> Result<Join, Violation> {
    Ok(Join {
        room: RoomName::parse(&room.room).map_err(|v| Violation { field: "resume.rooms[].room", ..v })?,
        since: room.position.map(|since| position(since, RESUME_POSITION)).transpose()?,
        rewind: 0,
        presence: room.presence,
    })
}

impl TryFrom<v1::RefreshToken> for Command {
    type Error = Refusal;

    fn try_from(refresh: v1::RefreshToken) -> Result<Self, Refusal> {
        if refresh.token.is_empty() {
            return Err(Refusal::invalid("token", "required"));
        }
        Ok(Self::RefreshToken(token(refresh.token)?))
    }
}

fn token(text: String) -> Result<Token, Violation> {
    if text.len() > limits::TOKEN_BYTES {
        return Err(Violation { field: "token", rule: "at most 8192 bytes" });
    }
    Ok(Token(text))
}
