//! What an [`Authenticator`](super::Authenticator) is configured with.

use std::fmt;
use std::time::Duration;

use crate::domain::limits;

/// How tokens are checked. Passive: [`Authenticator::new`](super::Authenticator::new) validates it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The only algorithm that is accepted; what a token's header says is compared with it, never followed.
    pub algorithm: Algorithm,
    /// The key: a secret for HS256, a public key for the others.
    pub key: Key,
    /// The issuer that tokens must name; any where `None`.
    pub issuer: Option<String>,
    /// The audiences of which tokens must name one. Where empty, a token that names an audience is not for this hub
    /// and is refused (RFC 7519, 4.1.3).
    pub audience: Vec<String>,
    /// How far an issuer's clock may be ahead: for `nbf` and `iat`. `exp` has none, since what ends a live session
    /// ends it then, and admission must not outlast that.
    pub leeway: Duration,
    /// Which claims say who asks.
    pub claims: ClaimNames,
}

/// The signature algorithms that can be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Algorithm {
    /// HMAC with SHA-256: a secret that issuer and hub share.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A key to check signatures with.
#[derive(Clone, Debug)]
pub enum Key {
    /// A shared secret.
    Secret(Secret),
    /// A public key or certificate in PEM.
    PublicKey(Vec<u8>),
}

/// A signing secret. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes it as it is; its length is checked where it is used.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has the length that a signing secret needs (row W4d).
    pub fn is_long_enough(&self) -> bool {
        self.0.len() >= limits::SECRET_BYTES
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The names of the claims that say who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// The user's id, or the service's name. Default `sub`.
    pub user: String,
    /// The tenant, in order of preference: the first that the token has counts. Default `org`, `organizationId`,
    /// `workspaceId`.
    pub tenant: Vec<String>,
    /// `true` where the token is a service's. Default `svc`.
    pub service: String,
    /// A service's tenants: a list, or `"*"` for all. Default `tenants`.
    pub tenants: String,
    /// What a service may do: a list; all where it has none. Default `abilities`.
    pub abilities: String,
    /// In which rooms a user may do what. Default `rooms`.
    pub rooms: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            user: "sub".to_owned(),
            tenant: ["org", "organizationId", "workspaceId"].map(str::to_owned).to_vec(),
            service: "svc".to_owned(),
            tenants: "tenants".to_owned(),
            abilities: "abilities".to_owned(),
            rooms: "rooms".to_owned(),
        }
    }
}

/// An option that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("auth.{key}: {rule}")]
pub struct OptionsError {
    /// The configuration's name of it, without the section.
    pub key: &'static str,
    /// What is allowed.
    pub rule: &'static str,
}
