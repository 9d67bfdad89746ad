//! A token's claims, after its signature was checked.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::AuthenticationError;
use super::id;
use super::options::{ClaimNames, Options};
use super::verified::{ServiceTenants, ServiceToken, UserToken, Verified};
use crate::domain::error::Violation;
use crate::domain::names::{TenantId, UserId};
use crate::domain::powers::{Abilities, Ability, Grant, Grants, Powers};
use crate::domain::revocation::{TokenId, TokenMark};
use crate::domain::roles::TokenRoles;
use crate::domain::time::Timestamp;

/// The last second that a time claim may name: the end of the year 9999, so that no arithmetic overflows.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// All claims by name.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Checks issuer, audience and times and reads who asks. Expiry comes last, so that `TOKEN_EXPIRED` means that a
    /// new token of the same kind would be accepted.
    pub(super) fn check(
        &self,
        options: &Options,
        text: TokenId,
        now: Timestamp,
    ) -> Result<Verified, AuthenticationError> {
        self.check_issuer(options)?;
        self.check_audience(options)?;
        let latest = now.plus(options.leeway);
        if self.time("nbf")?.is_some_and(|from| from > latest) {
            return Err(AuthenticationError::NotYetValid);
        }
        let issued = self.time("iat")?;
        if issued.is_some_and(|issued| issued > latest) {
            return Err(AuthenticationError::IssuedLater);
        }
        let expires = self.time("exp")?.ok_or_else(|| refuse("exp", "required"))?;
        if let Some(longest) = options.longest_life {
            let issued = issued.ok_or_else(|| refuse("iat", "required"))?;
            if expires > issued.plus(longest) {
                return Err(AuthenticationError::Life);
            }
        }
        let mark = TokenMark { text, jti: self.jti()?, issued };
        let verified = self.identity(&options.claims, expires, mark)?;
        if !options.may_speak_for(&verified) {
            return Err(AuthenticationError::Tenant);
        }
        if expires <= now {
            return Err(AuthenticationError::Expired);
        }
        Ok(verified)
    }

    /// The token's own name (RFC 7519, 4.1.7).
    fn jti(&self) -> Result<Option<TokenId>, AuthenticationError> {
        match self.get("jti") {
            None => Ok(None),
            Some(Value::String(jti)) if !jti.is_empty() => Ok(Some(id::of_jti(jti))),
            Some(_) => Err(refuse("jti", "a string")),
        }
    }

    fn check_issuer(&self, options: &Options) -> Result<(), AuthenticationError> {
        match &options.issuer {
            Some(issuer) if self.get("iss").and_then(Value::as_str) != Some(issuer) => {
                Err(AuthenticationError::Issuer)
            }
            _ => Ok(()),
        }
    }

    fn check_audience(&self, options: &Options) -> Result<(), AuthenticationError> {
        let ours = |value: &Value| {
            value.as_str().is_some_and(|name| options.audience.iter().any(|audience| audience == name))
        };
        let accepted = match self.get("aud") {
            None => options.audience.is_empty(),
            Some(Value::Array(names)) => names.iter().any(ours),
            Some(name) => ours(name),
        };
        if accepted { Ok(()) } else { Err(AuthenticationError::Audience) }
    }

    fn identity(
        &self,
        names: &ClaimNames,
        expires: Timestamp,
        mark: TokenMark,
    ) -> Result<Verified, AuthenticationError> {
        let user = self.id(&names.user, UserId::parse)?;
        let service = match self.get(&names.service) {
            None => false,
            Some(Value::Bool(service)) => *service,
            Some(_) => return Err(refuse(&names.service, "true or false")),
        };
        if service {
            let tenants = self.tenants(&names.tenants)?;
            let abilities = self.abilities(&names.abilities)?;
            let powers = Powers { abilities, ..Powers::default() };
            return Ok(Verified::Service(ServiceToken { name: user, tenants, expires, mark, powers }));
        }
        let claim = names.tenant.iter().find(|name| self.get(name).is_some());
        let claim = claim.or(names.tenant.first()).map_or("", String::as_str);
        let tenant = self.id(claim, TenantId::parse)?;
        let powers = Powers {
            grants: self.grants(&names.rooms)?,
            abilities: Abilities::of([]),
            roles: self.roles(&names.roles),
        };
        Ok(Verified::User(UserToken { tenant, user, expires, mark, powers }))
    }

    /// What a service may do: all, where the token does not say.
    fn abilities(&self, claim: &str) -> Result<Abilities, AuthenticationError> {
        let Some(value) = self.get(claim) else { return Ok(Abilities::default()) };
        let named = |value: &Value| Ability::ALL.into_iter().find(|a| value.as_str() == Some(a.name()));
        let abilities =
            value.as_array().and_then(|values| values.iter().map(named).collect::<Option<Vec<_>>>());
        abilities
            .map(Abilities::of)
            .ok_or_else(|| refuse(claim, "a list of read, rooms, send, notify, sessions, revoke and erase"))
    }

    /// In which rooms a user may do what: a list of `{"room": pattern, "can": [grant]}`.
    fn grants(&self, claim: &str) -> Result<Option<Arc<Grants>>, AuthenticationError> {
        let rule = "a list of {\"room\": a room or \"namespace:...*\", \"can\": [join, send, publish, presence, history, moderate]}";
        let Some(value) = self.get(claim) else { return Ok(None) };
        let mut grants = Grants::default();
        for value in value.as_array().ok_or_else(|| refuse(claim, rule))? {
            let (pattern, can) = granted(value).ok_or_else(|| refuse(claim, rule))?;
            grants.add(pattern, &can).map_err(|violation| refuse(claim, violation.rule))?;
        }
        Ok(Some(Arc::new(grants)))
    }

    /// A user's roles: a list of names, or one. Issuers write all kinds of things there; what is no name is no role, and
    /// gives nothing.
    fn roles(&self, claim: &str) -> TokenRoles {
        match self.get(claim) {
            Some(Value::String(role)) => TokenRoles::new([role.as_str()]),
            Some(Value::Array(roles)) => TokenRoles::new(roles.iter().filter_map(Value::as_str)),
            _ => TokenRoles::default(),
        }
    }

    fn tenants(&self, claim: &str) -> Result<ServiceTenants, AuthenticationError> {
        match self.get(claim) {
            Some(Value::String(all)) if all == "*" => Ok(ServiceTenants::All),
            Some(Value::Array(values)) if !values.is_empty() => {
                let tenants = values.iter().map(|value| parse_id(claim, value, TenantId::parse));
                Ok(ServiceTenants::Listed(tenants.collect::<Result<_, _>>()?))
            }
            _ => Err(refuse(claim, "a list of tenants, or \"*\"")),
        }
    }

    fn id<T>(&self, claim: &str, parse: fn(&str) -> Result<T, Violation>) -> Result<T, AuthenticationError> {
        let value = self.get(claim).ok_or_else(|| refuse(claim, "required"))?;
        parse_id(claim, value, parse)
    }

    /// A claim in seconds since 1970, fractions allowed (RFC 7519, 2: `NumericDate`).
    fn time(&self, claim: &'static str) -> Result<Option<Timestamp>, AuthenticationError> {
        let Some(value) = self.get(claim) else { return Ok(None) };
        match value.as_f64() {
            Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => {
                Ok(Some(Timestamp((seconds * 1_000.0).round() as i64)))
            }
            _ => Err(refuse(claim, "seconds since 1970")),
        }
    }

    /// A claim; `null` counts as none.
    pub(super) fn get(&self, claim: &str) -> Option<&Value> {
        self.0.get(claim).filter(|value| !value.is_null())
    }
}

/// What a grant says; nothing else may be in it, so that a misspelt word grants nothing by being passed over.
fn granted(value: &Value) -> Option<(&str, Vec<Grant>)> {
    let value = value.as_object().filter(|value| value.len() == 2)?;
    let named = |value: &Value| Grant::ALL.into_iter().find(|grant| value.as_str() == Some(grant.name()));
    let can = value.get("can")?.as_array()?.iter().map(named).collect::<Option<_>>()?;
    Some((value.get("room")?.as_str()?, can))
}

fn parse_id<T>(
    claim: &str,
    value: &Value,
    parse: fn(&str) -> Result<T, Violation>,
) -> Result<T, AuthenticationError> {
    let parsed = match value {
        Value::String(text) => parse(text),
        Value::Number(number) if number.is_u64() || number.is_i64() => parse(&number.to_string()),
        _ => return Err(refuse(claim, "a string or a whole number")),
    };
    parsed.map_err(|violation| refuse(claim, violation.rule))
}

fn refuse(claim: &str, rule: &'static str) -> AuthenticationError {
    AuthenticationError::Claim { claim: claim.to_owned(), rule }
}
