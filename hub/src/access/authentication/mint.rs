//! Making tokens for development: `carillon token`, and the ready-made ones of `serve --dev`.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::options::{Algorithm, Options};
use super::verified::ServiceTenants;
use crate::domain::names::{TenantId, UserId};
use crate::domain::time::Timestamp;

/// A token to make.
#[derive(Clone, Debug)]
pub struct MintRequest {
    /// Whose.
    pub subject: MintFor,
    /// How long it is valid from now.
    pub ttl: Duration,
}

/// Whom a token speaks for.
#[derive(Clone, Debug)]
pub enum MintFor {
    /// A user of a tenant.
    User {
        /// The tenant.
        tenant: TenantId,
        /// The user.
        user: UserId,
    },
    /// A service.
    Service {
        /// Its name.
        name: UserId,
        /// Where it may act.
        tenants: ServiceTenants,
    },
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The hub has public keys alone, or the secret is too short: only its issuer can make tokens.
    #[error("tokens can be made under algorithm HS256 with a secret of at least 32 bytes only")]
    NotOurs,
    /// The library failed.
    #[error("the token could not be signed")]
    Signing,
}

/// Makes an HS256 token that an authenticator of the same options accepts: signed with their first secret, it bears the
/// claim names, the issuer and the first audience that they ask for.
pub fn mint(options: &Options, request: &MintRequest, now: Timestamp) -> Result<String, MintError> {
    let (secret, kid) =
        options.secret().filter(|(secret, _)| secret.is_long_enough()).ok_or(MintError::NotOurs)?;
    let mut claims = Map::new();
    let mut claim = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    claim("iat", json!(now.millis() / 1_000));
    claim("exp", seconds(now.plus(request.ttl)));
    // Without random numbers it is known by its text alone.
    claim("jti", getrandom::u64().map_or(Value::Null, |id| json!(format!("{id:016x}"))));
    if let Some(issuer) = &options.issuer {
        claim("iss", json!(issuer));
    }
    if let Some(audience) = options.audience.first() {
        claim("aud", json!(audience));
    }
    match &request.subject {
        MintFor::User { tenant, user } => {
            claim(&options.claims.user, json!(user.as_str()));
            claim(options.claims.tenant.first().map_or("org", String::as_str), json!(tenant.as_str()));
        }
        MintFor::Service { name, tenants } => {
            claim(&options.claims.user, json!(name.as_str()));
            claim(&options.claims.service, json!(true));
            claim(&options.claims.tenants, tenants_claim(tenants));
        }
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::Hs256.into()) };
    jsonwebtoken::encode(&header, &claims, &key).map_err(|_| MintError::Signing)
}

/// Whole seconds where they are, since some libraries take no others.
fn seconds(time: Timestamp) -> Value {
    if time.millis() % 1_000 == 0 {
        json!(time.millis() / 1_000)
    } else {
        json!(time.millis() as f64 / 1_000.0)
    }
}

fn tenants_claim(tenants: &ServiceTenants) -> Value {
    match tenants {
        ServiceTenants::All => json!("*"),
        ServiceTenants::Listed(tenants) => tenants.iter().map(|tenant| json!(tenant.as_str())).collect(),
    }
}
