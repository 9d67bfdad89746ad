//! What a token itself allows its bearer: rooms to users, abilities to services.

use std::sync::Arc;

use super::error::Violation;
use super::limits::{GRANTS, ROOM_NAME_BYTES};
use super::names::{RoomName, is_name_byte};
use super::roles::TokenRoles;

/// What a token allows, besides saying who bears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Powers {
    /// In which rooms a user may do what, where the namespace goes by grants. Most tokens have none.
    pub grants: Option<Arc<Grants>>,
    /// What a service may do.
    pub abilities: Abilities,
    /// Roles of a user's that namespaces may know.
    pub roles: TokenRoles,
}

impl Powers {
    /// Whether the token grants this in a room.
    pub fn grants(&self, room: &RoomName, grant: Grant) -> bool {
        self.grants.as_ref().is_some_and(|grants| grants.allow(room, grant))
    }
}

/// What can be granted in rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Follow the room, and mark what one has read.
    Join,
    /// Send messages, edit and delete one's own, react, type.
    Send,
    /// Publish events.
    Publish,
    /// See who is present.
    Presence,
    /// Read what was said before one joined.
    History,
    /// What a moderator may do.
    Moderate,
}

impl Grant {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Join, Self::Send, Self::Publish, Self::Presence, Self::History, Self::Moderate];

    /// Its name in a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Send => "send",
            Self::Publish => "publish",
            Self::Presence => "presence",
            Self::History => "history",
            Self::Moderate => "moderate",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Rooms by a name, or by how a name begins, and what may be done in them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RoomGrant {
    begin: Box<str>,
    /// Whether the name may go on after `begin`.
    open: bool,
    can: u8,
}

/// All grants of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<RoomGrant>);

impl Grants {
    /// Adds a grant. `pattern` is a room's name, or the beginning of one and a `*` at the end, as `workspace:42:*`.
    pub fn add(&mut self, pattern: &str, can: &[Grant]) -> Result<(), Violation> {
        if self.0.len() == GRANTS {
            return Err(Violation { field: "rooms", rule: "at most 100 grants" });
        }
        let (begin, open) = pattern.strip_suffix('*').map_or((pattern, false), |begin| (begin, true));
        // Within one namespace, so that a grant reaches no room of a kind that it was not made for.
        let well_formed = begin.len() <= ROOM_NAME_BYTES
            && begin.bytes().all(is_name_byte)
            && begin.find(':').is_some_and(|colon| colon > 0);
        if !well_formed {
            return Err(Violation {
                field: "rooms",
                rule: "a room, or a namespace, a colon and more with * at the end",
            });
        }
        let can = can.iter().fold(0, |bits, grant| bits | grant.bit());
        self.0.push(RoomGrant { begin: begin.into(), open, can });
        Ok(())
    }

    /// Whether any grant allows this in a room.
    pub fn allow(&self, room: &RoomName, grant: Grant) -> bool {
        let name = room.as_str();
        self.0.iter().any(|own| {
            own.can & grant.bit() != 0
                && if own.open { name.starts_with(&*own.begin) } else { *name == *own.begin }
        })
    }
}

/// What a service may ask of the administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Read rooms, members, sessions, levels and figures.
    Read,
    /// Create and change rooms and their members.
    Rooms,
    /// Send messages and publish events.
    Send,
    /// Send notifications.
    Notify,
    /// End sessions, and fill buckets.
    Sessions,
    /// Revoke tokens.
    Revoke,
    /// Erase a user's content.
    Erase,
}

impl Ability {
    /// All.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Rooms, Self::Send, Self::Notify, Self::Sessions, Self::Revoke, Self::Erase];

    /// Its name in a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Rooms => "rooms",
            Self::Send => "send",
            Self::Notify => "notify",
            Self::Sessions => "sessions",
            Self::Revoke => "revoke",
            Self::Erase => "erase",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a service may do: everything, unless its token says what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities(u8);

impl Default for Abilities {
    fn default() -> Self {
        Self(u8::MAX)
    }
}

impl Abilities {
    /// These alone.
    pub fn of(abilities: impl IntoIterator<Item = Ability>) -> Self {
        Self(abilities.into_iter().fold(0, |bits, ability| bits | ability.bit()))
    }

    /// Whether one is among them.
    pub fn has(self, ability: Ability) -> bool {
        self.0 & ability.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, room: &str) -> bool {
        let mut grants = Grants::default();
        grants.add(pattern, &[Grant::Join, Grant::History]).unwrap();
        let room = RoomName::parse(room).unwrap();
        assert!(!grants.allow(&room, Grant::Send), "not granted");
        assert_eq!(grants.allow(&room, Grant::Join), grants.allow(&room, Grant::History));
        grants.allow(&room, Grant::Join)
    }

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_one() {
        assert!(allows("case:1", "case:1"));
        assert!(!allows("case:1", "case:10") && !allows("case:10", "case:1"));
        assert!(allows("workspace:42:*", "workspace:42:dashboard"));
        assert!(
            !allows("workspace:42:*", "workspace:421:dashboard") && !allows("workspace:42:*", "workspace:42")
        );
        assert!(allows("case:*", "case:1") && !allows("case:*", "cases:1"));
    }

    #[test]
    fn no_pattern_reaches_over_namespaces() {
        let mut grants = Grants::default();
        for pattern in ["*", "", "case", "case*", ":x", "a b:*", "case:*:x", "cas\u{e9}:*"] {
            assert!(grants.add(pattern, &[Grant::Join]).is_err(), "{pattern}");
        }
        for _ in 0..GRANTS {
            grants.add("case:*", &[]).unwrap();
        }
        assert!(grants.add("case:*", &[]).is_err());
    }

    #[test]
    fn a_service_may_all_or_what_its_token_says() {
        let some = Abilities::of([Ability::Notify, Ability::Read]);
        for ability in Ability::ALL {
            assert!(Abilities::default().has(ability));
            assert_eq!(some.has(ability), matches!(ability, Ability::Notify | Ability::Read));
            assert!(!Abilities::of([]).has(ability));
        }
    }
}
