//! `[limits]`: how often each may do what, and how many sessions there may be.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::check::{Broken, number, require};
use super::span;
use crate::access::limits::{Limited, Rates};
use crate::domain::limits;
use crate::domain::rate::Rate;

const RULE: &str = "as \"10 + 1/6s\", which is ten at once and one more every 6s, or \"off\"";

/// Most at once that configuration may allow.
const BURST_MAX: u32 = 1_000_000;
/// Most bytes of a tenant's rooms that configuration may name.
const BYTES_MAX: u64 = 1 << 50;

/// A rate as text, `10 + 1/6s`; `off` where there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSetting(pub Option<Rate>);

impl RateSetting {
    const fn of(rate: Rate) -> Self {
        Self(Some(rate))
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "off" {
            return Some(Self(None));
        }
        let (burst, every) = text.split_once('+')?;
        let burst = burst.trim().parse().ok().filter(|burst| (1..=BURST_MAX).contains(burst))?;
        let every = span::parse(every.trim().strip_prefix("1/")?)?;
        let allowed = Duration::from_millis(1)..=Duration::from_hours(24);
        allowed.contains(&every).then(|| Self::of(Rate::new(burst, every)))
    }
}

impl Serialize for RateSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(rate) => {
                serializer.serialize_str(&format!("{} + 1/{}", rate.burst, span::to_text(rate.every)))
            }
            None => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for RateSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(RULE))?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(RULE))
    }
}

/// The limits. Sessions of users, tenants and addresses count on all nodes, commands on this one where `shared` does not say
/// otherwise.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Sessions of one user at once; 0: no limit.
    pub sessions_per_user: usize,
    /// Sessions of one tenant at once; 0: no limit.
    pub sessions_per_tenant: usize,
    /// Sessions of one address at once, where it is known; 0: no limit.
    pub sessions_per_address: usize,
    /// Sessions of this node at once; 0: no limit.
    pub sessions_per_node: usize,
    /// Sessions that a user opens.
    pub open: RateSetting,
    /// Sessions that are opened from one address, where it is known, whoever opens them.
    pub open_per_address: RateSetting,
    /// Rooms that a user's sessions resume.
    pub resume: RateSetting,
    /// Commands of one session, and of a user without a session.
    pub commands: RateSetting,
    /// Messages that a user sends.
    pub send: RateSetting,
    /// Edits.
    pub edit: RateSetting,
    /// Deletions.
    pub delete: RateSetting,
    /// Events that a user publishes.
    pub publish: RateSetting,
    /// Typing.
    pub typing: RateSetting,
    /// Joins.
    pub join: RateSetting,
    /// Delivered and read marks.
    pub mark: RateSetting,
    /// Changes of one's inbox.
    pub inbox: RateSetting,
    /// Requests of a service, in whichever tenants.
    pub service: RateSetting,
    /// Messages, events and notifications of all of a tenant.
    pub messages_per_tenant: RateSetting,
    /// Bytes that all rooms of a tenant hold; 0: no limit.
    pub bytes_per_tenant: u64,
    /// Which of these all nodes count together, where there are several.
    pub shared: Vec<SharedLimit>,
}

/// A limit that nodes may count together: it costs a question of each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedLimit {
    /// `limits.send`.
    Send,
    /// `limits.edit`.
    Edit,
    /// `limits.delete`.
    Delete,
    /// `limits.publish`.
    Publish,
    /// `limits.mark`.
    Mark,
    /// `limits.inbox`.
    Inbox,
    /// `limits.open`.
    Open,
    /// `limits.resume`.
    Resume,
    /// `limits.messages_per_tenant`.
    MessagesPerTenant,
}

