//! Why a token is not accepted.

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::JWKS_RETRY_AFTER;

/// Why a token is not accepted. The texts are for the log and hold nothing of the token; callers see
/// [`AuthenticationError::code`] alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// None came.
    #[error("no token")]
    Missing,
    /// Longer than [`TOKEN_BYTES`](crate::domain::limits::TOKEN_BYTES).
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url with JSON in them, or an algorithm that nobody knows (`none` is one).
    #[error("the token is malformed")]
    Malformed,
    /// Another algorithm than the pinned one.
    #[error("the token is signed with another algorithm")]
    Algorithm,
    /// The header demands an extension that the hub does not know (RFC 7515, 4.1.11).
    #[error("the token's header demands an unknown extension")]
    Extension,
    /// Signed for another purpose, by what it says.
    #[error("the token is of another type")]
    Type,
    /// Not signed with any key that it may be signed with.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its issuer has no such key.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// Its issuer's keys are not here, or may be others by now: they are being fetched.
    #[error("the keys of the token's issuer are not here")]
    Unavailable,
    /// Another issuer, or none where one is expected.
    #[error("the token is of another issuer")]
    Issuer,
    /// Another audience, none where one is expected, or one where none is configured.
    #[error("the token is for another audience")]
    Audience,
    /// For a tenant that its issuer may not speak for.
    #[error("the token's issuer may not speak for its tenant")]
    Tenant,
    /// `nbf` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("the token was issued in the future")]
    IssuedLater,
    /// More time lies between `iat` and `exp` than may.
    #[error("the token lives too long")]
    Life,
    /// A claim is missing or breaks a rule.
    #[error("claim {claim}: {rule}")]
    Claim {
        /// The claim's name, from configuration.
        claim: String,
        /// The rule.
        rule: &'static str,
    },
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
}

impl AuthenticationError {
    /// What the caller is told: `AUTH_REQUIRED`, `TOKEN_EXPIRED`, `INVALID_TOKEN`, or `UNAVAILABLE` where the token was
    /// not judged.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Missing => ErrorCode::AuthRequired,
            Self::Expired => ErrorCode::TokenExpired,
            Self::Unavailable => ErrorCode::Unavailable,
            _ => ErrorCode::InvalidToken,
        }
    }
}

impl From<AuthenticationError> for Refusal {
    fn from(error: AuthenticationError) -> Self {
        let retry_after = (error == AuthenticationError::Unavailable).then_some(JWKS_RETRY_AFTER);
        Self { retry_after, ..error.code().into() }
    }
}
