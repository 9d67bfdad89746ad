//! One command or ticket by POST, for what speaks neither gRPC nor WebSocket: curl, functions, servers of other makes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::port::{Call, HubPort, Known, Refused};
use carillon_proto::v1;
use futures::FutureExt;
use http::{Request, Response, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Mutex;

use crate::json::{self, JsonError};
use crate::respond::{self, Body, refusal};

/// A posted body, as far as it was read.
type Posted<B> = Arc<Mutex<Limited<B>>>;

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
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let request_id = call.request_id.clone();
    let asks_first = request.headers().contains_key(header::EXPECT);
    let body = Arc::new(Mutex::new(Limited::new(request.into_body(), limit)));
    let posted = Arc::clone(&body);
    let command = async move {
        let command = read(&posted, within).await.and_then(|text| parse::<v1::ExecuteRequest>(&text));
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
async fn read_on<B: http_body::Body<Data = Bytes> + Unpin>(body: Posted<B>)
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = body.lock().await;
    while let Some(Ok(_)) = body.frame().await {}
}

/// `POST /v1/tickets`: for the bearer of the token in the header.
pub(crate) async fn create_ticket(hub: Arc<dyn HubPort>, call: Call) -> Response<Body> {
    match hub.create_ticket(call, v1::CreateTicketRequest {}).await {
        Ok(response) => respond::json(&response),
        Err(error) => respond::error(&error),
    }
}

async fn read<B>(body: &Posted<B>, within: Duration) -> Result<Bytes, Box<v1::Error>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = body.lock().await;
    let read = tokio::time::timeout(within, (&mut *body).collect()).await;
    match read {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Box::new(refusal("MESSAGE_TOO_LARGE", ""))),
        Ok(Err(_)) => Err(Box::new(refusal("PROTOCOL_ERROR", ""))),
        Err(_) => Err(Box::new(refusal("DEADLINE_EXCEEDED", ""))),
    }
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
