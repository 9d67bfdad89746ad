//! Which reply is whose: the typed forms of what answers a command.

use carillon_proto::v1;
use carillon_proto::v1::session_response::Kind;

use crate::error::CommandError;

/// A reply of one kind.
pub trait Reply: Sized {
    /// Takes it out of the hub's answer.
    fn from_kind(kind: Kind) -> Result<Self, CommandError>;
}

macro_rules! replies {
    ($($kind:ident => $reply:ty),* $(,)?) => {$(
        impl Reply for $reply {
            fn from_kind(kind: Kind) -> Result<Self, CommandError> {
                match kind {
                    Kind::$kind(reply) => Ok(reply),
                    Kind::Error(error) => Err(CommandError::Refused(error.into())),
                    _ => Err(CommandError::UnexpectedReply),
                }
            }
        }
    )*};
}

replies! {
    Done => v1::Done,
    Pong => v1::Pong,
    MessageSent => v1::MessageSent,
    MarksAccepted => v1::MarksAccepted,
    Joined => v1::Joined,
    Left => v1::Left,
    HistoryPage => v1::HistoryPage,
    RoomsPage => v1::RoomsPage,
    ConversationCreated => v1::ConversationCreated,
    MembersPage => v1::MembersPage,
    EntryAccepted => v1::EntryAccepted,
    PresencePage => v1::PresencePage,
    NotificationsPage => v1::NotificationsPage,
}

/// The reply to an event: `None` where events are ephemeral.
impl Reply for Option<v1::EntryAccepted> {
    fn from_kind(kind: Kind) -> Result<Self, CommandError> {
        match kind {
            Kind::Done(_) => Ok(None),
            kind => v1::EntryAccepted::from_kind(kind).map(Some),
        }
    }
}
