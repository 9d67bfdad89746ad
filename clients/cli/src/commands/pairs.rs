//! Arguments of the form `KEY=VALUE`, roles and members.

use std::collections::BTreeMap;

use carillon_client::v1;
use clap::ValueEnum;

/// `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give it as KEY=VALUE".to_owned()),
    }
}

/// Pairs as the protocol has them; of two with one key the later one.
pub(crate) fn map(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    pairs.into_iter().collect()
}

/// What a user may do in a room, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Everything.
    Owner,
    /// Members, the room, others' messages.
    Moderator,
    /// Read and send.
    Member,
    /// Read.
    Reader,
}

impl From<RoleArg> for v1::Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Owner => Self::Owner,
            RoleArg::Moderator => Self::Moderator,
            RoleArg::Member => Self::Member,
            RoleArg::Reader => Self::Reader,
        }
    }
}

/// `USER` or `USER:ROLE`. A user id may hold colons itself: only a role's name after the last one counts as role.
pub(crate) fn member(text: &str) -> Result<v1::Member, String> {
    let role =
        text.rsplit_once(':').and_then(|(user, role)| Some((user, RoleArg::from_str(role, true).ok()?)));
    let (user, role) = role.unwrap_or((text, RoleArg::Member));
    if user.is_empty() {
        return Err("give it as USER or USER:ROLE".to_owned());
    }
    Ok(v1::Member { user: user.to_owned(), role: v1::Role::from(role).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_may_name_a_role() {
        let parsed = |text| member(text).map(|member| (member.user.clone(), member.role()));
        assert_eq!(parsed("alice"), Ok(("alice".into(), v1::Role::Member)));
        assert_eq!(parsed("bob:owner"), Ok(("bob".into(), v1::Role::Owner)));
        assert_eq!(parsed("sso:bob"), Ok(("sso:bob".into(), v1::Role::Member)));
        assert!(member(":owner").is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(pair("a").is_err());
    }
}
