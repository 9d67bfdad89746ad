//! What unary requests share: the token in the metadata, the time limit, and one more try with a newer token.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::code::Code;
use crate::error::{CommandError, ConnectError, Refusal};
use crate::options::{ClientOptions, innermost, lazy_channel};
use crate::token::{self, TokenError, TokenProvider, TokenReason};

/// A connection and a token, for requests without a session.
#[derive(Clone)]
pub(crate) struct Unary {
    pub(crate) channel: Channel,
    timeout: Duration,
    provider: Arc<dyn TokenProvider>,
    /// The last token as metadata. Locked while the provider is asked, so that it is asked once.
    bearer: Arc<Mutex<Option<MetadataValue<Ascii>>>>,
}

impl Unary {
    /// Uses of the options the first address or the channel, the token and the command's time limit.
    pub(crate) fn new(options: ClientOptions) -> Result<Self, ConnectError> {
        let channel = match options.channel {
            Some(channel) => channel,
            None => lazy_channel(options.addresses.first().map_or("", String::as_str), 1, &options.tls)?,
        };
        let bearer = Arc::default();
        Ok(Self { channel, timeout: options.command_timeout, provider: options.token, bearer })
    }

    /// Makes a request with the token; once more with a newer one where the hub says that it has expired.
    pub(crate) async fn request<T, R, F>(
        &self,
        message: T,
        make: impl Fn(Request<T>) -> F,
    ) -> Result<R, CommandError>
    where
        T: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let exchange = async {
            let first = self.attempt(message.clone(), TokenReason::Connect, &make).await;
            match first {
                Err(error) if error.code() == Some(&Code::TokenExpired) => {
                    self.attempt(message, TokenReason::Expired, &make).await
                }
                outcome => outcome,
            }
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(CommandError::TimedOut(self.timeout)),
        }
    }

    async fn attempt<T, R, F>(
        &self,
        message: T,
        reason: TokenReason,
        make: &impl Fn(Request<T>) -> F,
    ) -> Result<R, CommandError>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer(reason).await?);
        match make(request).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(match std::error::Error::source(&status) {
                Some(source) => CommandError::Unreachable(innermost(source)),
                None => CommandError::Refused(Refusal::from_status(&status)),
            }),
        }
    }

    async fn bearer(&self, reason: TokenReason) -> Result<MetadataValue<Ascii>, TokenError> {
        let mut bearer = self.bearer.lock().await;
        if let (Some(bearer), TokenReason::Connect) = (&*bearer, reason) {
            return Ok(bearer.clone());
        }
        let value = token::bearer(&self.provider.token(reason).await?)?;
        *bearer = Some(value.clone());
        Ok(value)
    }
}
