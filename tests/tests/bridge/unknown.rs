//! Of whom the bridge takes down that they have tried: those of whom nobody knows who they are.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use carillon_bridge::{AddressLimits, Options};
use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_hub::config::LimitsSection;
use carillon_proto::port::{Call, End, FrameStream, HubPort, Known, Peer, Pending, Refused, TurnedAway};
use carillon_proto::{Frame, WireRow};
use carillon_tests::browser::{Beside, Speaks, WebSocket, request};
use carillon_tests::{PATIENCE, hub};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

fn few(attempts_per_minute: usize) -> Beside {
    Beside::bind(|mut options| {
        options.addresses = Some(AddressLimits { unauthenticated: 100, attempts_per_minute });
        options
    })
}

/// The status of one who tries now on a connection of their own: 429 where there have been too many.
async fn tries(address: SocketAddr) -> u16 {
    let bad = ("authorization", "Bearer a.b.c");
    request(address, "POST", "/v1/tickets", &[bad], "").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_hello_in_no_way_that_is_one_has_failed() {
    let bridge = few(6);
    let _hub = hub().start_with(&bridge).await;
    let long = format!(r#"{{"commandId": 1, "hello": {{"protocol": 1, "token": "{}"}}}}"#, "a".repeat(8_193));
    let wrong = [
        &*long,
        r#"{"commandId": 1, "hello": {"protocol": 2}}"#,
        r#"{"commandId": 1, "hello": {"colour": 1}}"#,
        r#"{"commandId": 0, "hello": {"protocol": 1}}"#,
        r#"{"commandId": 1}"#,
        "{",
    ];
    for text in wrong {
        let mut socket = WebSocket::open(bridge.address(), Speaks::Json).await;
        socket.send(Message::text(text)).await;
        socket.ends().await;
    }
    assert_eq!(tries(bridge.address()).await, 429, "each has counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_too_many_sessions_is_told_when_to_come_again() {
    let bridge = few(100);
    let hub = hub().with(|config| {
        config.limits = LimitsSection { sessions_per_user: 1, ..LimitsSection::off() };
    });
    let hub = hub.start_with(&bridge).await;
    let apart = Beside::apart(&[hub.url()], &CancellationToken::new());
    let _first = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
    let bearer = format!("Bearer {}", hub.token("alice"));
    for address in [bridge.address(), apart.address()] {
        let refused = request(address, "GET", "/v1/events", &[("authorization", &bearer)], "").await;
        assert_eq!(refused.status, 429, "{}", refused.head);
        assert!(refused.head.contains("retry-after: 5\r\n"), "{}", refused.head);
        let mut socket = WebSocket::open(address, Speaks::Json).await;
        let hello = v1::Hello { token: hub.token("alice"), protocol: 1, ..v1::Hello::default() };
        let Kind::Error(error) = socket.does(Command::Hello(hello)).await else { panic!("two at {address}") };
        assert_eq!((&*error.code, error.retry_after_ms), ("CONNECTION_LIMIT_EXCEEDED", 5_000));
    }
}

/// A hub whose sessions all end with UNAVAILABLE, be it known whose they are or not; or which says nothing.
struct Away {
    caller_is_known: bool,
    is_silent: bool,
    /// The sessions that have ended.
    ended: Arc<AtomicUsize>,
}

struct Ending {
    frames: VecDeque<Frame>,
    caller_is_known: bool,
    is_silent: bool,
    begun: bool,
    ended: Arc<AtomicUsize>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl FrameStream for Ending {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if self.begun && !self.is_silent { Poll::Pending } else { Poll::Ready(()) }
    }

    fn send(&mut self, _: Bytes) {
        self.begun = true;
        let error = v1::Error { code: "UNAVAILABLE".to_owned(), ..v1::Error::default() };
        let frame = v1::SessionResponse { command_id: 1, kind: Some(Kind::Error(error)) };
        self.frames.push_back(Frame::encode(&frame));
    }

    fn refuse(&mut self, _: u32, _: Frame) {}

    fn fail(&mut self, _: &'static WireRow) {}

    fn finish(&mut self) {}

    fn poll_frames(&mut self, _: &mut Context<'_>, take: &mut dyn FnMut(Frame)) -> Poll<Option<End>> {
        match self.frames.pop_front() {
            _ if !self.begun || self.is_silent => Poll::Pending,
            Some(frame) => {
                take(frame);
                Poll::Ready(None)
            }
            None => Poll::Ready(Some(Some(WireRow::of("UNAVAILABLE")))),
        }
    }

    fn caller_is_known(&self) -> bool {
        self.caller_is_known
    }

    fn poll_cut(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl HubPort for Away {
    fn open(&self, _: Call) -> Box<dyn FrameStream> {
        Box::new(Ending {
            frames: VecDeque::new(),
            caller_is_known: self.caller_is_known,
            is_silent: self.is_silent,
            begun: false,
            ended: Arc::clone(&self.ended),
        })
    }

    fn execute(
        &self,
        _: Call,
        _: Pending,
        _: Known,
    ) -> BoxFuture<'static, Result<v1::ExecuteResponse, Refused>> {
        unreachable!("nobody posts a command")
    }

    fn create_ticket(
        &self,
        _: Call,
        _: v1::CreateTicketRequest,
    ) -> BoxFuture<'static, Result<v1::CreateTicketResponse, v1::Error>> {
        let error = v1::Error { code: "INVALID_TOKEN".to_owned(), ..v1::Error::default() };
        Box::pin(std::future::ready(Err(error)))
    }

    fn watch_overview(
        &self,
        _: Call,
        _: v1::WatchOverviewRequest,
    ) -> BoxStream<'static, Result<v1::WatchOverviewResponse, v1::Error>> {
        unreachable!("nobody watches")
    }

    fn turned_away(&self, _: &Peer, _: TurnedAway) {}

    fn is_ready(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_hub_that_is_away_makes_nobody_unknown() {
    for (caller_is_known, after) in [(true, 401), (false, 429)] {
        let (bridge, stop) = (few(4), CancellationToken::new());
        for _ in 0..2 {
            let away = Away { caller_is_known, is_silent: false, ended: Arc::default() };
            tokio::spawn(bridge.front().serve(Arc::new(away), stop.clone()));
        }
        for _ in 0..2 {
            let mut socket = WebSocket::open(bridge.address(), Speaks::Json).await;
            socket.send(Message::text(r#"{"commandId": 1, "hello": {"protocol": 1}}"#)).await;
            socket.ends().await;
            assert_eq!(request(bridge.address(), "GET", "/v1/events", &[], "").await.status, 503);
        }
        // So many within a few seconds of whom nobody could say who they are.
        assert_eq!(tries(bridge.address()).await, after, "{caller_is_known}");
        stop.cancel();
    }
}

#[tokio::test]
async fn who_does_not_wait_for_a_slow_hub_has_not_failed() {
    const GIVE_UP: usize = 4;
    let (bridge, stop, ended) = (few(GIVE_UP), CancellationToken::new(), Arc::<AtomicUsize>::default());
    for _ in 0..2 {
        let away = Away { caller_is_known: false, is_silent: true, ended: Arc::clone(&ended) };
        tokio::spawn(bridge.front().serve(Arc::new(away), stop.clone()));
    }
    for turn in 1..=GIVE_UP {
        if turn % 2 == 0 {
            let mut listener = TcpStream::connect(bridge.address()).await.unwrap();
            listener.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            drop(listener);
        } else {
            let mut socket = WebSocket::open(bridge.address(), Speaks::Json).await;
            socket.send(Message::text(r#"{"commandId": 1, "hello": {"protocol": 1}}"#)).await;
            drop(socket);
        }
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        let all_have_ended = async {
            while ended.load(Ordering::SeqCst) < turn {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, all_have_ended).await.expect("the session ends");
    }
    // So many within a few seconds, and no minute.
    let bad = ("authorization", "Bearer a.b.c");
    let answer = request(bridge.address(), "POST", "/v1/tickets", &[bad], "").await;
    let wait = answer.head.split("retry-after: ").nth(1).and_then(|rest| rest.split('\r').next()).unwrap();
    assert!(answer.status == 429 && wait.parse::<u32>().unwrap() <= 5, "{}", answer.head);
    stop.cancel();
}

/// A command that takes long holds no place of those whom nobody knows: its token was good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_command_it_is_is_known_before_it_was_read() {
    let counting = |options| Options {
        addresses: Some(AddressLimits { unauthenticated: 4, attempts_per_minute: 1_000 }),
        ..options
    };
    let beside = Beside::bind(counting);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart_with(&[hub.url()], &drain, counting);
    let mut under_way = Vec::new();
    for turn in 0..16 {
        let bridge = if turn < 8 { &beside } else { &apart };
        let mut stream = TcpStream::connect(bridge.address()).await.unwrap();
        let head = format!(
            "POST /v1/commands HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             expect: 100-continue\r\ncontent-length: 10\r\n\r\n",
            hub.token("alice")
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It is asked for the command, which it never sends: from then on it is known, apart once the hub has judged the token.
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100");
        under_way.push(stream);
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        let another_may_try = async {
            while tries(bridge.address()).await != 401 {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, another_may_try).await.unwrap_or_else(|_| panic!("{turn} are under way"));
    }
    drain.cancel();
}
