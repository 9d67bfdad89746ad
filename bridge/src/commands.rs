//! One command or ticket by POST, for what speaks neither gRPC nor WebSocket: curl, functions, servers of other makes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::port::{Call, HubPort, Refused};
use carillon_proto::v1;
use http::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::json::{self, JsonError};
use crate::respond::{self, Body, refusal};

/// `POST /v1/commands`: an `ExecuteRequest` as JSON, answered with its response or an error, each as JSON; and whether it is
/// known whose it is, whatever the answer says.
pub(crate) async fn execute<B>(
    hub: Arc<dyn HubPort>,
    call: Call,
    body: B,
    limit: usize,
    within: Duration,
) -> (Response<Body>, bool)
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let id = call.request_id.clone();
    let request = match read(body, limit, within).await.and_then(|text| parse::<v1::ExecuteRequest>(&text)) {
        Ok(request) => request,
        Err(error) => return (respond::error(&v1::Error { request_id: id, ..*error }), false),
    };
    match hub.execute(call, request).await {
        Ok(response) => (respond::json(&response), true),
        Err(Refused { error, caller_is_known }) => (respond::error(&error), caller_is_known),
    }
}

/// `POST /v1/tickets`: for the bearer of the token in the header.
pub(crate) async fn create_ticket(hub: Arc<dyn HubPort>, call: Call) -> Response<Body> {
    match hub.create_ticket(call, v1::CreateTicketRequest {}).await {
        Ok(response) => respond::json(&response),
        Err(error) => respond::error(&error),
    }
}

async fn read<B>(body: B, limit: usize, within: Duration) -> Result<Bytes, Box<v1::Error>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let read = tokio::time::timeout(within, Limited::new(body, limit).collect()).await;
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
