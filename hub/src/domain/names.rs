//! Ids and names. Parsing is the only way to make one, so whoever holds a name holds a valid one.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::error::Violation;
use super::limits;

const ALPHABET: &str = "only A-Z a-z 0-9 _ . : @ | + = -";

/// Whether a byte belongs to the alphabet of rooms and ids.
pub(crate) const fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'@' | b'|' | b'+' | b'=' | b'-')
}

fn check(field: &'static str, text: &str, most: usize, too_long: &'static str) -> Result<(), Violation> {
    if text.is_empty() {
        return Err(Violation { field, rule: "required" });
    }
    if text.len() > most {
        return Err(Violation { field, rule: too_long });
    }
    if !text.bytes().all(is_name_byte) {
        return Err(Violation { field, rule: ALPHABET });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $most:expr, $too_long:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses and checks it.
            pub fn parse(text: &str) -> Result<Self, Violation> {
                check($field, text, $most, $too_long)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// An organisation. At most 128 bytes of the room alphabet. Comes from the token, never from a frame.
    TenantId, "tenant", limits::ID_BYTES, "at most 128 bytes"
);
name!(
    /// A user of a tenant, or a service that acts in it. At most 128 bytes of the room alphabet.
    UserId, "user", limits::ID_BYTES, "at most 128 bytes"
);
name!(
    /// A tab or an app process of a user. At most 128 bytes of the room alphabet.
    InstanceId, "instance", limits::ID_BYTES, "at most 128 bytes"
);

impl InstanceId {
    /// By which nodes know it: the same on all of them, and never 0.
    pub fn mark(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write(self.as_str().as_bytes());
        hasher.finish().max(1)
    }

    /// By which nodes know that it comes from there too.
    pub fn mark_at(&self, address: Option<IpAddr>) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write(self.as_str().as_bytes());
        match address {
            Some(IpAddr::V4(address)) => hasher.write(&[&[0, 4][..], &address.octets()].concat()),
            Some(IpAddr::V6(address)) => hasher.write(&[&[0, 6][..], &address.octets()].concat()),
            None => hasher.write(&[0]),
        }
        hasher.finish().max(1)
    }
}

name!(
    /// A notification's id, chosen by the hub. At most 128 bytes of the room alphabet.
    NotificationId, "id", limits::ID_BYTES, "at most 128 bytes"
);

/// A room: `namespace:id`, as `conversation:9f2c` or `workspace:42:dashboard`. At most 255 bytes of
/// `A-Z a-z 0-9 _ . : @ | + = -`; neither part may be empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Parses and checks it.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        check("room", text, limits::ROOM_NAME_BYTES, "at most 255 bytes")?;
        match text.split_once(':') {
            Some((namespace, id)) if !namespace.is_empty() && !id.is_empty() => Ok(Self(text.into())),
            _ => Err(Violation { field: "room", rule: "namespace:id" }),
        }
    }

    /// The room `namespace:id`.
    pub fn of(namespace: &str, id: &str) -> Result<Self, Violation> {
        Self::parse(&format!("{namespace}:{id}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first colon.
    pub fn namespace(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// The part after the first colon.
    pub fn id(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, id)| id)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A room within its tenant: what every map of rooms is keyed by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The room.
    pub room: RoomName,
}

/// A user within their tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
}

/// A session's id: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u128);

impl SessionId {
    /// Parses the 32 hexadecimal digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.len() != 32 {
            return Err(Violation { field: "session", rule: "32 hexadecimal digits" });
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| Violation { field: "session", rule: "32 hexadecimal digits" })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A client's key for one attempt to change something: 8 to 64 bytes. A retry bears the same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(bytes::Bytes);

impl IdempotencyKey {
    /// Checks the length.
    pub fn parse(bytes: bytes::Bytes) -> Result<Self, Violation> {
        if limits::IDEMPOTENCY_KEY_BYTES.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(Violation { field: "idempotency_key", rule: "8 to 64 bytes" })
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rooms_have_a_namespace_and_an_id() {
        let room = RoomName::parse("workspace:42:dashboard").unwrap();
        assert_eq!((room.namespace(), room.id()), ("workspace", "42:dashboard"));
        for bad in
            ["", "plain", ":id", "namespace:", "a b:c", "a:\u{7}", "a:é", &format!("a:{}", "x".repeat(254))]
        {
            assert!(RoomName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(RoomName::parse(&format!("a:{}", "x".repeat(253))).is_ok());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in ".{0,300}") {
            if let Ok(room) = RoomName::parse(&text) {
                prop_assert_eq!(room.as_str(), &text);
                prop_assert!(text.len() <= limits::ROOM_NAME_BYTES && text.bytes().all(is_name_byte));
            }
        }
    }
}
