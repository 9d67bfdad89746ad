//! Checking a token.

use std::sync::Arc;

use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};

use super::claims::Claims;
use super::error::AuthenticationError;
use super::id;
use super::options::{Algorithm, Key, Options, OptionsError};
use super::verified::Verified;
use crate::domain::limits;
use crate::domain::time::Timestamp;

/// Shortest RSA modulus, bytes: 2048 bits (RFC 7518, 3.3).
const RSA_MODULUS_BYTES: usize = 256;

/// Checks tokens under one key and one algorithm. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    key: DecodingKey,
    signature: Validation,
    options: Options,
}

impl Authenticator {
    /// Validates the options: the key fits the algorithm, a secret has 32 bytes at least, every claim has a name.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        let key = decoding_key(options.algorithm, &options.key)?;
        check_claims(&options)?;
        let mut signature = Validation::new(options.algorithm.into());
        // Claims are checked by `Claims::check`, against the caller's clock: this leaves algorithm and signature.
        signature.required_spec_claims.clear();
        signature.validate_exp = false;
        signature.validate_nbf = false;
        signature.validate_aud = false;
        Ok(Self(Arc::new(Inner { key, signature, options })))
    }

    /// Checks a token: size, algorithm, signature, issuer, audience, times, and that it says who asks. Of the header
    /// nothing but `alg` and `crit` is looked at: no `kid`, `jku` or `jwk` chooses a key.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, AuthenticationError> {
        if token.is_empty() {
            return Err(AuthenticationError::Missing);
        }
        if token.len() > limits::TOKEN_BYTES {
            return Err(AuthenticationError::TooLong);
        }
        let Inner { key, signature, options } = &*self.0;
        let data = jsonwebtoken::decode::<Claims>(token, key, signature).map_err(|error| reason(&error))?;
        if data.header.crit.is_some() {
            return Err(AuthenticationError::Extension);
        }
        data.claims.check(options, id::of_text(token), now)
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// The library's error without its text, which may quote the token.
fn reason(error: &jsonwebtoken::errors::Error) -> AuthenticationError {
    match error.kind() {
        ErrorKind::InvalidAlgorithm => AuthenticationError::Algorithm,
        ErrorKind::InvalidSignature => AuthenticationError::Signature,
        _ => AuthenticationError::Malformed,
    }
}

fn decoding_key(algorithm: Algorithm, key: &Key) -> Result<DecodingKey, OptionsError> {
    match (algorithm, key) {
        (Algorithm::Hs256, Key::Secret(secret)) if secret.is_long_enough() => {
            Ok(DecodingKey::from_secret(secret.as_bytes()))
        }
        (Algorithm::Hs256, Key::Secret(_)) => {
            Err(OptionsError { key: "secret", rule: "at least 32 bytes (openssl rand -hex 32 makes 64)" })
        }
        (Algorithm::Hs256, Key::PublicKey(_)) => {
            Err(OptionsError { key: "secret", rule: "HS256 needs a secret, not a public key" })
        }
        (_, Key::Secret(_)) => Err(OptionsError {
            key: "public_key_file",
            rule: "this algorithm needs a public key, not a secret",
        }),
        (Algorithm::Rs256, Key::PublicKey(pem)) => rsa_key(pem),
        (Algorithm::Es256, Key::PublicKey(pem)) => {
            let rule = "a PEM file with a public key on the curve P-256";
            usable(DecodingKey::from_ec_pem(pem), algorithm, rule)
        }
        (Algorithm::EdDsa, Key::PublicKey(pem)) => {
            usable(DecodingKey::from_ed_pem(pem), algorithm, "a PEM file with an Ed25519 public key")
        }
    }
}

fn rsa_key(pem: &[u8]) -> Result<DecodingKey, OptionsError> {
    let refuse = |rule| OptionsError { key: "public_key_file", rule };
    let key = DecodingKey::from_rsa_pem(pem).ok();
    // The library parses an RSA key at each use only: a bad one must be seen at the start.
    let parts = key.and_then(|key| {
        let der = key.try_get_as_bytes().ok()?;
        (DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key)(der).ok()
    });
    let (modulus, exponent) = parts.ok_or_else(|| refuse("a PEM file with an RSA public key"))?;
    if modulus.len() < RSA_MODULUS_BYTES {
        return Err(refuse("an RSA public key of at least 2048 bits"));
    }
    Ok(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

/// The key, where a verifier can be made of it.
fn usable(
    key: jsonwebtoken::errors::Result<DecodingKey>,
    algorithm: Algorithm,
    rule: &'static str,
) -> Result<DecodingKey, OptionsError> {
    key.and_then(|key| {
        (DEFAULT_PROVIDER.verifier_factory)(&algorithm.into(), &key)?;
        Ok(key)
    })
    .map_err(|_| OptionsError { key: "public_key_file", rule })
}

fn check_claims(options: &Options) -> Result<(), OptionsError> {
    let names = &options.claims;
    if names.tenant.is_empty() {
        return Err(OptionsError { key: "claims.tenant", rule: "at least one claim" });
    }
    let all = [
        ("claims.user", &names.user),
        ("claims.service", &names.service),
        ("claims.tenants", &names.tenants),
        ("claims.abilities", &names.abilities),
        ("claims.rooms", &names.rooms),
    ];
    let tenant = names.tenant.iter().map(|name| ("claims.tenant", name));
    match all.into_iter().chain(tenant).find(|(_, name)| name.is_empty()) {
        Some((key, _)) => Err(OptionsError { key, rule: "not empty" }),
        None => Ok(()),
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Hs256 => Self::HS256,
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Es256 => Self::ES256,
            Algorithm::EdDsa => Self::EdDSA,
        }
    }
}
