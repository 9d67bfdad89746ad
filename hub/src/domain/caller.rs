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
    /// Whether it is for several tenants, as some services' are.
    pub cross_tenant: bool,
    /// What a revocation would know the token by.
    pub token: TokenMark,
}

impl From<&Caller> for Whose {
    fn from(caller: &Caller) -> Self {
        Self {
            tenant: Some(caller.tenant.clone()),
            name: caller.user.clone(),
            service: caller.service,
            cross_tenant: caller.cross_tenant,
            token: caller.token,
        }
    }
}

impl Whose {
    /// Who it is to limits.
    pub fn identity(&self) -> Identity {
        Identity::new(self.tenant.as_ref(), &self.name, self.service, self.cross_tenant)
    }
}

/// Who somebody is to limits and to the audit log. A service for several tenants is one, whichever of them it names: it may
/// name any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The tenant; `None` for a service that is for several.
    pub tenant: Option<TenantId>,
    /// The user, or the service.
    pub name: UserId,
    /// Whether it is a service.
    pub service: bool,
}

impl Identity {
    /// Of whom a token is that is for `tenant`, or for several of which that one was named.
    pub fn new(tenant: Option<&TenantId>, name: &UserId, service: bool, cross_tenant: bool) -> Self {
        Self { tenant: tenant.filter(|_| !cross_tenant).cloned(), name: name.clone(), service }
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
    /// Whether its token is for several tenants, as some services' are.
    pub cross_tenant: bool,
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
