//! The ways into the hub, and what a command is answered on each.

use std::net::SocketAddr;

use carillon_client::v1;
use carillon_client::v1::hub_service_client::HubServiceClient;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_tests::browser::{Events, Speaks, WebSocket, request};
use carillon_tests::wire::{Opening, greeting};
use carillon_tests::{TestHub, Wire};
use prost::Message;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::commands::Tried;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// gRPC, `HubService.Session`.
    Session,
    /// gRPC, `HubService.Execute`.
    Execute,
    /// WebSocket with protobuf.
    SocketProto,
    /// WebSocket with JSON.
    SocketJson,
    /// A posted command.
    Posted,
    /// Server-sent events, which follow rooms and do nothing else.
    Events,
}

pub(crate) const WAYS: [Way; 6] =
    [Way::Session, Way::Execute, Way::SocketProto, Way::SocketJson, Way::Posted, Way::Events];

impl Way {
    /// Whether a command can be asked for on it.
    pub(crate) fn has(self, command: &Tried) -> bool {
        match self {
            Self::Session | Self::SocketProto | Self::SocketJson => true,
            Self::Execute | Self::Posted => !command.session,
            Self::Events => command.name == "join",
        }
    }
}

/// Where a caller asks; who was not let in is answered that to everything.
pub(crate) enum Entrance {
    Session(Box<Wire>),
    Execute(Box<HubServiceClient<Channel>>, String),
    Socket(Box<WebSocket>),
    Posted(SocketAddr, String),
    Events(SocketAddr, String),
    Refused(String),
}

impl Entrance {
    pub(crate) async fn open(way: Way, hub: &TestHub, bridge: SocketAddr, token: &str) -> Self {
        let hello = v1::Hello { token: token.to_owned(), ..greeting() };
        match way {
            Way::Session => {
                let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
                match verdict(&wire.asks(Command::Hello(hello)).await) {
                    "ok" => Self::Session(Box::new(wire)),
                    code => Self::Refused(code.to_owned()),
                }
            }
            Way::SocketProto | Way::SocketJson => {
                let speaks = if way == Way::SocketProto { Speaks::Proto } else { Speaks::Json };
                let mut socket = WebSocket::open(bridge, speaks).await;
                match verdict(&socket.does(Command::Hello(hello)).await) {
                    "ok" => Self::Socket(Box::new(socket)),
                    code => Self::Refused(code.to_owned()),
                }
            }
            Way::Execute => {
                let channel = Endpoint::try_from(hub.url()).expect("an address").connect().await;
                let client = HubServiceClient::new(channel.expect("the hub listens"));
                Self::Execute(Box::new(client), bearer(token))
            }
            Way::Posted => Self::Posted(bridge, bearer(token)),
            Way::Events => Self::Events(bridge, bearer(token)),
        }
    }

    /// What the command is answered: `ok`, or a code.
    pub(crate) async fn does(&mut self, command: Command) -> String {
        match self {
            Self::Session(wire) => verdict(&wire.asks(command).await).to_owned(),
            Self::Socket(socket) => verdict(&socket.does(command).await).to_owned(),
            Self::Execute(client, bearer) => {
                let mut request = tonic::Request::new(as_execute(command));
                if !bearer.is_empty() {
                    request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
                }
                match client.execute(request).await {
                    Ok(_) => "ok".to_owned(),
                    Err(status) => {
                        let details = status.get_error_details();
                        details.error_info().map(|info| info.reason.clone()).expect("a code")
                    }
                }
            }
            Self::Posted(bridge, bearer) => {
                let body = serde_json::to_string(&as_execute(command)).expect("JSON");
                let headers: &[_] = if bearer.is_empty() { &[] } else { &[("authorization", &**bearer)] };
                let answer = request(*bridge, "POST", "/v1/commands", headers, &body).await;
                match answer.status {
                    200 => "ok".to_owned(),
                    _ => answer.json()["code"].as_str().expect("a code").to_owned(),
                }
            }
            Self::Events(bridge, bearer) => follows(*bridge, bearer, command).await,
            Self::Refused(code) => code.clone(),
        }
    }
}

/// Follows a room by an event stream, which says that it did or that it may not.
async fn follows(bridge: SocketAddr, bearer: &str, command: Command) -> String {
    let Command::Join(join) = command else { panic!("event streams only follow") };
    let path = format!("/v1/events?room={}", join.room.replace(':', "%3A"));
    let headers: &[_] = if bearer.is_empty() { &[] } else { &[("authorization", bearer)] };
    let Ok(mut events) = Events::open(bridge, &path, headers).await else {
        let refused = request(bridge, "GET", &path, headers, "").await;
        return refused.json()["code"].as_str().expect("a code").to_owned();
    };
    while let Some(response) = events.next().await {
        match response.kind {
            Some(Kind::Joined(joined)) if joined.room == join.room => return "ok".to_owned(),
            Some(Kind::Left(left)) if left.room == join.room => return "ACCESS_DENIED".to_owned(),
            Some(Kind::Disconnected(end)) => return end.code,
            Some(Kind::Error(error)) => return error.code,
            _ => {}
        }
    }
    "-".to_owned()
}

fn bearer(token: &str) -> String {
    if token.is_empty() { String::new() } else { format!("Bearer {token}") }
}

fn verdict(answer: &Kind) -> &str {
    match answer {
        Kind::Error(error) => &error.code,
        _ => "ok",
    }
}

/// The same command for `Execute`, whose fields have the same numbers.
fn as_execute(command: Command) -> v1::ExecuteRequest {
    let request = v1::SessionRequest { command: Some(command), ..Default::default() };
    v1::ExecuteRequest::decode(request.encode_to_vec().as_slice()).expect("the numbers are the same")
}
