//! What the audit log says of administrators' calls: whom or what they are about, by ids alone.

use std::fmt::Write;

use carillon_proto::v1;
use carillon_proto::v1::disconnect_session_request::Target;
use carillon_proto::v1::revoke_tokens_request::What;
use carillon_proto::v1::send_notification_request::Audience;
use carillon_proto::v1::token_revocation::Id;

use crate::audit::About;
use crate::domain::audit::Seal;

/// Longest part of a field that is written down: a field that breaks its rule may be of any length.
const BYTES: usize = 256;

/// A request that is written down.
pub(super) trait Told {
    /// Whether it is a command that users have too: then that is written down, unless it was never begun.
    const IS_COMMAND: bool;

    /// What it is about; `text` is for what must be written for it.
    fn about<'a>(&'a self, text: &'a mut String) -> About<'a>;
}

macro_rules! told {
    ($($request:ident: command $is_command:literal { $($part:ident: $field:ident),* };)*) => {
        $(impl Told for v1::$request {
            const IS_COMMAND: bool = $is_command;

            fn about<'a>(&'a self, _: &'a mut String) -> About<'a> {
                About { $($part: part(&self.$field),)* ..About::default() }
            }
        })*
    };
}

told! {
    AddMemberRequest: command true { room: room, subject: user };
    CreateRoomRequest: command false { room: room };
    EraseUserRequest: command false { subject: user };
    GetLimitsRequest: command false { subject: user };
    GetRoomRequest: command false { room: room };
    GetStatisticsRequest: command false { };
    ListMembersRequest: command false { room: room };
    ListRoomsRequest: command false { };
    ListSessionsRequest: command false { subject: user };
    PublishEventRequest: command true { room: room };
    RemoveMemberRequest: command true { room: room, subject: user };
    ResetLimitsRequest: command false { subject: user };
    SendMessageRequest: command true { room: room };
    SetMemberRoleRequest: command true { room: room, subject: user };
    UpdateRoomRequest: command true { room: room };
}

impl Told for v1::DisconnectSessionRequest {
    const IS_COMMAND: bool = false;

    fn about<'a>(&'a self, _: &'a mut String) -> About<'a> {
        let subject = match &self.target {
            Some(Target::Session(session)) => part(session),
            Some(Target::User(user)) => part(&user.user),
            None => None,
        };
        About { subject, ..About::default() }
    }
}

impl Told for v1::RevokeTokensRequest {
    const IS_COMMAND: bool = false;

    /// As `user alice before 1795651200000`, `token sha256 0a...`, `everybody in all tenants`.
    fn about<'a>(&'a self, text: &'a mut String) -> About<'a> {
        let hash = |hash: &[u8]| <[u8; 32]>::try_from(hash).map_or(String::new(), |h| Seal(h).to_string());
        let cut = |name: &'a str| part(name).unwrap_or_default();
        *text = match &self.what {
            Some(What::User(name)) => format!("user {}", cut(name)),
            Some(What::Service(name)) => format!("service {}", cut(name)),
            Some(What::Everybody(_)) => "everybody".to_owned(),
            Some(What::Token(token)) => match &token.id {
                Some(Id::Jti(jti)) => format!("token jti {}", cut(jti)),
                Some(Id::Sha256(bytes)) => format!("token sha256 {}", hash(bytes)),
                None => String::new(),
            },
            None => String::new(),
        };
        if self.before_ms != 0 {
            // Into memory: it cannot fail.
            let _ = write!(text, " before {}", self.before_ms);
        }
        if self.everywhere {
            text.push_str(" in all tenants");
        }
        About { subject: Some(text), ..About::default() }
    }
}

impl Told for v1::SendNotificationRequest {
    const IS_COMMAND: bool = false;

    fn about<'a>(&'a self, _: &'a mut String) -> About<'a> {
        match &self.audience {
            Some(Audience::Users(list)) => {
                let only = if let [user] = &list.users[..] { part(user) } else { None };
                About { subject: only, count: Some(list.users.len() as u64), ..About::default() }
            }
            Some(Audience::RoomMembers(room)) => About { room: part(room), ..About::default() },
            _ => About::default(),
        }
    }
}

fn part(text: &str) -> Option<&str> {
    let end = text.floor_char_boundary(BYTES);
    text.get(..end).filter(|part| !part.is_empty())
}
