//! The handle that callers hold.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{self, Connected};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::driver::{Driver, SessionState};
use crate::error::{CommandError, ConnectError};
use crate::handover::{Book, EventSink, Events};
use crate::late::Late;
use crate::options::ClientOptions;
use crate::pending::{Answer, IN_FLIGHT, InFlight, Outgoing};
use crate::positions::Positions;
use crate::rooms::Rooms;

/// Tells the driver to leave when the last handle is dropped.
pub(crate) type Alive = DropGuard;

/// A client of a hub: cheap to clone, and usable from many tasks. Its session lives until the last clone and the
/// [`Events`] are dropped, or [`Client::close`].
///
/// Commands are its async functions. Each completes once, over however many sessions it takes, or fails when its time
/// is over. At most 64 are under way; more wait their turn. One that is larger than the hub takes is refused here.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// What the next command bears; empty: a random one.
    key: Bytes,
    timeout: Duration,
}

struct Shared {
    commands: mpsc::Sender<Outgoing>,
    in_flight: Arc<Semaphore>,
    connected: watch::Receiver<Option<Arc<Connected>>>,
    book: Book,
    leave: CancellationToken,
    /// Cancelled when the driver has ended.
    gone: CancellationToken,
    ended: Arc<OnceLock<String>>,
    _alive: Arc<Alive>,
}

impl Client {
    /// Opens a client and its first session. By default one attempt is made: see [`ClientOptions::wait_for_hub`].
    /// Must be called within a tokio runtime, where its task then runs.
    pub async fn connect(options: ClientOptions) -> Result<(Self, Events), ConnectError> {
        let leave = CancellationToken::new();
        let gone = CancellationToken::new();
        let alive = Arc::new(leave.clone().drop_guard());
        let book = Book::new(options.positions.clone());
        let (sink, events) =
            EventSink::new(options.event_capacity, options.discard_events, book.clone(), alive.clone());
        let (commands, queue) = mpsc::channel(IN_FLIGHT);
        let (connected, connected_now) = watch::channel(None);
        let ended = Arc::new(OnceLock::new());
        let timeout = options.command_timeout;
        let driver = Driver {
            rooms: Rooms::from_positions(options.positions.clone()),
            options,
            commands: queue,
            events: sink,
            connected,
            leave: leave.clone(),
            ended: ended.clone(),
            in_flight: InFlight::new(),
            backlog: Vec::new(),
            own: SessionState::default(),
            late: Late::default(),
        };
        let (opened, opening) = oneshot::channel();
        let guard = gone.clone().drop_guard();
        tokio::spawn(async move {
            driver.run(opened).await;
            drop(guard);
        });
        match opening.await {
            Ok(outcome) => outcome?,
            Err(_dropped) => return Err(ConnectError::Options("the runtime is shutting down".to_owned())),
        }
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        let shared =
            Shared { commands, in_flight, connected: connected_now, book, leave, gone, ended, _alive: alive };
        Ok((Self { shared: Arc::new(shared), key: Bytes::new(), timeout }, events))
    }

    /// This client with an idempotency key of the caller's, 8 to 64 bytes, for one command: whoever repeats that
    /// command with the same key, even after a restart, gets the first outcome.
    #[must_use]
    pub fn with_key(&self, key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), ..self.clone() }
    }

    /// This client with another time limit for commands.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Where the caller's copy of each joined room and of the inbox ends: up to the last event that it took from
    /// [`Events`]. Store it when those are processed; a later process gives it to [`ClientOptions::resume`].
    pub fn positions(&self) -> Positions {
        self.shared.book.positions()
    }

    /// What the hub said when the latest session opened.
    pub fn connected(&self) -> Arc<Connected> {
        // There always is one: `connect` returned after the first.
        self.shared.connected.borrow().clone().unwrap_or_default()
    }

    /// The id of the user that the token names.
    pub fn user(&self) -> String {
        self.connected().user.clone()
    }

    /// Leaves at once, so that others see it without the grace of a lost connection. Commands under way fail.
    pub async fn close(self) {
        self.shared.leave.cancel();
        self.shared.gone.cancelled().await;
    }

    /// Sends any command and returns its reply. The typed functions are built on it.
    ///
    /// A command that changes something gets a random idempotency key unless [`Client::with_key`] gave one.
    pub async fn call(&self, command: Command) -> Result<v1::session_response::Kind, CommandError> {
        let key = if self.key.is_empty() { random_key(&command) } else { self.key.clone() };
        // Tokio's budget would let a future that is polled first take its place in the queue after one polled later.
        // Commands that one task makes one after the other leave in that order.
        let exchange = tokio::task::unconstrained(self.exchange(command, key));
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(CommandError::TimedOut(self.timeout)),
        }
    }

    async fn exchange(&self, command: Command, key: Bytes) -> Answer {
        let permit = tokio::select! {
            permit = self.shared.in_flight.clone().acquire_owned() => permit.map_err(|_| self.ended())?,
            () = self.shared.gone.cancelled() => return Err(self.ended()),
        };
        let (answer, answered) = oneshot::channel();
        let outgoing = Outgoing { command, key, answer: Some(answer), _permit: Some(permit) };
        self.shared.commands.send(outgoing).await.map_err(|_| self.ended())?;
        answered.await.map_err(|_| self.ended())?
    }

    fn ended(&self) -> CommandError {
        let why = self.shared.ended.get().map_or("its runtime is shutting down", String::as_str);
        CommandError::Ended(why.to_owned())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// 16 random bytes for what writes an entry; nothing for the rest, which may be repeated as it is.
pub(crate) fn random_key(command: &Command) -> Bytes {
    let writes = matches!(
        command,
        Command::MessageSend(_)
            | Command::EventPublish(_)
            | Command::ConversationCreate(_)
            | Command::ConversationUpdate(_)
            | Command::MemberAdd(_)
            | Command::MemberRemove(_)
            | Command::MemberRole(_)
            | Command::MessageEdit(_)
            | Command::MessageDelete(_)
            | Command::Reaction(_)
            | Command::NotificationRead(_)
            | Command::NotificationDelete(_)
    );
    if writes { random_bytes() } else { Bytes::new() }
}

/// 16 random bytes.
pub(crate) fn random_bytes() -> Bytes {
    let mut key = [0; 16];
    // Without randomness a retry is not safe, but the command still is what the caller asked for.
    if getrandom::fill(&mut key).is_err() {
        return Bytes::new();
    }
    Bytes::copy_from_slice(&key)
}
