//! The keys of an issuer: in the settings, in files, or published by it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carillon_net::is_loopback;
use http::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::auth::{AuthSection, HiddenText};
use super::check::{Broken, duration, require};
use crate::access::authentication::{Algorithm, Key, NamedKey, Remote, Secret};
use crate::domain::limits::{KEY_FILE_BYTES, SECRET_BYTES};

/// One of several keys of an issuer. Exactly one of the three that hold it must be set.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySection {
    /// What tokens call it in their header; unset: they need not call it anything.
    pub kid: Option<String>,
    /// The only algorithm that it is for; unset: the section's.
    pub algorithm: Option<Algorithm>,
    /// HS256: the secret, 32 bytes at least.
    pub secret: Option<HiddenText>,
    /// HS256: a file that holds the secret. Space around it is left out.
    pub secret_file: Option<PathBuf>,
    /// RS256, ES256, `EdDSA`: a PEM file with the public key.
    pub public_key_file: Option<PathBuf>,
}

impl KeySection {
    pub(super) fn is_in_a_file(&self) -> bool {
        self.secret_file.is_some() || self.public_key_file.is_some()
    }

    fn holder(&self) -> Holder<'_> {
        Holder {
            secret: self.secret.as_ref(),
            secret_file: self.secret_file.as_deref(),
            public_key_file: self.public_key_file.as_deref(),
        }
    }
}

impl AuthSection {
    /// The keys that this section, of this name, has or names the files of.
    pub(super) fn keys(&self, name: &str) -> Result<Vec<NamedKey>, Broken> {
        let shorthand = Holder {
            secret: self.secret.as_ref(),
            secret_file: self.secret_file.as_deref(),
            public_key_file: self.public_key_file.as_deref(),
        };
        let mut keys = Vec::new();
        // Without a `kid` of its own it is tried for every token whose key is not found by its name.
        keys.extend(shorthand.key(name, None, self.algorithm)?);
        for (at, section) in self.keys.iter().enumerate() {
            let place = format!("{name}.keys.{at}");
            let algorithm = section.algorithm.unwrap_or(self.algorithm);
            let key = section.holder().key(&place, section.kid.clone(), algorithm)?;
            keys.push(key.ok_or_else(|| missing(&place, "secret"))?);
        }
        if keys.is_empty() && self.jwks_url.is_none() {
            return Err(Broken::new(
                format!("{name}.secret"),
                "required: one of secret, secret_file, public_key_file, keys and jwks_url",
            ));
        }
        Ok(keys)
    }
}

/// What may hold a key, of which one does.
struct Holder<'a> {
    secret: Option<&'a HiddenText>,
    secret_file: Option<&'a Path>,
    public_key_file: Option<&'a Path>,
}

impl Holder<'_> {
    fn key(
        &self,
        place: &str,
        kid: Option<String>,
        algorithm: Algorithm,
    ) -> Result<Option<NamedKey>, Broken> {
        let name = |key: &str| format!("{place}.{key}");
        let (name, key) = match (self.secret, self.secret_file, self.public_key_file) {
            (None, None, None) => return Ok(None),
            (Some(secret), None, None) => {
                (name("secret"), Key::Secret(Secret::new(secret.as_str().as_bytes())))
            }
            (None, Some(path), None) => {
                let bytes = read(&name("secret_file"), path)?;
                let secret = Secret::new(bytes.trim_ascii());
                // Which file is not known to whoever did not name it, as in development.
                let rule = || format!("{} holds less than {SECRET_BYTES} bytes", path.display());
                let fits = algorithm != Algorithm::Hs256 || secret.is_long_enough();
                fits.then_some(()).ok_or_else(|| Broken::new(name("secret_file"), rule()))?;
                (name("secret_file"), Key::Secret(secret))
            }
            (None, None, Some(path)) => {
                let bytes = read(&name("public_key_file"), path)?;
                (name("public_key_file"), Key::PublicKey(bytes))
            }
            (Some(_), ..) => return Err(several(&name("secret"))),
            (None, ..) => return Err(several(&name("secret_file"))),
        };
        Ok(Some(NamedKey { name, kid, algorithm, key }))
    }
}

const ONE_OF: &str = "exactly one of secret, secret_file and public_key_file";

fn missing(place: &str, key: &str) -> Broken {
    Broken::new(format!("{place}.{key}"), format!("required: {ONE_OF}"))
}

fn several(key: &str) -> Broken {
    Broken::new(key, format!("{ONE_OF}; keys holds more of them"))
}

/// Where the issuer of this section, of this name, publishes its keys.
pub(super) fn remote(name: &str, section: &AuthSection) -> Result<Option<Remote>, Broken> {
    let key = |key: &str| format!("{name}.{key}");
    let (refresh, floor, stale) = (section.jwks_refresh, section.jwks_floor, section.jwks_stale);
    let (second, day) = (Duration::from_secs(1), Duration::from_hours(24));
    duration(&key("jwks_floor"), floor, &(second..=Duration::from_hours(1)))?;
    duration(&key("jwks_refresh"), refresh, &(second..=day))?;
    duration(&key("jwks_stale"), stale, &(second..=30 * day))?;
    require(refresh >= floor, &key("jwks_refresh"), "jwks_floor at least")?;
    require(stale >= refresh, &key("jwks_stale"), "jwks_refresh at least")?;
    let Some(url) = &section.jwks_url else {
        require(section.jwks_ca_file.is_none(), &key("jwks_ca_file"), "only with jwks_url")?;
        return Ok(None);
    };
    let url = address(url).ok_or_else(|| {
        let rule = "an address as https://id.example.com/keys; http:// on a loopback address only";
        Broken::new(key("jwks_url"), rule)
    })?;
    let roots = section.jwks_ca_file.as_deref().map(|path| roots(&key("jwks_ca_file"), path));
    let roots = roots.transpose()?.map(Arc::new);
    Ok(Some(Remote { url, roots, algorithm: section.algorithm, refresh, floor, stale }))
}

/// An address that nobody on the way can answer for: over TLS, or on this machine.
fn address(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let host = url.host().filter(|host| !host.is_empty())?;
    // A name and a password in it would end up in logs.
    let bare = !url.authority()?.as_str().contains('@');
    let safe = match url.scheme_str()? {
        "https" => true,
        "http" => is_loopback(host),
        _ => false,
    };
    (bare && safe).then_some(url)
}

/// The certificates of a PEM file, as those that are believed.
pub(super) fn roots(key: &str, path: &Path) -> Result<RootCertStore, Broken> {
    let pem = read(key, path)?;
    let broken = || Broken::new(key, "a PEM file with certificates");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.ok().and_then(|found| roots.add(found).ok()).ok_or_else(broken)?;
    }
    if roots.is_empty() { Err(broken()) } else { Ok(roots) }
}

pub(super) fn read(key: &str, path: &Path) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(KEY_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|cause| Broken::new(key, format!("{} cannot be read: {cause}", path.display())))?;
    require(bytes.len() as u64 <= KEY_FILE_BYTES, key, "a file of at most 1 MiB")?;
    Ok(bytes)
}
