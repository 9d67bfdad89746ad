//! The names of keys and channels.
//!
//! `prefix:{partition}:kind/tenant/id` and, for what belongs to it, a suffix. Neither tenants nor ids have a slash.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::LazyLock;

use siphasher::sip::SipHasher13;

use super::slots::slot_of;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};

/// How many partitions there are. It stays: another number would look for what is there in other places.
pub const PARTITIONS: u16 = 1024;

/// What holds one in 1,024 homes: the keys of a partition are on one server, and one script reaches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// The one with this number, where there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        u16::try_from(number).ok().filter(|number| *number < PARTITIONS).map(Self)
    }

    /// The slot that its keys are in.
    pub fn slot(self) -> u16 {
        static SLOTS: LazyLock<Vec<u16>> = LazyLock::new(|| {
            (0..PARTITIONS).map(|partition| slot_of(partition.to_string().as_bytes())).collect()
        });
        SLOTS[usize::from(self.0)]
    }

    /// Its number, below [`PARTITIONS`].
    pub fn number(self) -> u16 {
        self.0
    }

    fn of(kind: u8, tenant: &str, id: &str) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write_u8(kind);
        hasher.write(tenant.as_bytes());
        hasher.write_u8(0);
        hasher.write(id.as_bytes());
        Self((hasher.finish() % u64::from(PARTITIONS)) as u16)
    }

    /// A room's.
    pub fn of_room(tenant: &TenantId, room: &RoomName) -> Self {
        Self::of(b'r', tenant.as_str(), room.as_str())
    }

    /// A user's.
    pub fn of_user(tenant: &TenantId, user: &UserId) -> Self {
        Self::of(b'u', tenant.as_str(), user.as_str())
    }

    /// A tenant's own: its broadcasts and its directory.
    pub fn of_tenant(tenant: &TenantId) -> Self {
        Self::of(b't', tenant.as_str(), "")
    }

    /// That of a service, of a tenant or of several: the tickets that it holds.
    pub fn of_service(tenant: Option<&TenantId>, name: &UserId) -> Self {
        Self::of(b's', tenant.map_or("", |tenant| tenant.as_str()), name.as_str())
    }

    /// An address's: how many sessions it has.
    pub fn of_address(address: IpAddr) -> Self {
        Self::of(b'a', "", &address.to_string())
    }

    /// That of what belongs to no tenant: the identity, revocations, audit heads.
    pub fn of_hub() -> Self {
        Self::of(b'h', "", "")
    }
}

/// Makes names under one prefix.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: std::sync::Arc<str>,
}

impl Names {
    /// Names that begin with `prefix`, as `carillon`.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// What all keys of a partition begin with.
    pub fn partition(&self, partition: Partition) -> String {
        format!("{}:{{{}}}:", self.prefix, partition.0)
    }

    /// A room's key, without its suffix.
    pub fn room(&self, room: &RoomKey) -> String {
        let partition = self.partition(Partition::of_room(&room.tenant, &room.room));
        format!("{partition}r/{}/{}", room.tenant, room.room)
    }

    /// A user's key, without its suffix.
    pub fn user(&self, user: &UserKey) -> String {
        let partition = self.partition(Partition::of_user(&user.tenant, &user.user));
        format!("{partition}u/{}/{}", user.tenant, user.user)
    }

    /// A tenant's key, without its suffix.
    pub fn tenant(&self, tenant: &TenantId) -> String {
        format!("{}t/{tenant}", self.partition(Partition::of_tenant(tenant)))
    }

    /// The key of what belongs to no tenant.
    pub fn hub(&self) -> String {
        format!("{}hub", self.partition(Partition::of_hub()))
    }

    /// The key of the nodes' leases, without its suffix: lives by when they end.
    pub fn nodes(&self) -> String {
        format!("{}nodes", self.partition(Partition::of_hub()))
    }

    /// The key of those among them that have stopped.
    pub fn nodes_left(&self) -> String {
        format!("{}/left", self.nodes())
    }

    /// The channel of what is committed in a room.
    pub fn room_channel(&self, room: &RoomKey) -> String {
        format!("{}/c", self.room(room))
    }

    /// The channel of a user's inbox.
    pub fn user_channel(&self, user: &UserKey) -> String {
        format!("{}/c", self.user(user))
    }

    /// The channel of a tenant: broadcasts and what concerns all of its users.
    pub fn tenant_channel(&self, tenant: &TenantId) -> String {
        format!("{}/c", self.tenant(tenant))
    }

    /// The channel that every node hears: revocations and control.
    pub fn hub_channel(&self) -> String {
        format!("{}/c", self.hub())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustc_hash::FxHashSet;

    #[test]
    fn a_homes_keys_bear_one_tag_and_homes_spread() {
        let names = Names::new("carillon");
        let tenant = TenantId::parse("acme").unwrap();
        let tags: FxHashSet<u16> = (0..10_000)
            .map(|n| {
                Partition::of_room(&tenant, &RoomName::parse(&format!("conversation:{n}")).unwrap()).number()
            })
            .collect();
        assert!(tags.len() > 1_000, "{}", tags.len());
        let room = RoomKey { tenant, room: RoomName::parse("conversation:a").unwrap() };
        let partition = Partition::of_room(&room.tenant, &room.room);
        assert_eq!(
            names.room_channel(&room),
            format!("carillon:{{{}}}:r/acme/conversation:a/c", partition.number())
        );
    }

    /// What is stored is found by these: they never change.
    #[test]
    fn partitions_stay_where_they_are() {
        let tenant = TenantId::parse("acme").unwrap();
        let numbers = [
            Partition::of_room(&tenant, &RoomName::parse("conversation:a").unwrap()),
            Partition::of_user(&tenant, &UserId::parse("bob").unwrap()),
            Partition::of_tenant(&tenant),
            Partition::of_hub(),
        ];
        assert_eq!(numbers.map(Partition::number), [388, 582, 191, 64]);
        let names = Names::new("carillon");
        assert!(numbers.iter().all(|at| at.slot() == slot_of(names.partition(*at).as_bytes())));
    }
}
