//! `[auth]`: how tokens are checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::check::{Broken, duration, require};
use super::keys::{self, KeySection};
use super::span;
use crate::access::authentication::{Algorithm, ClaimNames, Options, TenantPattern, TokenType};
use crate::domain::limits;

/// The settings of authentication: an issuer, its keys, and more issuers of the same kind. There is no default key.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSection {
    /// The only algorithm that is accepted, but for keys that name one of their own.
    pub algorithm: Algorithm,
    /// HS256: the secret, 32 bytes at least.
    pub secret: Option<HiddenText>,
    /// HS256: a file that holds the secret. Space around it is left out.
    pub secret_file: Option<PathBuf>,
    /// RS256, ES256, `EdDSA`: a PEM file with the public key.
    pub public_key_file: Option<PathBuf>,
    /// RS256, ES256, `EdDSA`: where the issuer publishes its keys.
    pub jwks_url: Option<String>,
    /// A PEM file with the certificates that are believed there, in place of those of public authorities.
    pub jwks_ca_file: Option<PathBuf>,
    /// How often they are fetched anew.
    #[serde(with = "span")]
    pub jwks_refresh: Duration,
    /// Unknown keys make them be fetched no more often than this.
    #[serde(with = "span")]
    pub jwks_floor: Duration,
    /// Keys that could not be fetched anew for this long are not used any more.
    #[serde(with = "span")]
    pub jwks_stale: Duration,
    /// The issuer that tokens must name.
    pub issuer: Option<String>,
    /// Audiences of which tokens must name one.
    pub audience: Vec<String>,
    /// What tokens may say that they are (`typ`).
    pub types: Vec<String>,
    /// The tenants that the issuer may speak for, as `acme` or `school-*`; all where empty.
    pub tenants: Vec<String>,
    /// How far an issuer's clock may be ahead.
    #[serde(with = "span")]
    pub leeway: Duration,
    /// How long a token may live at most, by its `iat` and `exp`; as long as it says where unset.
    #[serde(with = "span::optional")]
    pub longest_life: Option<Duration>,
    /// Which claims say who asks.
    pub claims: ClaimsSection,
    /// More keys of this issuer: several are good while they are rotated.
    pub keys: Vec<KeySection>,
    /// More issuers, each with its own of all of this; they have no issuers in turn.
    pub issuers: Vec<AuthSection>,
}

impl Default for AuthSection {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Hs256,
            secret: None,
            secret_file: None,
            public_key_file: None,
            jwks_url: None,
            jwks_ca_file: None,
            jwks_refresh: limits::JWKS_REFRESH,
            jwks_floor: limits::JWKS_FLOOR,
            jwks_stale: limits::JWKS_STALE,
            issuer: None,
            audience: Vec::new(),
            types: limits::TOKEN_TYPES.map(str::to_owned).to_vec(),
            tenants: Vec::new(),
            leeway: limits::TOKEN_LEEWAY,
            longest_life: None,
            claims: ClaimsSection::default(),
            keys: Vec::new(),
            issuers: Vec::new(),
        }
    }
}

impl AuthSection {
    /// Every issuer's section by its name. This one's own is the first, unless all that it says is which others there
    /// are.
    pub(super) fn sections(&self) -> Vec<(String, &Self)> {
        let own = (self.issuers.is_empty() || !self.is_silent()).then(|| ("auth".to_owned(), self));
        let more =
            self.issuers.iter().enumerate().map(|(at, section)| (format!("auth.issuers.{at}"), section));
        own.into_iter().chain(more).collect()
    }

    /// What each issuer's tokens are checked with. Reads the files with keys.
    pub(super) fn options(&self) -> Result<Vec<Options>, Broken> {
        require(self.issuers.len() < limits::ISSUERS, "auth.issuers", "fewer than 64")?;
        let is_heard = self.tenants.is_empty() || self.issuers.is_empty() || !self.is_silent();
        require(is_heard, "auth.tenants", "said of each of auth.issuers, where there are no keys beside")?;
        self.sections().into_iter().map(|(name, section)| section.issuer_options(name)).collect()
    }

