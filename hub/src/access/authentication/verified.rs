//! What a verified token says.

use crate::domain::caller::{Caller, Whose};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{TenantId, UserId};
use crate::domain::powers::{Ability, Powers};
use crate::domain::revocation::TokenMark;
use crate::domain::time::Timestamp;

/// A token that passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// A user's.
    User(UserToken),
    /// A service's.
    Service(ServiceToken),
}

impl Verified {
    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        match self {
            Self::User(token) => token.expires,
            Self::Service(token) => token.expires,
        }
    }

    /// What revocations look at.
    pub fn mark(&self) -> &TokenMark {
        match self {
            Self::User(token) => &token.mark,
            Self::Service(token) => &token.mark,
        }
    }

    pub(in crate::access) fn mark_mut(&mut self) -> &mut TokenMark {
        match self {
            Self::User(token) => &mut token.mark,
            Self::Service(token) => &mut token.mark,
        }
    }

    /// Whose it is.
    pub fn whose(&self) -> Whose {
        match self {
            Self::User(token) => Whose {
                tenant: Some(token.tenant.clone()),
                name: token.user.clone(),
                service: false,
                cross_tenant: false,
                token: token.mark,
            },
            Self::Service(token) => token.whose(),
        }
    }

    /// The caller in a tenant that the request named, or in the token's own where it named none.
    ///
    /// `PERMISSION_DENIED` where the token is not for that tenant; `INVALID_ARGUMENT` where a service named none and its
    /// token does not list exactly one.
    pub fn caller(&self, named: Option<&TenantId>) -> Result<Caller, Refusal> {
        match (self, named) {
            (Self::User(token), None) => Ok(token.caller()),
            (Self::User(token), Some(tenant)) if *tenant == token.tenant => Ok(token.caller()),
            (Self::User(_), Some(_)) => Err(ErrorCode::PermissionDenied.into()),
            (Self::Service(token), Some(tenant)) => token.caller_for(tenant),
            (Self::Service(token), None) => match token.tenants.only() {
                Some(tenant) => token.caller_for(tenant),
                None => Err(Refusal::invalid("tenant", "required")),
            },
        }
    }
}

/// A user's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserToken {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// When it ends.
    pub expires: Timestamp,
    /// What revocations look at.
    pub mark: TokenMark,
    /// What it allows by itself.
    pub powers: Powers,
}

impl UserToken {
    /// The caller that it speaks for.
    pub fn caller(&self) -> Caller {
        Caller {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            service: false,
            cross_tenant: false,
            expires: self.expires,
            token: self.mark,
            powers: self.powers.clone(),
        }
    }
}

/// A service's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceToken {
    /// The service's name.
    pub name: UserId,
    /// Where it may act.
    pub tenants: ServiceTenants,
    /// When it ends.
    pub expires: Timestamp,
    /// What revocations look at.
    pub mark: TokenMark,
    /// What it allows by itself.
    pub powers: Powers,
}

impl ServiceToken {
    /// Whose it is; the tenant where it is for one.
    pub fn whose(&self) -> Whose {
        let tenant = self.tenants.only().cloned();
        let cross_tenant = tenant.is_none();
        Whose { tenant, name: self.name.clone(), service: true, cross_tenant, token: self.mark }
    }

    /// Whether it is for all tenants, and may read.
    pub fn is_operator(&self) -> bool {
        self.tenants == ServiceTenants::All && self.powers.abilities.has(Ability::Read)
    }

    /// The service in a tenant that its request named; `PERMISSION_DENIED` where the token is not for that tenant.
    pub fn caller_for(&self, tenant: &TenantId) -> Result<Caller, Refusal> {
        let listed = match &self.tenants {
            ServiceTenants::All => true,
            ServiceTenants::Listed(tenants) => tenants.contains(tenant),
        };
        if !listed {
            return Err(ErrorCode::PermissionDenied.into());
        }
        Ok(Caller {
            tenant: tenant.clone(),
            user: self.name.clone(),
            service: true,
            cross_tenant: self.tenants.only().is_none(),
            expires: self.expires,
            token: self.mark,
            powers: self.powers.clone(),
        })
    }
}

/// The tenants that a service may act in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceTenants {
    /// Every one.
    All,
    /// These, at least one.
    Listed(Vec<TenantId>),
}

impl ServiceTenants {
    /// The one that there is; `None` where there may be several.
    fn only(&self) -> Option<&TenantId> {
        match self {
            Self::Listed(tenants) if tenants.len() == 1 => tenants.first(),
            Self::Listed(_) | Self::All => None,
        }
    }
}
