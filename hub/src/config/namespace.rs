//! `[[namespace]]`: the rules of rooms.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::check::Broken;
use super::limits::RateSetting;
use super::roles::{self, NamespaceRoles};
use super::span;
use crate::access::limits::{Limited, OwnRates};
use crate::domain::limits::CONTENT_BYTES;
use crate::domain::media::MediaTypes;
use crate::domain::names::RoomName;
use crate::domain::namespace::{AutoJoin, NamespaceRules, Who};

/// Most members that configuration may allow a room.
const MEMBERS_MAX: u32 = 1_000_000;

/// The rules of one namespace, as [`NamespaceRules`] documents them. What is left out is as closed as can be.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file, and they are independent")]
pub struct NamespaceSection {
    /// The part of the room's name before the first colon. Required.
    pub name: String,
    /// Whether events and messages are kept; messages need it.
    pub durable: bool,
    /// Durable, and only the last event of each key is handed over on join.
    pub latest_per_key: bool,
    /// Who may join, read history and see presence.
    pub join: Who,
    /// Who may send messages and publish events.
    pub send: Who,
    /// Whether users may create rooms.
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
    /// How long a message may be edited by its sender; for ever where unset.
    #[serde(with = "span::optional")]
    pub edit_window: Option<Duration>,
    /// Entries older than this are removed; none where unset.
    #[serde(with = "span::optional")]
    pub retention_age: Option<Duration>,
    /// Entries past this count, from the oldest, are removed; none where unset.
    pub retention_count: Option<u64>,
    /// Most members of a room.
    pub member_limit: u32,
    /// Bytes of a message's content.
    pub message_bytes: usize,
    /// Media types of data in messages and events, as `image/png` or `image/*`.
    pub data_types: Vec<String>,
    /// What members may do, by their role.
    pub roles: NamespaceRoles,
    /// What those may do besides whose tokens name a role: patterns of actions by the role.
    pub token_roles: BTreeMap<String, Vec<String>>,
    /// Rates that take the place of those of `[limits]` in its rooms.
    pub rates: NamespaceRates,
}

/// The rates of one namespace; those of `[limits]` where unset.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamespaceRates {
    /// Sending messages.
    pub send: Option<RateSetting>,
    /// Editing messages.
    pub edit: Option<RateSetting>,
    /// Deleting messages.
    pub delete: Option<RateSetting>,
    /// Publishing events.
    pub publish: Option<RateSetting>,
    /// Typing.
    pub typing: Option<RateSetting>,
    /// Joining.
    pub join: Option<RateSetting>,
}

impl NamespaceRates {
    pub(super) fn own(&self) -> OwnRates {
        let Self { send, edit, delete, publish, typing, join } = self;
        [
            (Limited::Send, send),
            (Limited::Edit, edit),
            (Limited::Delete, delete),
            (Limited::Publish, publish),
            (Limited::Typing, typing),
            (Limited::Join, join),
        ]
        .into_iter()
        .filter_map(|(kind, rate)| Some((kind, rate.as_ref()?.0)))
        .collect()
    }
}

impl Default for NamespaceSection {
    fn default() -> Self {
        Self::from(NamespaceRules::closed(""))
    }
}

impl From<NamespaceRules> for NamespaceSection {
    fn from(rules: NamespaceRules) -> Self {
        Self {
            name: rules.name,
            durable: rules.durable,
            latest_per_key: rules.latest_per_key,
            join: rules.join,
            send: rules.send,
            create: rules.create,
            auto_join: rules.auto_join,
            presence: rules.presence,
            typing: rules.typing,
            receipts: rules.receipts,
            history_before_join: rules.history_before_join,
            edit_window: rules.edit_window,
            retention_age: rules.retention_age,
            retention_count: rules.retention_count,
            member_limit: rules.member_limit,
            message_bytes: rules.message_bytes,
            data_types: rules.data_types.iter().map(str::to_owned).collect(),
            roles: NamespaceRoles::default(),
            token_roles: BTreeMap::new(),
            rates: NamespaceRates::default(),
        }
    }
}

