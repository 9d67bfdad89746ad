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
use crate::office::Office;

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
    /// WebSocket with protobuf, let in by a ticket.
    TicketSocket,
    /// Server-sent events, let in by a ticket.
    TicketEvents,
}

pub(crate) const WAYS: [Way; 8] = [
    Way::Session,
    Way::Execute,
    Way::SocketProto,
    Way::SocketJson,
    Way::Posted,
    Way::Events,
    Way::TicketSocket,
    Way::TicketEvents,
];

impl Way {
    /// Whether a command can be asked for on it.
    pub(crate) fn has(self, command: &Tried) -> bool {
        match self {
            Self::Session | Self::SocketProto | Self::SocketJson | Self::TicketSocket => true,
            Self::Execute | Self::Posted => !command.session,
            Self::Events | Self::TicketEvents => command.name == "join",
        }
    }
}

/// Where a caller asks; who was not let in is answered that to everything.
pub(crate) enum Entrance {
    Session(Box<Wire>),
    Execute(Box<HubServiceClient<Channel>>, String),
    Socket(Box<WebSocket>),
    Posted(SocketAddr, String),
    Events(SocketAddr, Shown, Office),
    Refused(String),
}

/// What an event stream is opened with, as an `authorization`.
pub(crate) enum Shown {
    /// The token itself.
    Token(String),
    /// A ticket that is bought with it.
    Ticket(String),
}

impl Entrance {
    pub(crate) async fn open(
        way: Way,
        hub: &TestHub,
        bridge: SocketAddr,
        office: &Office,
        token: &str,
    ) -> Self {
        let mut hello = v1::Hello { token: token.to_owned(), ..greeting() };
        if way == Way::TicketSocket {
            match ticket(bridge, &bearer(token)).await {
                Ok(ticket) => hello.token = ticket,
                Err(code) => return Self::Refused(code),
            }
        }
        match way {
            Way::Session => {
                let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
                match verdict(&wire.asks(Command::Hello(hello)).await) {
                    "ok" => Self::Session(Box::new(wire)),
                    code => Self::Refused(code.to_owned()),
                }
            }
            Way::SocketProto | Way::SocketJson | Way::TicketSocket => {
                let speaks = if way == Way::SocketJson { Speaks::Json } else { Speaks::Proto };
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
            Way::Events => Self::Events(bridge, Shown::Token(bearer(token)), office.clone()),
            Way::TicketEvents => Self::Events(bridge, Shown::Ticket(bearer(token)), office.clone()),
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
                let answer = request(*bridge, "POST", "/v1/commands", &authorization(bearer), &body).await;
                match answer.status {
                    200 => "ok".to_owned(),
                    _ => answer.json()["code"].as_str().expect("a code").to_owned(),
                }
            }
            Self::Events(bridge, shown, office) => follows(*bridge, shown, office, command).await,
            Self::Refused(code) => code.clone(),
        }
    }
}

/// What an event stream that joins its rooms with `hello` says of one that it may not.
pub(crate) const LEFT: &str = "left";

/// What is found of one that it joins as soon as somebody can say that it may.
pub(crate) const LATE: &str = "late";

/// Follows a room by an event stream, which says that it did or that it may not.
async fn follows(bridge: SocketAddr, shown: &Shown, office: &Office, command: Command) -> String {
    let Command::Join(join) = command else { panic!("event streams only follow") };
    let (path, bearer) = match address(bridge, shown, &join.room).await {
        Ok(address) => address,
        Err(code) => return code,
    };
    let Ok(mut events) = Events::open(bridge, &path, &authorization(&bearer)).await else {
        // A ticket is good once.
        let (path, bearer) = address(bridge, shown, &join.room).await.expect("as before");
        let refused = request(bridge, "GET", &path, &authorization(&bearer), "").await;
        return refused.json()["code"].as_str().expect("a code").to_owned();
    };
    // With a ticket it is joined with `hello`, which tries again.
    let mut waits = false;
    loop {
        let response = tokio::select! {
            response = events.next() => response,
            () = office.has_failed(&join.room), if !waits && matches!(shown, Shown::Ticket(_)) => {
                office.prepares(&join.room, true);
                waits = true;
                continue;
            }
        };
        let Some(response) = response else { return "-".to_owned() };
        match response.kind {
            Some(Kind::Joined(joined)) if joined.room == join.room => {
                return if waits { LATE } else { "ok" }.to_owned();
            }
            Some(Kind::Left(left)) if left.room == join.room => return LEFT.to_owned(),
            Some(Kind::Disconnected(end)) => return end.code,
            Some(Kind::Error(error)) => return error.code,
            _ => {}
        }
    }
}

/// Where the events of a room are, and what is to be shown there; or why there is no ticket.
async fn address(bridge: SocketAddr, shown: &Shown, room: &str) -> Result<(String, String), String> {
    let path = format!("/v1/events?room={}", room.replace(':', "%3A"));
    match shown {
        // With a rewind each room is a command of its own, and answered like one.
        Shown::Token(bearer) => Ok((format!("{path}&rewind=1"), bearer.clone())),
        Shown::Ticket(bearer) => {
            Ok((format!("{path}&ticket={}", ticket(bridge, bearer).await?), String::new()))
        }
    }
}

/// A ticket for who shows this, or why there is none.
pub(crate) async fn ticket(bridge: SocketAddr, bearer: &str) -> Result<String, String> {
    let answer = request(bridge, "POST", "/v1/tickets", &authorization(bearer), "").await;
    let text = |name: &str| answer.json()[name].as_str().expect("a text").to_owned();
    if answer.status == 200 { Ok(text("ticket")) } else { Err(text("code")) }
}

fn authorization(bearer: &str) -> Vec<(&str, &str)> {
    if bearer.is_empty() { Vec::new() } else { vec![("authorization", bearer)] }
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
