//! Tokens that are good no more: what a token is known by, and what was said about it.

use std::time::Duration;

use super::names::{TenantId, UserId};
use super::time::Timestamp;

/// What one token is known by: a SHA-256, of its text without the signature, or of its `jti` claim.
///
/// Without the signature, because some algorithms let anybody write a good signature in another way: the text as a whole
/// names no token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenId(pub [u8; 32]);

/// What revocations look at in a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenMark {
    /// By its text.
    pub text: TokenId,
    /// By its `jti` claim, where it has one.
    pub jti: Option<TokenId>,
    /// When it was issued, where it says so.
    pub issued: Option<Timestamp>,
}

impl TokenMark {
    /// Whether it was issued before an instant, as far as it tells: one that says nothing was.
    pub fn is_older_than(&self, before: Timestamp) -> bool {
        self.issued.is_none_or(|issued| issued < before)
    }
}

/// Where a revocation holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In every tenant.
    Everywhere,
    /// In one.
    Tenant(TenantId),
}

/// What is good no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// One token. It may be forgotten once it has ended.
    Token {
        /// Which.
        id: TokenId,
        /// When it ends.
        ends: Timestamp,
    },
    /// A user's tokens that were issued before an instant.
    User {
        /// Whose.
        user: UserId,
        /// The instant.
        before: Timestamp,
    },
    /// A service's tokens that were issued before an instant.
    Service {
        /// Its name.
        name: UserId,
        /// The instant.
        before: Timestamp,
    },
    /// Everybody's tokens that were issued before an instant.
    Everybody {
        /// The instant.
        before: Timestamp,
    },
}

impl Revoked {
    /// When no token is left that it hits: all that were issued before an instant have ended `kept` after it, where no token
    /// lives longer. `None` where tokens may live for ever.
    pub fn ends(&self, kept: Option<Duration>) -> Option<Timestamp> {
        match self {
            Self::Token { ends, .. } => Some(*ends),
            Self::User { before, .. } | Self::Service { before, .. } | Self::Everybody { before } => {
                kept.map(|kept| before.plus(kept))
            }
        }
    }
}

/// What is good no more, and where. Repeating one is harmless; of two instants the later one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Where.
    pub scope: Scope,
    /// What.
    pub what: Revoked,
}
