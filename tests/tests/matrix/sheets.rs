//! The tables: for each kind of room, who is answered what.

use carillon_hub::config::{Config, NamespaceSection};
use carillon_hub::domain::namespace::Who;

use crate::callers::{OF_ASKED, OF_CONVERSATIONS, OF_GRANTED, OF_ROLES};
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
    /// Rooms of members whose namespace says what roles may do; and every command elsewhere, where it says nothing.
    Roles,
}

impl Sheet {
    pub(crate) const ALL: [Self; 4] = [Self::Conversations, Self::Granted, Self::Asked, Self::Roles];

    /// What is expected.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Conversations => include_str!("expected.txt"),
            Self::Granted => include_str!("granted.txt"),
            Self::Asked => include_str!("asked.txt"),
            Self::Roles => include_str!("roles.txt"),
        }
    }

    /// The rooms' namespace.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::Conversations => "conversation",
            Self::Granted => "case",
            Self::Asked => "file",
            Self::Roles => "ward",
        }
    }

    /// The columns.
    pub(crate) fn callers(self) -> &'static [&'static str] {
        match self {
            Self::Conversations => &OF_CONVERSATIONS,
            Self::Granted => &OF_GRANTED,
            Self::Asked => &OF_ASKED,
            Self::Roles => &OF_ROLES,
        }
    }

    /// The rows.
    pub(crate) fn commands(self) -> impl Iterator<Item = &'static Tried> {
        COMMANDS
            .iter()
            .filter(move |command| command.here || matches!(self, Self::Conversations | Self::Roles))
    }
}

/// The namespaces that go by grants, by the authoriser and by roles.
pub(crate) fn add_namespaces(config: &mut Config) {
    for (sheet, who) in
        [(Sheet::Granted, Who::Granted), (Sheet::Asked, Who::Authorizer), (Sheet::Roles, Who::Members)]
    {
        let mut namespace = NamespaceSection {
            name: sheet.namespace().to_owned(),
            join: who,
            send: who,
            ..NamespaceSection::default()
        };
        for (role, may) in token_roles(sheet) {
            namespace.token_roles.insert((*role).to_owned(), list(may));
        }
        if sheet == Sheet::Roles {
            namespace.roles.reader = Some(list(&["room.join", "history.read", "message.send"]));
        }
        config.namespaces.push(namespace);
    }
}

/// What the roles of tokens may do in a sheet's rooms: each is called as the caller who has it.
fn token_roles(sheet: Sheet) -> &'static [(&'static str, &'static [&'static str])] {
    match sheet {
        Sheet::Roles => &[
            ("everything", &["*"]),
            ("joins", &["room.join", "message.type"]),
            ("reads", &["history.read", "member.list", "presence.read", "message.mark"]),
            ("writes", &["message.send", "message.edit", "message.delete", "message.react", "event.publish"]),
            ("manages", &["member.*", "moderation.delete", "room.update"]),
        ],
        Sheet::Asked => &[("inspector", &["room.join", "message.send"])],
        Sheet::Conversations | Sheet::Granted => &[],
    }
}

fn list(actions: &[&str]) -> Vec<String> {
    actions.iter().map(|action| (*action).to_owned()).collect()
}
