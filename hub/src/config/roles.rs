//! `namespace.roles` and `namespace.token_roles`: what roles may do.

use std::collections::BTreeMap;

use super::check::Broken;
use crate::access::rules::Capability;
use crate::domain::member::Role;
use crate::domain::roles::{ActionPatterns, RoleActions};

const RULE: &str = "actions as message.send, message.* or *";

/// Patterns of what members may do, by their role; what is usual, where a role has no list. A list says all that its
/// role may do.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamespaceRoles {
    /// Owners.
    pub owner: Option<Vec<String>>,
    /// Moderators.
    pub moderator: Option<Vec<String>>,
    /// Members.
    pub member: Option<Vec<String>>,
    /// Readers.
    pub reader: Option<Vec<String>>,
}

impl NamespaceRoles {
    /// The lists that there are.
    fn lists(&self) -> impl Iterator<Item = (&'static str, Role, &Vec<String>)> {
        [
            ("owner", Role::Owner, &self.owner),
            ("moderator", Role::Moderator, &self.moderator),
            ("member", Role::Member, &self.member),
            ("reader", Role::Reader, &self.reader),
        ]
        .into_iter()
        .filter_map(|(name, role, list)| Some((name, role, list.as_ref()?)))
    }
}

/// The lists that were [checked](check).
pub(super) fn actions(members: &NamespaceRoles, tokens: &BTreeMap<String, Vec<String>>) -> RoleActions {
    // What cannot be parsed was refused by the check, and gives nothing.
    let parse = |list: &Vec<String>| ActionPatterns::parse(list).unwrap_or_default();
    let usual = RoleActions::default();
    let own = members.lists().fold(usual, |all, (_, role, list)| all.with_members(role, parse(list)));
    tokens.iter().fold(own, |all, (role, list)| all.with_tokens(role, parse(list)))
}

/// Checks that each pattern is one, and gives something: a misspelt one would give nothing without a word. `section` is
/// what errors call the namespace.
pub(super) fn check(
    section: &str,
    members: &NamespaceRoles,
    tokens: &BTreeMap<String, Vec<String>>,
) -> Result<(), Broken> {
    for (name, _, list) in members.lists() {
        let key = format!("{section}.roles.{name}");
        let actions = parse(&key, list)?;
        // Members are shown the last message of their rooms, and a change of role ends no join.
        if !actions.allow(Capability::Join.action()) {
            return Err(Broken::new(key, "room.join among them: who may not follow a room is no member"));
        }
    }
    for (name, list) in tokens {
        parse(&format!("{section}.token_roles.{name}"), list)?;
    }
    Ok(())
}

fn parse(key: &str, list: &[String]) -> Result<ActionPatterns, Broken> {
    let actions = ActionPatterns::parse(list).ok_or_else(|| Broken::new(key, RULE))?;
    let known = Capability::actions();
    if let Some(pattern) = actions.idle(&known).next() {
        return Err(Broken::new(key, format!("{pattern} is none of the actions: {}", known.join(", "))));
    }
    Ok(actions)
}
