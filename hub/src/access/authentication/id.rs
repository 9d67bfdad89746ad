//! What a token is known by where it is revoked.

use sha2::{Digest, Sha256};

use crate::domain::revocation::TokenId;

/// Keeps what is made of a `jti` apart from what is made of a text: no text of a token begins so.
const JTI: &[u8] = b"jti\0";

/// By its text: the SHA-256 of all before its last dot, which is what its signature is over.
pub fn of_text(token: &str) -> TokenId {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    TokenId(Sha256::digest(signed).into())
}

/// By its `jti` claim.
pub fn of_jti(jti: &str) -> TokenId {
    TokenId(Sha256::new().chain_update(JTI).chain_update(jti).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_whatever_its_signature() {
        assert_eq!(of_text("head.claims.one"), of_text("head.claims.two"));
        assert_ne!(of_text("head.claims.one"), of_text("head.other.one"));
    }

    #[test]
    fn a_jti_is_no_text() {
        assert_ne!(of_jti("a"), of_text("a.x"));
    }
}
