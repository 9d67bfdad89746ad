//! `[auth]`: how tokens are checked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::{Broken, duration};
use super::span;
use crate::access::authentication::{Algorithm, ClaimNames, Key, Options, OptionsError, Secret};
use crate::domain::limits;

/// The settings of authentication. Exactly one of the three keys must be set; there is no default.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSection {
    /// The only algorithm that is accepted.
    pub algorithm: Algorithm,
    /// HS256: the secret, 32 bytes at least.
    pub secret: Option<HiddenText>,
    /// HS256: a file that holds the secret. Space around it is left out.
    pub secret_file: Option<PathBuf>,
    /// RS256, ES256, `EdDSA`: a PEM file with the public key.
    pub public_key_file: Option<PathBuf>,
    /// The issuer that tokens must name.
    pub issuer: Option<String>,
    /// Audiences of which tokens must name one.
    pub audience: Vec<String>,
    /// How far an issuer's clock may be ahead.
    #[serde(with = "span")]
    pub leeway: Duration,
    /// Which claims say who asks.
    pub claims: ClaimsSection,
}

impl Default for AuthSection {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Hs256,
            secret: None,
            secret_file: None,
            public_key_file: None,
            issuer: None,
            audience: Vec::new(),
            leeway: limits::TOKEN_LEEWAY,
            claims: ClaimsSection::default(),
        }
    }
}

impl AuthSection {
    /// The options, with the key read from its file where one is named.
    pub(super) fn options(&self) -> Result<Options, Broken> {
        duration("auth.leeway", self.leeway, &(Duration::ZERO..=Duration::from_mins(5)))?;
        let ClaimsSection { user, tenant, service, tenants, abilities, rooms } = self.claims.clone();
        Ok(Options {
            algorithm: self.algorithm,
            key: self.key()?,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            leeway: self.leeway,
            claims: ClaimNames { user, tenant, service, tenants, abilities, rooms },
        })
    }

    fn key(&self) -> Result<Key, Broken> {
        let rule = "exactly one of auth.secret, auth.secret_file and auth.public_key_file";
        match (&self.secret, &self.secret_file, &self.public_key_file) {
            (Some(secret), None, None) => Ok(Key::Secret(Secret::new(secret.0.as_bytes()))),
            (None, Some(path), None) => {
                let bytes = read("auth.secret_file", path)?;
                Ok(Key::Secret(Secret::new(bytes.trim_ascii())))
            }
            (None, None, Some(path)) => Ok(Key::PublicKey(read("auth.public_key_file", path)?)),
            (None, None, None) => Err(Broken::new("auth.secret", format!("required: {rule}"))),
            (Some(_), _, _) => Err(Broken::new("auth.secret", rule)),
            (None, ..) => Err(Broken::new("auth.secret_file", rule)),
        }
    }

    /// The key under which this section has what the options call `error.key`.
    pub(super) fn blame(&self, error: OptionsError) -> Broken {
        let key = match error.key {
            "secret" | "public_key_file" if self.secret_file.is_some() => "secret_file",
            "secret" if self.public_key_file.is_some() => "public_key_file",
            "public_key_file" if self.secret.is_some() => "secret",
            key => key,
        };
        Broken::new(format!("auth.{key}"), error.rule)
    }
}

/// A file that holds a key.
pub(super) fn read(key: &str, path: &Path) -> Result<Vec<u8>, Broken> {
    std::fs::read(path)
        .map_err(|cause| Broken::new(key, format!("{} cannot be read: {cause}", path.display())))
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
}

impl Default for ClaimsSection {
    fn default() -> Self {
        let ClaimNames { user, tenant, service, tenants, abilities, rooms } = ClaimNames::default();
        Self { user, tenant, service, tenants, abilities, rooms }
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
