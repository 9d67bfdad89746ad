//! Cursors of pages: opaque to clients, bound to the user and the list that they were written for.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::command::Cursor;
use super::error::Violation;
use super::names::UserKey;

/// How a cursor that this hub did not write for this user and list is refused.
pub const REFUSED: Violation =
    Violation { field: "cursor", rule: "as the page before gave it, to the same user" };

/// Which list a cursor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum List {
    /// The user's rooms.
    Rooms = 1,
    /// A room's members.
    Members = 2,
    /// Who is present in a room.
    Presence = 3,
    /// The inbox.
    Notifications = 4,
    /// An administrator's list of rooms.
    AdminRooms = 5,
    /// An administrator's list of sessions.
    AdminSessions = 6,
}

/// Ties `place` to the list (`scope` names the room where there is one) and the user.
pub fn write(list: List, user: &UserKey, scope: &str, place: &str) -> Cursor {
    Cursor(format!("{:016x}{place}", binding(list, user, scope, place)))
}

/// The place that a cursor stands for; `None` for the first page. Refused where it was written for another user, list
/// or room.
pub fn read<'a>(
    list: List,
    user: &UserKey,
    scope: &str,
    cursor: &'a Cursor,
) -> Result<Option<&'a str>, Violation> {
    if cursor.0.is_empty() {
        return Ok(None);
    }
    let (hash, place) = cursor.0.split_at_checked(16).ok_or(REFUSED)?;
    if u64::from_str_radix(hash, 16) == Ok(binding(list, user, scope, place)) {
        Ok(Some(place))
    } else {
        Err(REFUSED)
    }
}

/// Not a signature: a user who forges one reads their own list from another place.
fn binding(list: List, user: &UserKey, scope: &str, place: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u8(list as u8);
    for part in [user.tenant.as_str(), user.user.as_str(), scope, place] {
        hasher.write_usize(part.len());
        hasher.write(part.as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::names::{TenantId, UserId};
    use super::*;

    fn user(name: &str) -> UserKey {
        UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse(name).unwrap() }
    }

    #[test]
    fn a_cursor_is_good_for_its_user_list_and_room_only() {
        let cursor = write(List::Members, &user("alice"), "conversation:1", "bob");
        assert_eq!(read(List::Members, &user("alice"), "conversation:1", &cursor), Ok(Some("bob")));
        assert!(read(List::Members, &user("bob"), "conversation:1", &cursor).is_err());
        assert!(read(List::Members, &user("alice"), "conversation:2", &cursor).is_err());
        assert!(read(List::Rooms, &user("alice"), "conversation:1", &cursor).is_err());
        for bad in ["x", "0123456789abcdef", "é123456789abcdefé"] {
            assert!(read(List::Members, &user("alice"), "", &Cursor(bad.into())).is_err());
        }
        assert_eq!(read(List::Rooms, &user("bob"), "", &Cursor::default()), Ok(None));
    }
}
