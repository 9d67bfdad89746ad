//! One key, checked: what it may check, and with what.

use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, DecodingKeyKind, Validation};

use super::claims::Claims;
use super::error::AuthenticationError;
use super::options::{Algorithm, Key, NamedKey, OptionsError};

/// RSA moduli, bytes: 2048 bits (RFC 7518, 3.3) to the 4096 that the library can check with.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// A key with the one algorithm that it is for (RFC 8725, 3.1).
pub(super) struct CheckedKey {
    /// What tokens call it; `None` where they need not.
    pub(super) kid: Option<String>,
    /// The only algorithm that it checks.
    pub(super) algorithm: Algorithm,
    key: DecodingKey,
    signature: Validation,
}

impl CheckedKey {
    /// A key that was configured, where it fits its algorithm; a secret has 32 bytes at least.
    pub(super) fn configured(named: &NamedKey) -> Result<Self, OptionsError> {
        let refuse = |rule| OptionsError { key: named.name.clone(), rule };
        let key = match (named.algorithm, &named.key) {
            (Algorithm::Hs256, Key::Secret(secret)) if secret.is_long_enough() => {
                Ok(DecodingKey::from_secret(secret.as_bytes()))
            }
            (Algorithm::Hs256, Key::Secret(_)) => Err("at least 32 bytes (openssl rand -hex 32 makes 64)"),
            (Algorithm::Hs256, Key::PublicKey(_)) => Err("HS256 needs a secret, not a public key"),
            (_, Key::Secret(_)) => Err("this algorithm needs a public key, not a secret"),
            (algorithm, Key::PublicKey(pem)) => public_key(algorithm, pem),
        };
        Ok(Self::new(named.kid.clone(), named.algorithm, key.map_err(refuse)?))
    }

    /// A key that its issuer published in parts; `None` where no verifier of the algorithm can be made of it.
    pub(super) fn published(kid: Option<String>, algorithm: Algorithm, key: &DecodingKey) -> Option<Self> {
        let key = match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => rsa_key(n, e)?,
            DecodingKeyKind::SecretOrDer(_) => key.clone(),
        };
        makes_a_verifier(algorithm, &key).then(|| Self::new(kid, algorithm, key))
    }

    fn new(kid: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        let mut signature = Validation::new(algorithm.into());
        // Claims are checked by `Claims::check`, against the caller's clock: this leaves algorithm and signature.
        signature.required_spec_claims.clear();
        signature.validate_exp = false;
        signature.validate_nbf = false;
        signature.validate_aud = false;
        Self { kid, algorithm, key, signature }
    }

    /// The claims of a token that was signed with this key.
    pub(super) fn open(&self, token: &str) -> Result<Claims, AuthenticationError> {
        match jsonwebtoken::decode(token, &self.key, &self.signature) {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(reason(&error)),
        }
    }
}

/// The library's error without its text, which may quote the token.
pub(super) fn reason(error: &jsonwebtoken::errors::Error) -> AuthenticationError {
    match error.kind() {
        ErrorKind::InvalidAlgorithm => AuthenticationError::Algorithm,
        ErrorKind::InvalidSignature => AuthenticationError::Signature,
        _ => AuthenticationError::Malformed,
    }
}

fn public_key(algorithm: Algorithm, pem: &[u8]) -> Result<DecodingKey, &'static str> {
    let (key, rule) = match algorithm {
        Algorithm::Rs256 => return rsa_public_key(pem),
        Algorithm::Es256 => {
            (DecodingKey::from_ec_pem(pem), "a PEM file with a public key on the curve P-256")
        }
        Algorithm::EdDsa => (DecodingKey::from_ed_pem(pem), "a PEM file with an Ed25519 public key"),
        Algorithm::Hs256 => return Err("HS256 needs a secret, not a public key"),
    };
    key.ok().filter(|key| makes_a_verifier(algorithm, key)).ok_or(rule)
}

fn rsa_public_key(pem: &[u8]) -> Result<DecodingKey, &'static str> {
    let key = DecodingKey::from_rsa_pem(pem).ok();
    let parts = key.and_then(|key| {
        let der = key.try_get_as_bytes().ok()?;
        (DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key)(der).ok()
    });
    let (modulus, exponent) = parts.ok_or("a PEM file with an RSA public key")?;
    rsa_key(&modulus, &exponent).ok_or("an RSA public key of at least 2048 bits, and 4096 at most")
}

/// An RSA key of its parts. The library looks at them at each use only: bad ones must be seen before.
fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Option<DecodingKey> {
    let (modulus, exponent) = (number(modulus), number(exponent));
    // What 2048 bits are is said by the first: the top bit of 256 bytes.
    let long = modulus.len() > *RSA_MODULUS_BYTES.start() || modulus.first().is_some_and(|top| *top >= 0x80);
    let bounded = RSA_MODULUS_BYTES.contains(&modulus.len()) && long;
    // Odd and 3 at least (RFC 8017, 3.1): with 1 every text would be its own signature.
    let sound = exponent.len() <= 4 && exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1];
    (bounded && sound).then(|| DecodingKey::from_rsa_raw_components(modulus, exponent))
}

/// A number without the zeros before it.
fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn makes_a_verifier(algorithm: Algorithm, key: &DecodingKey) -> bool {
    (DEFAULT_PROVIDER.verifier_factory)(&algorithm.into(), key).is_ok()
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
