//! Who asks.

use super::names::{TenantId, UserId, UserKey};
use super::powers::Powers;
use super::revocation::TokenMark;
use super::time::Timestamp;

/// Whose an authentic token is, whether it is good or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The tenant; `None` for a service's that is for several.
    pub tenant: Option<TenantId>,
    /// The user, or the service.
    pub name: UserId,
    /// Whether it is a service's.
    pub service: bool,
    /// What a revocation would know the token by.
    pub token: TokenMark,
}

impl From<&Caller> for Whose {
    fn from(caller: &Caller) -> Self {
        Self {
            tenant: Some(caller.tenant.clone()),
            name: caller.user.clone(),
            service: caller.service,
            token: caller.token,
        }
    }
}

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
