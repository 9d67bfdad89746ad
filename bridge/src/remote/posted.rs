//! One command at a hub elsewhere. The hub judges a call by its headers, before it reads the message: so those go first, and
//! whoever shows no good token is answered whether or not the command has come.

use bytes::Bytes;
use carillon_proto::port::{self, Known, Pending, Refused};
use carillon_proto::v1;
use futures::Stream;
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::oneshot;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

use super::codec::Verbatim;
use super::endpoint::Lease;
use super::status;
use crate::respond::refusal;

/// The path of a command's call.
const EXECUTE: PathAndQuery = PathAndQuery::from_static("/carillon.v1.HubService/Execute");

/// The message of a call that begins before the message is there: none, where the other half is dropped.
pub(super) fn later() -> (oneshot::Sender<Bytes>, impl Stream<Item = Bytes> + Send + 'static) {
    let (hand_over, message) = oneshot::channel();
    let message = futures::stream::unfold(Some(message), async |message| Some((message?.await.ok()?, None)));
    (hand_over, Box::pin(message))
}

/// Asks the hub to say that the token was good before the command has come.
pub(super) fn ask_to_be_known(metadata: &mut MetadataMap) {
    metadata.insert(port::CALLER, MetadataValue::<Ascii>::from_static(port::ASKED));
}

/// Begins the call, and hands the command over when it has come. `known` is called once the hub says whose it is.
pub(super) async fn carry_out<S>(
    lease: Lease,
    asked: Request<S>,
    request: Pending,
    hand_over: oneshot::Sender<Bytes>,
    known: Known,
    request_id: &str,
) -> Result<v1::ExecuteResponse, Refused>
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    let mut client = tonic::client::Grpc::new(lease.channel());
    let calling = async {
        client.ready().await.map_err(|_| Status::unavailable("the hub was not reached"))?;
        let response = client.streaming(asked, EXECUTE, Verbatim).await?;
        if response.metadata().contains_key(port::CALLER) {
            known();
        }
        let mut answers = response.into_inner();
        let answer = answers.message().await?;
        // To the call's end: one that is dropped before is reset. What has come has, whatever becomes of that.
        let _ = answers.trailers().await;
        Ok(answer)
    };
    let reading = async { request.await.map(|request| hand_over.send(request.encode_to_vec().into())) };
    let mut calling = std::pin::pin!(calling);
    let (answer, unreadable) = tokio::select! {
        // Whatever is still to be read is not read any more.
        answer = &mut calling => (answer, None),
        read = reading => (calling.await, read.err()),
    };
    match (answer, unreadable) {
        (Ok(answer), _) => decode(answer, request_id),
        // The hub missed its message, and so had nothing against the caller.
        (Err(status), Some(error)) if status::row(&status).name == "PROTOCOL_ERROR" => {
            Err(Refused { error, caller_is_known: true })
        }
        (Err(status), _) => Err(Refused {
            error: status::error(&status, request_id),
            caller_is_known: status.metadata().contains_key(port::CALLER),
        }),
    }
}

fn decode(answer: Option<Bytes>, request_id: &str) -> Result<v1::ExecuteResponse, Refused> {
    let decoded = answer.and_then(|answer| v1::ExecuteResponse::decode(answer).ok());
    decoded.ok_or_else(|| Refused { error: refusal("INTERNAL", request_id), caller_is_known: true })
}
