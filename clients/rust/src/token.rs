//! Where tokens come from: a callback that the library asks when it needs one.

use std::future::Future;
use std::pin::Pin;

use tonic::metadata::{Ascii, MetadataValue};

/// A future of a token.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<String, TokenError>> + Send + 'a>>;

/// Why the library asks for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenReason {
    /// A session is about to open, or a unary request to be sent: a token from a cache will do.
    Connect,
    /// The session's token expires soon: a newer one is needed.
    Expiring,
    /// The hub said that the last token has expired: a newer one is needed.
    Expired,
}

/// Gives tokens. Asked at every connect, when the hub says that the token expires soon, and when it has expired.
///
/// Any `Fn(TokenReason) -> Future<Output = Result<String, TokenError>>` is one.
pub trait TokenProvider: Send + Sync + 'static {
    /// A JWT of the same user and tenant each time.
    fn token(&self, reason: TokenReason) -> TokenFuture<'_>;
}

impl<F, R> TokenProvider for F
where
    F: Fn(TokenReason) -> R + Send + Sync + 'static,
    R: Future<Output = Result<String, TokenError>> + Send + 'static,
{
    fn token(&self, reason: TokenReason) -> TokenFuture<'_> {
        Box::pin(self(reason))
    }
}

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TokenError {
    /// For the developer; never the token.
    pub message: String,
    /// Asking again will not help: the client ends. Otherwise it asks again after its back-off.
    pub permanent: bool,
}

/// A token as the metadata of a call.
pub(crate) fn bearer(token: &str) -> Result<MetadataValue<Ascii>, TokenError> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| TokenError {
        message: "the token holds characters that no token has".to_owned(),
        permanent: true,
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// One token for ever. Once it has expired there is none.
#[derive(Clone)]
pub struct StaticToken(String);

impl StaticToken {
    /// This token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }
}

impl std::fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StaticToken(..)")
    }
}

impl TokenProvider for StaticToken {
    fn token(&self, reason: TokenReason) -> TokenFuture<'_> {
        let answer = match reason {
            TokenReason::Connect => Ok(self.0.clone()),
            TokenReason::Expiring | TokenReason::Expired => Err(TokenError {
                message: "the token has expired: get a new one".to_owned(),
                permanent: true,
            }),
        };
        Box::pin(std::future::ready(answer))
    }
}
