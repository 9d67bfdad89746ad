//! Reactions to a message, summed up.

use std::collections::BTreeMap;

use crate::domain::entry::{Entry, EntryBody, ReactionKey, ReactionSummary};
use crate::domain::limits::{REACTION_KEYS_SHOWN, REACTION_USERS_SHOWN};
use crate::domain::names::UserId;

/// Shows the keys with the most reactions, of equal ones the first.
pub(super) fn show(entry: &mut Entry, keys: BTreeMap<ReactionKey, Vec<UserId>>) {
    let EntryBody::Message(message) = &mut entry.body else { return };
    message.reactions_total = keys.values().map(|users| users.len() as u32).sum();
    let mut summaries: Vec<_> = keys.into_iter().map(|(key, users)| summarise(key, users)).collect();
    if summaries.len() > REACTION_KEYS_SHOWN {
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.count));
        summaries.truncate(REACTION_KEYS_SHOWN);
        summaries.sort_by(|one, other| one.key.cmp(&other.key));
    }
    message.reactions = summaries;
}

fn summarise(key: ReactionKey, mut users: Vec<UserId>) -> ReactionSummary {
    let count = users.len() as u32;
    users.sort_unstable();
    users.truncate(REACTION_USERS_SHOWN);
    ReactionSummary { key, count, users }
}
