//! Tokens that are good no more.

use std::path::PathBuf;

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
    /// With --jti: when that token expires, milliseconds since 1970.
    #[arg(long, value_name = "MS", requires = "jti")]
    expires: Option<i64>,
    /// Only tokens issued before this instant, milliseconds since 1970 [default: now].
    #[arg(long, value_name = "MS", conflicts_with_all = ["jti", "token_file"])]
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
    let RevokeWhat { token_file, jti, user, service, everybody } = args.what;
    let what = match (token_file, jti, user, service) {
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