impl NamespaceSection {
    /// Whether an authoriser is asked about its rooms.
    pub(super) fn asks_authorizer(&self) -> bool {
        self.join == Who::Authorizer || self.send == Who::Authorizer
    }

    pub(super) fn rules(&self) -> NamespaceRules {
        NamespaceRules {
            name: self.name.clone(),
            durable: self.durable,
            latest_per_key: self.latest_per_key,
            join: self.join,
            send: self.send,
            create: self.create,
            auto_join: self.auto_join,
            presence: self.presence,
            typing: self.typing,
            receipts: self.receipts,
            history_before_join: self.history_before_join,
            edit_window: self.edit_window,
            retention_age: self.retention_age,
            retention_count: self.retention_count,
            member_limit: self.member_limit,
            message_bytes: self.message_bytes,
            // A list that is none was refused by the check.
            data_types: MediaTypes::parse(&self.data_types).unwrap_or_default(),
            roles: roles::actions(&self.roles, &self.token_roles),
        }
    }

    /// The first rule that these break, with its key.
    fn broken(&self) -> Option<(&'static str, &'static str)> {
        let members = self.join == Who::Members || self.send == Who::Members;
        let short = |limit: Option<Duration>| limit.is_some_and(|limit| limit < Duration::from_secs(1));
        let auto_joins = match self.auto_join {
            AutoJoin::Never => true,
            AutoJoin::User => matches!(self.join, Who::Owner | Who::Tenant),
            AutoJoin::Tenant => self.join == Who::Tenant,
        };
        let is_name = !self.name.contains(':') && RoomName::of(&self.name, "x").is_ok();
        [
            (!is_name, "name", "required: A-Z a-z 0-9 _ . @ | + = -"),
            (members && !self.durable, "durable", "true where join or send is \"members\": members are kept"),
            (self.latest_per_key && !self.durable, "latest_per_key", "false where durable is false"),
            (self.create && self.join != Who::Members, "create", "false unless join is \"members\""),
            (
                !auto_joins,
                "auto_join",
                "\"user\" needs join \"owner\" or \"tenant\", \"tenant\" needs join \"tenant\"",
            ),
            (short(self.edit_window), "edit_window", "1s at least"),
            (short(self.retention_age), "retention_age", "1s at least"),
            (self.retention_count == Some(0), "retention_count", "1 at least"),
            (!(1..=CONTENT_BYTES).contains(&self.message_bytes), "message_bytes", "1 to 65536"),
            (
                MediaTypes::parse(&self.data_types).is_none(),
                "data_types",
                "media types, as image/png or image/*",
            ),
            (!(1..=MEMBERS_MAX).contains(&self.member_limit), "member_limit", "1 to 1000000"),
        ]
        .into_iter()
        .find_map(|(broken, key, rule)| broken.then_some((key, rule)))
    }
}

/// Checks each, that there is one, and that no name stands twice.
pub(super) fn check_all(namespaces: &[NamespaceSection]) -> Result<(), Broken> {
    if namespaces.is_empty() {
        return Err(Broken::new("namespace", "required: at least one [[namespace]]"));
    }
    let mut seen = HashSet::new();
    for (index, namespace) in namespaces.iter().enumerate() {
        let which = if namespace.name.is_empty() { index.to_string() } else { namespace.name.clone() };
        if let Some((key, rule)) = namespace.broken() {
            return Err(Broken::new(format!("namespace.{which}.{key}"), rule));
        }
        roles::check(&format!("namespace.{which}"), &namespace.roles, &namespace.token_roles)?;
        if !seen.insert(&namespace.name) {
            return Err(Broken::new(format!("namespace.{which}.name"), "each name once"));
        }
    }
    Ok(())
}
