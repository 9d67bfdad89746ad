//! What the audit log says of administrators' calls: whom or what they are about, by ids alone.

use carillon_proto::v1;
use carillon_proto::v1::disconnect_session_request::Target;
use carillon_proto::v1::revoke_tokens_request::What;
use carillon_proto::v1::send_notification_request::Audience;
use carillon_proto::v1::token_revocation::Id;

use crate::audit::About;

/// Longest part of a field that is written down: a field that breaks its rule may be of any length.
const BYTES: usize = 256;

/// A request that is written down.
pub(super) trait Told {
    /// Whether it is a command that users have too: then that is written down, unless it was never begun.
    const IS_COMMAND: bool;

    /// What it is about.
    fn about(&self) -> About<'_>;
}

macro_rules! told {
    ($($request:ident: command $is_command:literal { $($part:ident: $field:ident),* };)*) => {
        $(impl Told for v1::$request {
            const IS_COMMAND: bool = $is_command;

            fn about(&self) -> About<'_> {
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

    fn about(&self) -> About<'_> {
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

    fn about(&self) -> About<'_> {
        let subject = match &self.what {
            Some(What::User(name) | What::Service(name)) => part(name),
            Some(What::Token(token)) => match &token.id {
                Some(Id::Jti(jti)) => part(jti),
                _ => None,
            },
            _ => None,
        };
        About { subject, ..About::default() }
    }
}

impl Told for v1::SendNotificationRequest {
    const IS_COMMAND: bool = false;

    fn about(&self) -> About<'_> {
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
