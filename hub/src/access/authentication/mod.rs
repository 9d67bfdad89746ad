//! Authentication: from a token's text to who asks.
//!
//! [`Authenticator::verify`] finds the issuer of a JWT and the keys that it may be signed with, each of which has one
//! algorithm, and gives a [`Verified`], which gives the [`Caller`](crate::domain::caller::Caller) of a session or
//! command. [`TokenLife`] says when the session of a token must be warned and ended. [`mint`] makes tokens for
//! development. Checking waits for nothing and reads no clock: an issuer's keys are in a [`KeyRing`], and who fetches
//! them or reads their files again (`app::keys`) puts them there.

mod authenticator;
mod claims;
mod error;
pub mod id;
mod jwks;
mod key;
mod life;
mod mint;
mod options;
mod ring;
mod verified;

#[cfg(test)]
mod tests;

pub use authenticator::Authenticator;
pub use error::AuthenticationError;
pub use jwks::JwksError;
pub use life::{LifeStep, TokenLife};
pub use mint::{MintError, MintFor, MintRequest, mint};
pub use options::{
    Algorithm, ClaimNames, Key, NamedKey, Options, OptionsError, Remote, Secret, TenantPattern, TokenType,
};
pub use ring::KeyRing;
pub use verified::{ServiceTenants, ServiceToken, UserToken, Verified};
