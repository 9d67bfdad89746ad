//! Revoked tokens for a hub to look through.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::token_revocation::Id;
use carillon_client::{AdminClient, ClientOptions, v1};
use futures::{StreamExt, TryStreamExt};

use super::BenchError;
use super::target::Target;
use crate::dev_tokens::{DevTokens, SERVICE};

/// Requests at a time.
const IN_FLIGHT: usize = 64;
/// The tokens' life.
const LIFE: Duration = Duration::from_hours(24);

/// Revokes so many tokens that nobody bears.
pub(super) fn revoke(target: &Target, count: usize) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tokens = DevTokens::read(&target.data()).map_err(std::io::Error::other)?;
    let token = tokens.token(SERVICE).map_err(std::io::Error::other)?;
    let options = ClientOptions::new(format!("http://{}", target.grpc)).token(token);
    let revoking = async {
        let admin = AdminClient::new(options, tokens.tenant.as_str())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let expires_ms = i64::try_from((now + LIFE).as_millis())?;
        let requests = futures::stream::iter((0..count).map(|number| {
            let id = Some(Id::Jti(format!("bench-{number}")));
            let what = Some(What::Token(v1::TokenRevocation { id, expires_ms }));
            let request = v1::RevokeTokensRequest { what, ..v1::RevokeTokensRequest::default() };
            let admin = &admin;
            async move { admin.revoke_tokens(request).await }
        }));
        requests.buffer_unordered(IN_FLIGHT).try_for_each(async |_| Ok(())).await?;
        anyhow::Ok(())
    };
    Ok(runtime.block_on(revoking).map_err(std::io::Error::other)?)
}
