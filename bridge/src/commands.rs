//! One command or ticket by POST, for what speaks neither gRPC nor WebSocket: curl, functions, servers of other makes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use carillon_proto::port::{Call, HubPort, Known, Refused};
use carillon_proto::v1;
use futures::FutureExt;
use http::{Request, Response, header};
use http_body_util::BodyExt;
use tokio::sync::Mutex;

use crate::json::{self, JsonError};
use crate::respond::{self, Body, refusal};

/// A posted body, as far as it was read.
type Posted<B> = Arc<Mutex<B>>;

/// What is read at most of a body that was answered before its end, bytes. Whoever sends more may find the connection cut
/// before the answer has come.
const READ_ON_BYTES: usize = 16 << 20;

/// `POST /v1/commands`: an `ExecuteRequest` as JSON, answered with its response or an error, each as JSON; and whether it is
/// known whose it is, whatever the answer says (`known` is called where that is before). Whoever shows no good token is
/// answered before it is read.
pub(crate) async fn execute<B>(
    hub: Arc<dyn HubPort>,
    call: Call,
    request: Request<B>,
    limit: usize,
    within: Duration,
    known: Known,
) -> (Response<Body>, bool)
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    let request_id = call.request_id.clone();
    let asks_first = request.headers().contains_key(header::EXPECT);
    let body = Arc::new(Mutex::new(request.into_body()));
    let posted = Arc::clone(&body);
    let command = async move {
        let command = read(&posted, limit, within).await.and_then(|text| parse::<v1::ExecuteRequest>(&text));
        command.map_err(|error| v1::Error { request_id, ..*error })
    };
    let answered = hub.execute(call, command.boxed(), known).await;
    // Who asks whether to send it sends nothing now.
    if !asks_first && !body.lock().await.is_end_stream() {
        tokio::spawn(tokio::time::timeout(within, read_on(body)));
    }
    match answered {
        Ok(response) => (respond::json(&response), true),
        Err(Refused { error, caller_is_known }) => (respond::error(&error), caller_is_known),
    }
}

/// Reads what an answer did not wait for, and forgets it: to close a connection on which something is unread would reset
/// it, and take the answer with it.
async fn read_on<B: http_body::Body<Data = Bytes> + Unpin>(body: Posted<B>) {
    let (mut body, mut left) = (body.lock().await, READ_ON_BYTES);
    while left > 0
        && let Some(Ok(frame)) = body.frame().await
    {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
}

/// `POST /v1/tickets`: for the bearer of the token in the header.
pub(crate) async fn create_ticket(hub: Arc<dyn HubPort>, call: Call) -> Response<Body> {
    match hub.create_ticket(call, v1::CreateTicketRequest {}).await {
        Ok(response) => respond::json(&response),
        Err(error) => respond::error(&error),
    }
}

/// The whole body; MESSAGE_TOO_LARGE as soon as it is known to be longer than `limit`, what follows is not read here.
async fn read<B>(body: &Posted<B>, limit: usize, within: Duration) -> Result<Bytes, Box<v1::Error>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut body = body.lock().await;
    let reading = async {
        let mut whole = BytesMut::new();
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err("MESSAGE_TOO_LARGE");
        }
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| "PROTOCOL_ERROR")?.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err("MESSAGE_TOO_LARGE");
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    };
    let read = tokio::time::timeout(within, reading).await;
    read.unwrap_or(Err("DEADLINE_EXCEEDED")).map_err(|code| Box::new(refusal(code, "")))
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, Box<v1::Error>> {
    json::parse(text).map_err(|error| {
        let violations = match error {
            JsonError::Refused(violation) => vec![violation],
            JsonError::Broken => {
                vec![v1::Violation { field: "body".to_owned(), rule: "one JSON object".to_owned() }]
            }
        };
        Box::new(v1::Error { violations, ..refusal("INVALID_ARGUMENT", "") })
    })
}
