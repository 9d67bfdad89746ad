//! Authentication: from a token's text to who asks.
//!
//! [`Authenticator::verify`] checks a JWT under one key and one algorithm and gives a [`Verified`], which gives the
//! [`Caller`](crate::domain::caller::Caller) of a session or command. [`TokenLife`] says when the session of a token
//! must be warned and ended. [`mint`] makes tokens for development. Nothing here waits or reads a clock.

mod authenticator;
mod claims;
mod error;
pub mod id;
mod life;
mod mint;
mod options;
mod verified;

#[cfg(test)]
mod tests;

pub use authenticator::Authenticator;
pub use error::AuthenticationError;
pub use life::{LifeStep, TokenLife};
pub use mint::{MintError, MintFor, MintRequest, mint};
pub use options::{Algorithm, ClaimNames, Key, Options, OptionsError, Secret};
pub use verified::{ServiceTenants, ServiceToken, UserToken, Verified};
