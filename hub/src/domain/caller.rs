//! Who asks.

use super::names::{TenantId, UserId, UserKey};
use super::powers::Powers;
use super::revocation::TokenMark;
use super::time::Timestamp;

/// An authenticated caller: what a verified token says, and nothing that a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant. A service's is the one that its request named, checked against its token's list.
    pub tenant: TenantId,
    /// The user, or the service's name.
    pub user: UserId,
    /// Whether it is a service, and so may administer.
    pub service: bool,
    /// When the token ends.
    pub expires: Timestamp,
    /// What a revocation would know the token by.
    pub token: TokenMark,
    /// What the token allows by itself.
    pub powers: Powers,
}

impl Caller {
    /// The caller within the tenant.
    pub fn key(&self) -> UserKey {
        UserKey { tenant: self.tenant.clone(), user: self.user.clone() }
    }
}