impl SharedLimit {
    fn kind(self) -> Limited {
        match self {
            Self::Send => Limited::Send,
            Self::Edit => Limited::Edit,
            Self::Delete => Limited::Delete,
            Self::Publish => Limited::Publish,
            Self::Mark => Limited::Mark,
            Self::Inbox => Limited::Inbox,
            Self::Open => Limited::Open,
            Self::Resume => Limited::Resume,
            Self::MessagesPerTenant => Limited::TenantMessages,
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            sessions_per_user: limits::SESSIONS_PER_USER,
            sessions_per_tenant: 0,
            sessions_per_address: 0,
            sessions_per_node: limits::SESSIONS_PER_NODE,
            open: RateSetting::of(limits::OPEN_RATE),
            open_per_address: RateSetting::of(limits::OPEN_PER_ADDRESS_RATE),
            resume: RateSetting::of(limits::RESUME_RATE),
            commands: RateSetting::of(limits::COMMANDS_RATE),
            send: RateSetting::of(limits::SEND_RATE),
            edit: RateSetting::of(limits::EDIT_RATE),
            delete: RateSetting::of(limits::DELETE_RATE),
            publish: RateSetting::of(limits::PUBLISH_RATE),
            typing: RateSetting::of(limits::TYPING_RATE),
            join: RateSetting::of(limits::JOIN_RATE),
            mark: RateSetting::of(limits::MARK_RATE),
            inbox: RateSetting::of(limits::INBOX_RATE),
            service: RateSetting::of(limits::SERVICE_RATE),
            messages_per_tenant: RateSetting(None),
            bytes_per_tenant: 0,
            shared: vec![SharedLimit::MessagesPerTenant],
        }
    }
}

impl LimitsSection {
    /// No limit at all.
    pub fn off() -> Self {
        let off = RateSetting(None);
        Self {
            sessions_per_user: 0,
            sessions_per_tenant: 0,
            sessions_per_address: 0,
            sessions_per_node: 0,
            open: off,
            open_per_address: off,
            resume: off,
            commands: off,
            send: off,
            edit: off,
            delete: off,
            publish: off,
            typing: off,
            join: off,
            mark: off,
            inbox: off,
            service: off,
            messages_per_tenant: off,
            bytes_per_tenant: 0,
            shared: Self::default().shared,
        }
    }

    /// The kinds that nodes count together.
    pub fn shared_kinds(&self) -> Vec<Limited> {
        self.shared.iter().map(|limit| limit.kind()).collect()
    }

    /// The rate of each kind.
    pub(super) fn rates(&self) -> Rates {
        [
            (Limited::Send, self.send),
            (Limited::Edit, self.edit),
            (Limited::Delete, self.delete),
            (Limited::Publish, self.publish),
            (Limited::Typing, self.typing),
            (Limited::Join, self.join),
            (Limited::Mark, self.mark),
            (Limited::Inbox, self.inbox),
            (Limited::Execute, self.commands),
            (Limited::Service, self.service),
            (Limited::TenantMessages, self.messages_per_tenant),
            (Limited::Open, self.open),
            (Limited::Resume, self.resume),
        ]
        .into_iter()
        .fold(Rates::default(), |rates, (kind, rate)| rates.with(kind, rate.0))
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        let most = 0..=10_000_000;
        number("limits.sessions_per_user", self.sessions_per_user, &most)?;
        number("limits.sessions_per_tenant", self.sessions_per_tenant, &most)?;
        number("limits.sessions_per_address", self.sessions_per_address, &most)?;
        number("limits.sessions_per_node", self.sessions_per_node, &most)?;
        let fits = self.bytes_per_tenant <= BYTES_MAX;
        require(fits, "limits.bytes_per_tenant", &format!("0 to {BYTES_MAX}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["10 + 1/6s", "1 + 1/1ms", "off", "60 + 1/1s"] {
            let rate = RateSetting::parse(text).unwrap();
            assert_eq!(serde_json::to_value(rate).unwrap(), text);
        }
        assert_eq!(RateSetting::parse("10+1/6s"), RateSetting::parse("10 + 1/6s"));
        for text in
            ["", "10", "0 + 1/6s", "10 + 2/6s", "10 + 1/0s", "10 + 1/2d", "10 + 1/6", "-1 + 1/6s", "none"]
        {
            assert_eq!(RateSetting::parse(text), None, "{text}");
        }
    }
}
