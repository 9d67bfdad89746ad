//! Checking a token.

use std::sync::Arc;

use serde_json::Value;

use super::claims::Claims;
use super::error::AuthenticationError;
use super::id;
use super::key::reason;
use super::options::{Algorithm, Options, OptionsError};
use super::ring::KeyRing;
use super::verified::Verified;
use crate::domain::limits;
use crate::domain::time::Timestamp;

/// Checks the tokens of one issuer or several. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<[Issuer]>);

#[derive(Debug)]
struct Issuer {
    keys: Arc<KeyRing>,
    options: Options,
}

impl Authenticator {
    /// For one issuer. Validates the options: every key fits its algorithm, a secret has 32 bytes at least, every
    /// claim has a name.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        Self::of(vec![options])
    }

    /// For several, each of which must be named by its tokens: its keys, its audience and its claims' names are for no
    /// other's.
    pub fn of(issuers: Vec<Options>) -> Result<Self, OptionsError> {
        check_names(&issuers)?;
        let issuers = issuers.into_iter().map(Issuer::new);
        Ok(Self(issuers.collect::<Result<_, _>>()?))
    }

    /// Each issuer's keys, in the order of their options: for who fetches them and reads them again.
    pub fn key_rings(&self) -> impl Iterator<Item = &Arc<KeyRing>> {
        self.0.iter().map(|issuer| &issuer.keys)
    }

    /// Checks a token: size, algorithm, signature, issuer, audience, times, and that it says who asks. Of the header
    /// `alg`, `kid`, `typ` and `crit` are looked at: `kid` chooses among keys that are known, and no `jku`, `jwk`, `x5u` or
    /// `x5c` brings one (RFC 8725, 3.10).
    ///
    /// `UNAVAILABLE` where the key may be one that is not fetched yet; nothing is waited for.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, AuthenticationError> {
        if token.is_empty() {
            return Err(AuthenticationError::Missing);
        }
        if token.len() > limits::TOKEN_BYTES {
            return Err(AuthenticationError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| reason(&error))?;
        if header.crit.is_some() {
            return Err(AuthenticationError::Extension);
        }
        let issuer = self.issuer(token)?;
        let claims = issuer.open(token, &header, now)?;
        // Once it is known who says so.
        if !issuer.options.types.iter().any(|token| token.is(header.typ.as_deref())) {
            return Err(AuthenticationError::Type);
        }
        claims.check(&issuer.options, id::of_text(token), now)
    }

    /// The issuer whose keys the token must be signed with. Where there are several, it is the one that the token
    /// names: who lies about it needs that one's key.
    fn issuer(&self, token: &str) -> Result<&Issuer, AuthenticationError> {
        if let [only] = &self.0[..] {
            return Ok(only);
        }
        let claims: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|error| reason(&error))?;
        let named = claims.get("iss").and_then(Value::as_str).ok_or(AuthenticationError::Issuer)?;
        let ours = |issuer: &&Issuer| issuer.options.issuer.as_deref() == Some(named);
        self.0.iter().find(ours).ok_or(AuthenticationError::Issuer)
    }
}

impl Issuer {
    fn new(mut options: Options) -> Result<Self, OptionsError> {
        check_claims(&options)?;
        check_keys(&options)?;
        // The ring has them from now on.
        let keys = std::mem::take(&mut options.keys);
        let keys = KeyRing::new(options.section.clone(), &keys, options.remote.clone())?;
        Ok(Self { keys: Arc::new(keys), options })
    }

    /// The claims of a token that one of the keys signed.
    fn open(
        &self,
        token: &str,
        header: &jsonwebtoken::Header,
        now: Timestamp,
    ) -> Result<Claims, AuthenticationError> {
        let candidates = self.keys.candidates(header.kid.as_deref(), header.alg, now)?;
        for key in &candidates.keys {
            match key.open(token) {
                Err(AuthenticationError::Signature) => {}
                opened => return opened,
            }
        }
        let reason = if candidates.keys.is_empty() {
            AuthenticationError::UnknownKey
        } else {
            AuthenticationError::Signature
        };
        Err(if candidates.complete { reason } else { self.keys.missing(reason, now) })
    }
}

/// Among several, every issuer has a name of its own.
fn check_names(issuers: &[Options]) -> Result<(), OptionsError> {
    if issuers.is_empty() {
        return Err(OptionsError {
            key: "auth.secret".to_owned(),
            rule: "required: keys of one issuer at least",
        });
    }
    for (index, options) in issuers.iter().enumerate() {
        let refuse = |rule| Err(options.refuse("issuer", rule));
        match &options.issuer {
            Some(name) if name.is_empty() => return refuse("not empty"),
            None if issuers.len() > 1 => return refuse("required where there are several issuers"),
            Some(_) if issuers[..index].iter().any(|before| before.issuer == options.issuer) => {
                return refuse("each issuer once");
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_keys(options: &Options) -> Result<(), OptionsError> {
    if options.types.is_empty() {
        return Err(options.refuse("types", "one at least"));
    }
    if options.keys.is_empty() && options.remote.is_none() {
        return Err(options.refuse("secret", "required: one key at least"));
    }
    if options.keys.len() > limits::KEYS_TRIED {
        return Err(options.refuse("keys", "at most 8 keys"));
    }
    for (index, key) in options.keys.iter().enumerate() {
        let Some(kid) = &key.kid else { continue };
        let place = key.name.rsplit_once('.').map_or("auth", |(place, _)| place);
        let refuse = |rule| Err(OptionsError { key: format!("{place}.kid"), rule });
        if kid.is_empty() || kid.len() > limits::KID_BYTES {
            return refuse("1 to 256 bytes");
        }
        if options.keys[..index].iter().any(|before| before.kid == key.kid) {
            return refuse("each name once");
        }
    }
    let Some(remote) = &options.remote else { return Ok(()) };
    if remote.algorithm == Algorithm::Hs256 {
        let rule = "needs algorithm RS256, ES256 or EdDSA: secrets are not published";
        return Err(options.refuse("jwks_url", rule));
    }
    if options.issuer.is_none() {
        // Who publishes keys may sign with them for many.
        return Err(options.refuse("issuer", "required with jwks_url"));
    }
    Ok(())
}

fn check_claims(options: &Options) -> Result<(), OptionsError> {
    let names = &options.claims;
    if names.tenant.is_empty() {
        return Err(options.refuse("claims.tenant", "at least one claim"));
    }
    let all = [
        ("claims.user", &names.user),
        ("claims.service", &names.service),
        ("claims.tenants", &names.tenants),
        ("claims.abilities", &names.abilities),
        ("claims.rooms", &names.rooms),
        ("claims.roles", &names.roles),
    ];
    let tenant = names.tenant.iter().map(|name| ("claims.tenant", name));
    match all.into_iter().chain(tenant).find(|(_, name)| name.is_empty()) {
        Some((key, _)) => Err(options.refuse(key, "not empty")),
        None => Ok(()),
    }
}
