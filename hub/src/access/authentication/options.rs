//! What an [`Authenticator`](super::Authenticator) is configured with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::verified::{ServiceTenants, ServiceToken, Verified};
use crate::domain::limits;
use crate::domain::names::TenantId;

/// How an issuer's tokens are checked. Passive: [`Authenticator`](super::Authenticator) validates it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration's section of the issuer, as `auth` or `auth.issuers.0`: what errors and the log call it.
    pub section: String,
    /// The keys that are configured, at most [`KEYS_TRIED`](limits::KEYS_TRIED): several while they are rotated. The
    /// first secret among them signs what [`mint`](super::mint) makes.
    pub keys: Vec<NamedKey>,
    /// Where the issuer publishes more of them.
    pub remote: Option<Remote>,
    /// The issuer that tokens must name; any where `None`.
    pub issuer: Option<String>,
    /// The audiences of which tokens must name one. Where empty, a token that names an audience is not for this hub
    /// and is refused (RFC 7519, 4.1.3).
    pub audience: Vec<String>,
    /// What tokens may say that they are (`typ`). One that does not say is a [`JWT`](PLAIN_TYPE).
    pub types: Vec<TokenType>,
    /// How far an issuer's clock may be ahead: for `nbf` and `iat`. `exp` has none, since what ends a live session
    /// ends it then, and admission must not outlast that.
    pub leeway: Duration,
    /// From `iat` to `exp` no token may live longer, and each must have both; as long as it says where `None`.
    pub longest_life: Option<Duration>,
    /// Which claims say who asks.
    pub claims: ClaimNames,
    /// The tenants that it may speak for; all where empty.
    pub tenants: Vec<TenantPattern>,
}

impl Options {
    /// One key for tokens of any issuer, that are for no audience and whose claims have the default names.
    pub fn new(algorithm: Algorithm, key: Key) -> Self {
        let name = match &key {
            Key::Secret(_) => "auth.secret",
            Key::PublicKey(_) => "auth.public_key_file",
        };
        Self {
            section: "auth".to_owned(),
            keys: vec![NamedKey { name: name.to_owned(), kid: None, algorithm, key }],
            remote: None,
            issuer: None,
            audience: Vec::new(),
            types: TokenType::usual(),
            leeway: Duration::ZERO,
            longest_life: None,
            claims: ClaimNames::default(),
            tenants: Vec::new(),
        }
    }

    /// Whether the issuer may speak for all that a token is for.
    pub(super) fn may_speak_for(&self, token: &Verified) -> bool {
        let may = |tenant: &TenantId| self.tenants.iter().any(|pattern| pattern.matches(tenant.as_str()));
        self.tenants.is_empty()
            || match token {
                Verified::User(token) => may(&token.tenant),
                Verified::Service(ServiceToken { tenants: ServiceTenants::Listed(tenants), .. }) => {
                    tenants.iter().all(may)
                }
                Verified::Service(ServiceToken { tenants: ServiceTenants::All, .. }) => {
                    self.tenants.iter().any(TenantPattern::is_all)
                }
            }
    }

    /// The first secret, with its `kid`.
    pub fn secret(&self) -> Option<(&Secret, Option<&str>)> {
        self.keys.iter().find_map(|named| match &named.key {
            Key::Secret(secret) => Some((secret, named.kid.as_deref())),
            Key::PublicKey(_) => None,
        })
    }

    /// An error under a key of this section.
    pub(super) fn refuse(&self, key: &str, rule: &'static str) -> OptionsError {
        OptionsError { key: format!("{}.{key}", self.section), rule }
    }
}

/// A key that is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// The configuration's name of what it comes from, as `auth.keys.0.secret_file`.
    pub name: String,
    /// What tokens call it in their header; `None` where they need not.
    pub kid: Option<String>,
    /// The only algorithm that it is for; what a token's header says is compared with it, never followed.
    pub algorithm: Algorithm,
    /// The key: a secret for HS256, a public key for the others.
    pub key: Key,
}

/// Where an issuer publishes its keys, and how long they are good for.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The address of its JWK set: HTTPS, or a loopback address. It comes from configuration alone.
    pub url: http::Uri,
    /// Whose certificates are believed there; those of public authorities where `None`.
    pub roots: Option<Arc<rustls::RootCertStore>>,
    /// The only algorithm of these keys.
    pub algorithm: Algorithm,
    /// They are fetched anew this often.
    pub refresh: Duration,
    /// Tokens with an unknown `kid` make them be fetched no more often than this.
    pub floor: Duration,
    /// Keys that could not be fetched anew for this long are not used any more.
    pub stale: Duration,
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

impl Algorithm {
    /// What tokens and JWK sets call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// A key to check signatures with.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What a token that says nothing is (RFC 7519, 5.1).
const PLAIN_TYPE: &str = "jwt";

/// What a token says that it is, in its header's `typ`: a media type, where `application/` may be left out and whose letters
/// count small as large (RFC 7515, 4.1.9). What is signed with the same key for another purpose, as a logout token, says another
/// (RFC 8725, 3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenType(Box<str>);

impl TokenType {
    /// `None` for what is none: 1 to 64 visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one =
            (1..=limits::TYPE_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_one.then(|| Self::of(text))
    }

    /// Those that are taken where configuration does not say: tokens of no declared purpose, and access tokens (RFC 9068).
    pub fn usual() -> Vec<Self> {
        limits::TOKEN_TYPES.iter().map(|text| Self::of(text)).collect()
    }

    /// Whether a header's `typ` is this one.
    pub(super) fn is(&self, said: Option<&str>) -> bool {
        *self == said.map_or_else(|| Self(PLAIN_TYPE.into()), Self::of)
    }

    fn of(text: &str) -> Self {
        let small = text.to_ascii_lowercase();
        let bare = small.strip_prefix("application/").filter(|bare| !bare.contains('/'));
        Self(bare.unwrap_or(&small).into())
    }
}

/// Tenants by id, or by how their ids begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantPattern {
    begin: Box<str>,
    /// Whether the id may go on after `begin`.
    open: bool,
}

impl TenantPattern {
    /// An id, or the beginning of one and a `*` at the end; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (begin, open) = text.strip_suffix('*').map_or((text, false), |begin| (begin, true));
        let well_formed = TenantId::parse(begin).is_ok() || (open && begin.is_empty());
        well_formed.then(|| Self { begin: begin.into(), open })
    }

    fn matches(&self, tenant: &str) -> bool {
        if self.open { tenant.starts_with(&*self.begin) } else { *tenant == *self.begin }
    }

    fn is_all(&self) -> bool {
        self.open && self.begin.is_empty()
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
    /// A user's roles. Default `roles`.
    pub roles: String,
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
            roles: "roles".to_owned(),
        }
    }
}

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {rule}")]
pub struct OptionsError {
    /// The configuration's name of it, as `auth.secret`.
    pub key: String,
    /// What is allowed.
    pub rule: &'static str,
}
