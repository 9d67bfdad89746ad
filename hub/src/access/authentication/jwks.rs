//! The keys that an issuer publishes: a JWK set (RFC 7517).

use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::key::CheckedKey;
use super::options::Algorithm;
use crate::domain::limits::{JWKS_KEYS, KID_BYTES};

/// Why a document gives no keys. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not JSON with a list `keys` in it.
    #[error("the answer is no JWK set")]
    Malformed,
    /// More than [`JWKS_KEYS`].
    #[error("the JWK set has too many keys")]
    TooMany,
    /// None that is for signatures of the pinned algorithm and long enough.
    #[error("the JWK set has no key of the algorithm that is configured")]
    NoKey,
}

/// The set; what else stands in it is passed over.
#[derive(serde::Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// One key. Members that say where else keys or certificates are (`x5u`, `x5c`) are not looked at.
#[derive(serde::Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private half: who publishes it has lost it.
    d: Option<Value>,
}

/// The keys that are for signatures of this algorithm, in the document's order. Others are passed over, as an issuer
/// may publish them for others; of two with one name the first counts.
pub(super) fn parse(document: &[u8], algorithm: Algorithm) -> Result<Vec<CheckedKey>, JwksError> {
    let Document { keys } = serde_json::from_slice(document).map_err(|_| JwksError::Malformed)?;
    if keys.len() > JWKS_KEYS {
        return Err(JwksError::TooMany);
    }
    let mut usable: Vec<CheckedKey> = Vec::new();
    for key in keys {
        let Some(key) = serde_json::from_value(key).ok().and_then(|jwk: Jwk| jwk.check(algorithm)) else {
            continue;
        };
        if key.kid.is_none() || usable.iter().all(|before| before.kid != key.kid) {
            usable.push(key);
        }
    }
    if usable.is_empty() { Err(JwksError::NoKey) } else { Ok(usable) }
}

impl Jwk {
    fn check(self, algorithm: Algorithm) -> Option<CheckedKey> {
        let for_signatures = self.usage.as_ref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|all| all.iter().any(|operation| operation == "verify"));
        let pinned = self.alg.as_ref().is_none_or(|named| named == algorithm.name());
        let named_well = self.kid.as_ref().is_none_or(|kid| !kid.is_empty() && kid.len() <= KID_BYTES);
        if !(for_signatures && pinned && named_well && self.d.is_none()) {
            return None;
        }
        let key = self.key(algorithm)?;
        CheckedKey::published(self.kid, algorithm, &key)
    }

    fn key(&self, algorithm: Algorithm) -> Option<DecodingKey> {
        let curve = self.crv.as_deref();
        match (algorithm, self.kty.as_str(), curve) {
            (Algorithm::Rs256, "RSA", None) => {
                DecodingKey::from_rsa_components(self.n.as_ref()?, self.e.as_ref()?).ok()
            }
            (Algorithm::Es256, "EC", Some("P-256")) => {
                DecodingKey::from_ec_components(self.x.as_ref()?, self.y.as_ref()?).ok()
            }
            (Algorithm::EdDsa, "OKP", Some("Ed25519")) => {
                DecodingKey::from_ed_components(self.x.as_ref()?).ok()
            }
            // Secrets (`oct`) among them: what anybody can fetch signs nothing.
            _ => None,
        }
    }
}
