//! The tables: for each kind of room, who is answered what.

use carillon_hub::config::{Config, NamespaceSection};
use carillon_hub::domain::namespace::Who;

use crate::callers::{OF_ASKED, OF_CONVERSATIONS, OF_GRANTED};
use crate::commands::{COMMANDS, Tried};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sheet {
    /// Conversations, by membership and role; and every command that is about no room.
    Conversations,
    /// Rooms that go by what tokens grant.
    Granted,
    /// Rooms that go by the authoriser.
    Asked,
}

impl Sheet {
    pub(crate) const ALL: [Self; 3] = [Self::Conversations, Self::Granted, Self::Asked];

    /// What is expected.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Conversations => include_str!("expected.txt"),
            Self::Granted => include_str!("granted.txt"),
            Self::Asked => include_str!("asked.txt"),
        }
    }

    /// The rooms' namespace.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::Conversations => "conversation",
            Self::Granted => "case",
            Self::Asked => "file",
        }
    }

    /// The columns.
    pub(crate) fn callers(self) -> &'static [&'static str] {
        match self {
            Self::Conversations => &OF_CONVERSATIONS,
            Self::Granted => &OF_GRANTED,
            Self::Asked => &OF_ASKED,
        }
    }

    /// The rows.
    pub(crate) fn commands(self) -> impl Iterator<Item = &'static Tried> {
        COMMANDS.iter().filter(move |command| command.here || self == Self::Conversations)
    }
}

/// The namespaces that go by grants and by the authoriser.
pub(crate) fn add_namespaces(config: &mut Config) {
    for (sheet, who) in [(Sheet::Granted, Who::Granted), (Sheet::Asked, Who::Authorizer)] {
        let name = sheet.namespace().to_owned();
        config.namespaces.push(NamespaceSection {
            name,
            join: who,
            send: who,
            ..NamespaceSection::default()
        });
    }
}
