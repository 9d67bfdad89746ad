//! An item of an outbox: what is to happen to whom.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::domain::inbox::Notice;
use crate::domain::names::{RoomName, TenantId, UserId};
use crate::redis::{Partition, Reader, notice};
use crate::store::StoreError;

use super::super::answer::damaged;

/// One item.
pub(super) struct Item {
    pub(super) number: u64,
    /// The epoch that it was put in.
    pub(super) epoch: [u8; 8],
    pub(super) tenant: TenantId,
    pub(super) kind: Kind,
    users: Vec<Concerned>,
    /// As it is in the outbox.
    pub(super) bytes: Vec<u8>,
}

pub(super) enum Kind {
    /// A notice for some users.
    Notify(Arc<Notice>),
    /// Whether a room is among users' rooms.
    Index(RoomName),
}

/// Whom it concerns; of a room whether it is one of theirs.
pub(super) type Concerned = (bool, UserId);

impl Item {
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, StoreError> {
        let mut from = Reader::new(&bytes);
        let (number, epoch, kind) = (from.u64()?, from.u64()?.to_le_bytes(), from.u8()?);
        let tenant = TenantId::parse(from.text16()?).map_err(|_| damaged("tenant"))?;
        let kind = match kind {
            1 => Kind::Notify(notice::decode(from.bytes32()?)?),
            2 => Kind::Index(RoomName::parse(from.text16()?).map_err(|_| damaged("room"))?),
            _ => return Err(damaged("an effect of an unknown kind")),
        };
        let mut users = Vec::new();
        while !from.is_empty() {
            let add = matches!(kind, Kind::Notify(_)) || from.u8()? != 0;
            users.push((add, UserId::parse(from.text16()?).map_err(|_| damaged("user"))?));
        }
        Ok(Self { number, epoch, tenant, kind, users, bytes })
    }

    /// Those of each partition, in order.
    pub(super) fn by_target(&self) -> FxHashMap<Partition, Vec<Concerned>> {
        let mut groups: FxHashMap<Partition, Vec<Concerned>> = FxHashMap::default();
        for concerned in &self.users {
            let target = Partition::of_user(&self.tenant, &concerned.1);
            groups.entry(target).or_default().push(concerned.clone());
        }
        groups
    }
}