    /// For how long after an instant a token may be good that was issued before it, by any clock; for ever where `None`.
    pub(super) fn revoked_for(&self) -> Option<Duration> {
        let sections = self.sections();
        let lives: Option<Vec<_>> = sections.iter().map(|(_, section)| section.longest_life).collect();
        let leeway = sections.iter().map(|(_, section)| section.leeway).max().unwrap_or_default();
        Some(lives?.into_iter().max()? + leeway + limits::REVOKED_AHEAD)
    }

    /// Whether any keys are in files, which may change.
    pub(super) fn has_key_files(&self) -> bool {
        let named = |section: &Self| section.secret_file.is_some() || section.public_key_file.is_some();
        self.sections()
            .iter()
            .any(|(_, section)| named(section) || section.keys.iter().any(KeySection::is_in_a_file))
    }

    /// Whether it says of no issuer but the others.
    fn is_silent(&self) -> bool {
        !self.has_keys() && self.issuer.is_none() && self.audience.is_empty()
    }

    fn has_keys(&self) -> bool {
        let shorthand = self.secret.is_some() || self.secret_file.is_some() || self.public_key_file.is_some();
        shorthand || self.jwks_url.is_some() || !self.keys.is_empty()
    }

    fn issuer_options(&self, name: String) -> Result<Options, Broken> {
        let key = |key: &str| format!("{name}.{key}");
        let nested = name == "auth" || self.issuers.is_empty();
        require(nested, &key("issuers"), "an issuer has none of its own")?;
        let minute = Duration::from_mins(1);
        duration(&key("leeway"), self.leeway, &(Duration::ZERO..=5 * minute))?;
        if let Some(longest) = self.longest_life {
            duration(&key("longest_life"), longest, &(minute..=limits::REVOKED_LIFE))?;
        }
        let may_speak_for: Option<_> = self.tenants.iter().map(|text| TenantPattern::parse(text)).collect();
        let rule = "tenants' ids, or the beginning of one with * at the end";
        let may_speak_for = may_speak_for.ok_or_else(|| Broken::new(key("tenants"), rule))?;
        let types: Option<_> = self.types.iter().map(|text| TokenType::parse(text)).collect();
        let types =
            types.ok_or_else(|| Broken::new(key("types"), "1 to 64 visible ASCII characters each"))?;
        let ClaimsSection { user, tenant, service, tenants, abilities, rooms, roles } = self.claims.clone();
        Ok(Options {
            keys: self.keys(&name)?,
            remote: keys::remote(&name, self)?,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            types,
            leeway: self.leeway,
            longest_life: self.longest_life,
            tenants: may_speak_for,
            claims: ClaimNames { user, tenant, service, tenants, abilities, rooms, roles },
            section: name,
        })
    }
}

/// Which claims say who asks.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsSection {
    /// The user's id, or the service's name.
    pub user: String,
    /// The tenant: the first of these that a token has.
    pub tenant: Vec<String>,
    /// `true` in a service's token.
    pub service: String,
    /// A service's tenants: a list, or `"*"`.
    pub tenants: String,
    /// What a service may do.
    pub abilities: String,
    /// In which rooms a user may do what.
    pub rooms: String,
    /// A user's roles.
    pub roles: String,
}

impl Default for ClaimsSection {
    fn default() -> Self {
        let ClaimNames { user, tenant, service, tenants, abilities, rooms, roles } = ClaimNames::default();
        Self { user, tenant, service, tenants, abilities, rooms, roles }
    }
}

/// A text that nothing prints: neither `Debug` nor `config show`.
#[derive(Clone, serde::Deserialize)]
#[serde(transparent)]
pub struct HiddenText(String);

impl HiddenText {
    /// The text, for where it is used.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for HiddenText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl serde::Serialize for HiddenText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
