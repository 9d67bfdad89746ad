//! What roles may do, where a namespace says so itself: patterns over the names of actions.

use super::member::Role;

/// Longest name of an action or of a role, and longest pattern, bytes.
const NAME_BYTES: usize = 100;

/// Actions by name, as `message.send`, by how a name begins, as `message.*`, or all, `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionPatterns(Vec<Box<str>>);

impl ActionPatterns {
    /// From patterns as they are written; `None` where one is none.
    pub fn parse<T: AsRef<str>>(patterns: &[T]) -> Option<Self> {
        let parsed = patterns.iter().map(|pattern| {
            let pattern = pattern.as_ref();
            let begin = pattern.strip_suffix(".*").unwrap_or(pattern);
            (pattern == "*" || begin.split('.').all(is_word) && pattern.len() <= NAME_BYTES)
                .then(|| pattern.into())
        });
        parsed.collect::<Option<_>>().map(Self)
    }

    /// Whether an action of this name is among them.
    pub fn allow(&self, action: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, action))
    }

    /// The patterns that fit none of these actions.
    pub fn idle<'a>(&'a self, actions: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let is_idle = |pattern: &&str| !actions.iter().any(|action| matches(pattern, action));
        self.0.iter().map(|pattern| &**pattern).filter(is_idle)
    }
}

fn matches(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => action.starts_with(begin),
        None => pattern == action,
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What the roles of a namespace may do: those of its rooms' members, where it is other than usual, and those that
/// tokens name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleActions {
    members: Vec<(Role, ActionPatterns)>,
    tokens: Vec<(Box<str>, ActionPatterns)>,
}

impl RoleActions {
    /// Says what members of a role may do, in place of what is usual.
    #[must_use]
    pub fn with_members(mut self, role: Role, actions: ActionPatterns) -> Self {
        self.members.retain(|(other, _)| *other != role);
        self.members.push((role, actions));
        self
    }

    /// Says what who bears a token with this role may do besides.
    #[must_use]
    pub fn with_tokens(mut self, role: &str, actions: ActionPatterns) -> Self {
        self.tokens.retain(|(other, _)| **other != *role);
        self.tokens.push((role.into(), actions));
        self
    }

    /// Whether a member of `role` may do `action`; `usually`, where nothing else is said of the role.
    pub fn of_member(&self, role: Role, action: &str, usually: bool) -> bool {
        let own = self.members.iter().find(|(other, _)| *other == role);
        own.map_or(usually, |(_, actions)| actions.allow(action))
    }

    /// Whether each of what a member may do is decided by itself.
    pub fn say_of_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether one of these roles of a token may do `action`.
    pub fn of_token(&self, roles: &TokenRoles, action: &str) -> bool {
        self.tokens.iter().any(|(name, actions)| roles.has(name) && actions.allow(action))
    }

    /// Whether there is a role of a token that may do `action`.
    pub fn any_token_may(&self, action: &str) -> bool {
        self.tokens.iter().any(|(_, actions)| actions.allow(action))
    }

    /// Whether anything is said of one of these roles of a token.
    pub fn know(&self, roles: &TokenRoles) -> bool {
        self.tokens.iter().any(|(name, _)| roles.has(name))
    }
}

/// The roles that a token names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRoles(Option<std::sync::Arc<[Box<str>]>>);

impl TokenRoles {
    /// These.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<_> = names.into_iter().map(Box::from).collect();
        Self((!names.is_empty()).then(|| names.into()))
    }

    fn has(&self, role: &str) -> bool {
        self.0.as_ref().is_some_and(|names| names.iter().any(|name| **name == *role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_one() {
        let actions = ActionPatterns::parse(&["message.send", "member.*"]).unwrap();
        for (action, allowed) in [
            ("message.send", true),
            ("message.sender", false),
            ("message.edit", false),
            ("member.add", true),
            ("members.add", false),
            ("member", false),
            // An application's own.
            ("approval.approve", false),
        ] {
            assert_eq!(actions.allow(action), allowed, "{action}");
        }
        assert!(ActionPatterns::parse(&["*"]).unwrap().allow("approval.approve"));
        assert!(!ActionPatterns::default().allow("message.send"));
        for pattern in
            ["", ".", "message.", ".*", "mess*", "message*", "Message.send", "message.*.x", "**", "a b"]
        {
            assert_eq!(ActionPatterns::parse(&[pattern]), None, "{pattern}");
        }
        assert!(ActionPatterns::parse(&["a".repeat(101)]).is_none());
        let idle: Vec<_> = actions.idle(&["message.edit", "member.add"]).collect();
        assert_eq!(idle, ["message.send"]);
    }

    #[test]
    fn members_roles_and_tokens_roles_are_told_apart() {
        let send = || ActionPatterns::parse(&["message.send"]).unwrap();
        let roles = RoleActions::default().with_members(Role::Reader, send()).with_tokens("nurse", send());
        assert!(roles.of_member(Role::Reader, "message.send", false));
        assert!(!roles.of_member(Role::Reader, "history.read", true), "the list says all");
        assert!(roles.of_member(Role::Member, "history.read", true));
        assert!(!roles.of_member(Role::Member, "message.send", false));
        let token = |names: &[&'static str]| TokenRoles::new(names.iter().copied());
        assert!(roles.of_token(&token(&["cook", "nurse"]), "message.send"));
        assert!(!roles.of_token(&token(&["nurse"]), "history.read"));
        // A token's reader is no member.
        assert!(!roles.of_token(&token(&["reader"]), "message.send") && !roles.know(&token(&["reader"])));
        assert!(roles.know(&token(&["nurse"])) && !roles.know(&TokenRoles::default()));
    }
}
