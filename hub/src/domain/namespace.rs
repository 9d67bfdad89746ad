//! What configuration says of the rooms of a namespace.

use std::time::Duration;

use super::limits::CONTENT_BYTES;
use super::media::MediaTypes;
use super::names::{RoomName, TenantId, UserId};
use super::roles::RoleActions;

/// Who may do a thing in a room, from configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Every user of the tenant.
    Tenant,
    /// Its members; what a member may do is the role's.
    Members,
    /// The user whose id is the room's id.
    Owner,
    /// Whose token grants it, by the room's name.
    Granted,
    /// Whom the organisation's own authoriser lets.
    Authorizer,
    /// Services only, through the administration service.
    Service,
}

/// Which rooms of a namespace every session of the tenant is joined to by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoJoin {
    /// None.
    Never,
    /// The room whose id is the user's.
    User,
    /// The room whose id is the tenant's.
    Tenant,
}

/// The rules of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRules {
    /// The part of the room's name before the first colon.
    pub name: String,
    /// Whether events and messages are kept; messages need it.
    pub durable: bool,
    /// Durable, and only the last event of each key is handed over on join.
    pub latest_per_key: bool,
    /// Who may join, read history and see presence.
    pub join: Who,
    /// Who may send messages and publish events.
    pub send: Who,
    /// Whether users may create rooms of this namespace with `conversation_create`.
    pub create: bool,
    /// Which rooms are joined by themselves.
    pub auto_join: AutoJoin,
    /// Whether joined sessions see who is present.
    pub presence: bool,
    /// Whether typing is passed on.
    pub typing: bool,
    /// Whether marks are shown to others.
    pub receipts: bool,
    /// Whether a new member may read what was before them.
    pub history_before_join: bool,
    /// How long a message may be edited by its sender.
    pub edit_window: Option<Duration>,
    /// Entries older than this are removed.
    pub retention_age: Option<Duration>,
    /// Entries past this count, from the oldest, are removed.
    pub retention_count: Option<u64>,
    /// Most members of a room.
    pub member_limit: u32,
    /// Bytes of a message's content.
    pub message_bytes: usize,
    /// Media types of data in messages and events.
    pub data_types: MediaTypes,
    /// What roles may do.
    pub roles: RoleActions,
}

impl NamespaceRules {
    /// Rules that close everything: what configuration starts from.
    pub fn closed(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            durable: true,
            latest_per_key: false,
            join: Who::Members,
            send: Who::Members,
            create: false,
            auto_join: AutoJoin::Never,
            presence: true,
            typing: true,
            receipts: true,
            history_before_join: true,
            edit_window: None,
            retention_age: None,
            retention_count: None,
            member_limit: 10_000,
            message_bytes: CONTENT_BYTES,
            data_types: MediaTypes::default(),
            roles: RoleActions::default(),
        }
    }

    /// Whether tokens say who may do what in its rooms.
    pub fn goes_by_grants(&self) -> bool {
        self.join == Who::Granted || self.send == Who::Granted
    }

    /// The room of this namespace that a session of `user` is joined to by itself, if any.
    pub fn automatic_room(&self, tenant: &TenantId, user: &UserId) -> Option<RoomName> {
        match self.auto_join {
            AutoJoin::Never => None,
            AutoJoin::User => RoomName::of(&self.name, user.as_str()).ok(),
            AutoJoin::Tenant => RoomName::of(&self.name, tenant.as_str()).ok(),
        }
    }
}

/// All namespaces of the configuration. A room of another namespace does not exist.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(Vec<NamespaceRules>);

impl Namespaces {
    /// The rules, one per namespace.
    pub fn new(rules: Vec<NamespaceRules>) -> Self {
        Self(rules)
    }

    /// The rules that `room` is under; `None` where its namespace is not configured.
    pub fn rules(&self, room: &RoomName) -> Option<&NamespaceRules> {
        let namespace = room.namespace();
        self.0.iter().find(|rules| rules.name == namespace)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &NamespaceRules> {
        self.0.iter()
    }
}
