//! Tokens that are good no more.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::token_revocation::Id;
use carillon_client::{AdminClient, v1};
use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::output::Output;

/// Make tokens good no more, and end what they opened within a second.
#[derive(Clone, Debug, Args)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    what: RevokeWhat,
    /// With --jti: when that token expires, milliseconds since 1970. With --sha256 too, where that is known; else it is taken to
    /// live for as long as any can be revoked, ten years.
    #[arg(long, value_name = "MS", conflicts_with_all = ["token_file", "user", "service", "everybody"])]
    expires: Option<i64>,
    /// Only tokens issued before this instant, milliseconds since 1970 [default: now].
    #[arg(long, value_name = "MS", conflicts_with_all = ["jti", "token_file", "sha256"])]
    before: Option<i64>,
    /// In all tenants. Needs a token for all of them.
    #[arg(long, conflicts_with = "user")]
    everywhere: bool,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct RevokeWhat {
    /// The token in this file.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The token with this `jti` claim.
    #[arg(long, value_name = "ID", requires = "expires")]
    jti: Option<String>,
    /// The token that audit lines name so: the SHA-256 of its text without the signature, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<[u8; 32]>,
    /// All tokens of this user.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// All tokens of this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// All tokens of all users and services.
    #[arg(long)]
    everybody: bool,
}

pub(crate) async fn revoke(admin: &AdminClient, args: RevokeArgs, output: Output) -> anyhow::Result<()> {
    let RevokeWhat { token_file, jti, sha256, user, service, everybody } = args.what;
    let what = match (token_file, jti, user, service) {
        _ if sha256.is_some() => What::Token(v1::TokenRevocation {
            id: sha256.map(|hash| Id::Sha256(hash.to_vec().into())),
            expires_ms: args.expires.unwrap_or_else(|| millis_since_1970() + LONGEST),
        }),
        (Some(file), ..) => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            What::Token(of_token(text.trim())?)
        }
        (_, Some(jti), ..) => What::Token(v1::TokenRevocation {
            id: Some(Id::Jti(jti)),
            expires_ms: args.expires.context("give --expires")?,
        }),
        (_, _, Some(user), _) => What::User(user),
        (.., Some(service)) => What::Service(service),
        _ => What::Everybody(everybody),
    };
    let request = v1::RevokeTokensRequest {
        what: Some(what),
        before_ms: args.before.unwrap_or(0),
        everywhere: args.everywhere,
        ..Default::default()
    };
    admin.revoke_tokens(request).await?;
    output.data(&json!({"revoked": true}), || "revoked".to_owned())?;
    Ok(())
}

/// How long a token may live that is revoked, less a day for clocks that differ: ten years.
const LONGEST: i64 = 3_652 * 24 * 3_600 * 1_000;

fn millis_since_1970() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX - LONGEST)
}

fn sha256(text: &str) -> Result<[u8; 32], &'static str> {
    const RULE: &str = "64 hexadecimal digits";
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return Err(RULE);
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(pairs) {
        let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
        let (high, low) = (high.ok_or(RULE)?, low.ok_or(RULE)?);
        *byte = u8::try_from(high << 4 | low).map_err(|_| RULE)?;
    }
    Ok(hash)
}

/// A token by what it says: its text without the signature, and when it expires.
fn of_token(token: &str) -> anyhow::Result<v1::TokenRevocation> {
    let Some((signed, _)) = token.rsplit_once('.') else { bail!("the file holds no token") };
    let claims = signed.split_once('.').and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: serde_json::Value = serde_json::from_slice(&claims.context("the file holds no token")?)
        .context("the file holds no token")?;
    let expires = claims.get("exp").and_then(serde_json::Value::as_f64).context("the token has no `exp`")?;
    Ok(v1::TokenRevocation {
        id: Some(Id::Sha256(Sha256::digest(signed).to_vec().into())),
        expires_ms: (expires * 1_000.0).ceil() as i64,
    })
}
