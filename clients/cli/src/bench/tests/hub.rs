//! A hub of a few lines, through tonic: what the benchmarks' client must get along with, and faults that they must see.
//! [`super::port`] puts it behind the real bridge.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use carillon_proto::v1::hub_service_server::{HubService, HubServiceServer};
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{
    Connected, CreateTicketRequest, CreateTicketResponse, EntryHeader, Error, ExecuteRequest,
    ExecuteResponse, HistoryEntry, HistoryGet, HistoryPage, Joined, Message, MessageSent, Ping, Position,
    SessionRequest, SessionResponse, history_entry, history_get::Bound,
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// What the hub does wrong, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// One receiver does not get message 7.
    Loses,
    /// One receiver gets message 7 twice.
    Repeats,
    /// One receiver gets message 7 after message 8.
    Swaps,
    /// Message 7 is acknowledged, but not stored.
    Forgets,
    /// Message 7's content is not what was sent.
    Corrupts,
}

const VICTIM: u64 = 7;

pub(super) type Out = mpsc::Sender<Result<SessionResponse, Status>>;
pub(super) type Incoming = mpsc::Receiver<Result<SessionResponse, Status>>;

#[derive(Default)]
struct Room {
    entries: Vec<Message>,
    receivers: Vec<Out>,
    held: Option<Message>,
}

#[derive(Clone)]
pub(super) struct Hub {
    fault: Fault,
    rooms: Arc<Mutex<HashMap<String, Room>>>,
}

impl Hub {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, rooms: Arc::default() }
    }

    /// Answers a request; false ends the session.
    pub(super) fn take(&self, request: SessionRequest, out: &Out) -> bool {
        let SessionRequest { command_id, command: Some(command), .. } = request else { return false };
        if let Command::Pong(_) = command {
            return true;
        }
        if command_id == 0 {
            return false;
        }
        let Some(kind) = answer(&self.rooms, self.fault, command, out) else { return false };
        out.try_send(Ok(SessionResponse { command_id, kind: Some(kind) })).is_ok()
    }
}

/// Starts it on a free port, for as long as the test's process lives.
pub(super) fn start(fault: Fault) -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            sender.send(incoming.local_addr().unwrap()).unwrap();
            let hub = HubServiceServer::new(Hub::new(fault));
            let server = tonic::transport::Server::builder().add_service(hub);
            server.serve_with_incoming(incoming).await.unwrap();
        });
    });
    receiver.recv().unwrap()
}

#[tonic::async_trait]
impl HubService for Hub {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<SessionResponse, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut commands = request.into_inner();
        let (out, receiver) = mpsc::channel(1_024);
        let hub = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(request)) = commands.next().await {
                if !hub.take(request, &out) {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn execute(&self, _: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        Err(Status::unimplemented("execute"))
    }

    async fn create_ticket(
        &self,
        _: Request<CreateTicketRequest>,
    ) -> Result<Response<CreateTicketResponse>, Status> {
        Err(Status::unimplemented("create_ticket"))
    }
}

/// `None` ends the session.
fn answer(rooms: &Mutex<HashMap<String, Room>>, fault: Fault, command: Command, out: &Out) -> Option<Kind> {
    let mut rooms = rooms.lock().unwrap();
    Some(match command {
        Command::Hello(hello) if hello.token == "good" => {
            push(out, Kind::Ping(Ping::default()));
            Kind::Connected(Connected::default())
        }
        Command::Hello(_) => Kind::Error(Error { code: "INVALID_TOKEN".to_owned(), ..Error::default() }),
        Command::Join(join) => {
            rooms.entry(join.room).or_default().receivers.push(out.clone());
            Kind::Joined(Joined::default())
        }
        Command::MessageSend(send) => {
            let room = rooms.entry(send.room.clone()).or_default();
            let seq = room.entries.len() as u64 + 1;
            let header = Some(EntryHeader { seq, sender: "alice".to_owned(), ..EntryHeader::default() });
            let mut message =
                Message { room: send.room, header, content: send.content, ..Message::default() };
            if fault == Fault::Corrupts && seq == VICTIM {
                message.content = None;
            }
            room.deliver(&message, fault, seq);
            if fault != Fault::Forgets || seq != VICTIM {
                room.entries.push(message);
            } else {
                room.entries.push(Message::default());
            }
            let position = Some(Position { seq, ..Position::default() });
            Kind::MessageSent(MessageSent { position, ..MessageSent::default() })
        }
        Command::History(history) => rooms.entry(history.room.clone()).or_default().page(&history),
        Command::Goodbye(_) => return None,
        _ => Kind::Error(Error { code: "INVALID_ARGUMENT".to_owned(), ..Error::default() }),
    })
}

impl Room {
    fn deliver(&mut self, message: &Message, fault: Fault, seq: u64) {
        for (index, receiver) in self.receivers.iter().enumerate() {
            match (index, fault, seq) {
                (0, Fault::Loses, VICTIM) => {}
                (0, Fault::Swaps, VICTIM) => self.held = Some(message.clone()),
                (0, Fault::Repeats, VICTIM) => {
                    push(receiver, Kind::Message(message.clone()));
                    push(receiver, Kind::Message(message.clone()));
                }
                (0, ..) => {
                    push(receiver, Kind::Message(message.clone()));
                    if let Some(held) = self.held.take() {
                        push(receiver, Kind::Message(held));
                    }
                }
                _ => push(receiver, Kind::Message(message.clone())),
            }
        }
    }

    fn page(&self, history: &HistoryGet) -> Kind {
        let first = match history.bound {
            Some(Bound::After(seq)) => seq as usize,
            _ => self.entries.len().saturating_sub(history.limit as usize),
        };
        let last = self.entries.len().min(first + history.limit as usize);
        let entry =
            |message: &Message| HistoryEntry { entry: Some(history_entry::Entry::Message(message.clone())) };
        // A forgotten message leaves its place empty.
        let stored = self.entries[first..last].iter().filter(|message| message.header.is_some());
        Kind::HistoryPage(HistoryPage {
            entries: stored.map(entry).collect(),
            as_of: Some(Position { seq: self.entries.len() as u64, ..Position::default() }),
            more: last < self.entries.len(),
        })
    }
}

fn push(out: &Out, kind: Kind) {
    out.try_send(Ok(SessionResponse { command_id: 0, kind: Some(kind) }))
        .expect("room for the test's messages");
}
