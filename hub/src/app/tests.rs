//! Sessions on the real parts, without a transport: what a client is told, and when.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{self, SessionRequest, SessionResponse, session_request};
use prost::Message;
use tempfile::TempDir;
use tokio::time::MissedTickBehavior;

use super::hub::{build, settings};
use crate::access::authentication::{MintFor, MintRequest, mint};
use crate::audit::Trail;
use crate::config::Config;
use crate::delivery::mailbox::Signal;
use crate::domain::command::{Command, Hello, Request, Token};
use crate::domain::error::ErrorCode;
use crate::domain::limits::{COMMANDS_IN_FLIGHT, OUTBOX_BYTES, OUTBOX_READ_BYTES, PAGE_BYTES};
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use crate::domain::position::Seq;
use crate::domain::revocation::{Revocation, Revoked, Scope, TokenId};
use crate::domain::time::Timestamp;
use crate::grpc::decode;
use crate::session::{Batch, Closer, Input, Live, Output, Services, Session, Settings};
use crate::store::{EntryRange, PageBound, Store};
use crate::telemetry::Metrics;

/// A hub that serves nobody yet.
struct Parts {
    services: Arc<Services>,
    store: Arc<dyn Store>,
    config: Config,
    _folder: TempDir,
}

fn parts() -> Parts {
    parts_with(|_| {})
}

/// With other settings of sessions.
fn parts_with(change: impl FnOnce(&mut Settings)) -> Parts {
    let folder = TempDir::new().unwrap();
    let mut config = Config::development(folder.path()).unwrap();
    config.grpc.workers = 1;
    let mut settings = settings(&config);
    change(&mut settings);
    let (services, store, _) = build(&config, settings, Metrics::new(), Trail::off()).unwrap();
    Parts { services, store, config, _folder: folder }
}

impl Parts {
    /// Alice's session, which has said hello and was not asked for anything yet.
    fn greeted(&self) -> (Session, Arc<Live>) {
        let (tenant, user) = (TenantId::parse("acme").unwrap(), UserId::parse("alice").unwrap());
        let request =
            MintRequest { subject: MintFor::User { tenant, user }, ttl: Duration::from_secs(3_600) };
        let token = Token(mint(&self.config.authentication().unwrap(), &request, Timestamp::now()).unwrap());
        let hello = Hello {
            token: Some(token),
            protocol: 1,
            client: "test".to_owned(),
            instance: None,
            resume: None,
        };
        let command = Command::Hello(Box::new(hello));
        let request = Request { command_id: 1, key: None, fingerprint: 0, command };
        let services = Arc::clone(&self.services);
        let mut session = Session::new(services, 0, Ok(None), "test-1".to_owned(), Closer::default());
        session.input(Input::Request(Box::new(request)));
        let live = self.services.sessions.all().pop().unwrap();
        (session, live)
    }
}

/// A frame of the protocol, as a transport reads it.
fn frame(id: u32, command: session_request::Command) -> Input {
    let request = SessionRequest { command_id: id, command: Some(command), ..SessionRequest::default() };
    decode::input(request.encode_to_vec().into(), || Ok(()))
}

/// What is written next; `None` at the end, with its reason.
async fn next(session: &mut Session) -> Result<Vec<Kind>, Option<ErrorCode>> {
    let mut batch = Batch::default();
    let output = poll_fn(|cx| session.poll_output(cx, &mut batch));
    match tokio::time::timeout(Duration::from_secs(10), output).await.unwrap() {
        Output::Frames => {
            let (first, rest) = batch.into_parts();
            let decode = |frame: &carillon_proto::Frame| {
                SessionResponse::decode(frame.message()).unwrap().kind.unwrap()
            };
            Ok(first.iter().chain(&rest).map(decode).collect())
        }
        Output::End(refusal) => Err(refusal.map(|refusal| refusal.code)),
    }
}

/// The frames until `last` is among them.
async fn frames_until(session: &mut Session, last: impl Fn(&Kind) -> bool) -> Vec<Kind> {
    let mut frames = Vec::new();
    while !frames.iter().any(&last) {
        frames.extend(next(session).await.unwrap());
    }
    frames
}

/// Tokens that were revoked by themselves, as many as the store does not take at once.
fn reached() -> Vec<Revocation> {
    let ends = Timestamp::now().plus(Duration::from_secs(3_600));
    let of = |n| Revoked::Token { id: TokenId([n; 32]), ends };
    (0..100).map(|n| Revocation { scope: Scope::Everywhere, what: of(n) }).collect()
}

/// Whoever is to say that a revocation is kept waits for what others have begun to keep.
#[tokio::test]
async fn what_a_revocation_reached_is_kept_before_anybody_says_so() {
    let parts = parts();
    parts.services.revocations.give_back(reached());
    let mut first = pin!(parts.services.keep_reached());
    let mut second = pin!(parts.services.keep_reached());
    assert!(futures::poll!(first.as_mut()).is_pending() && futures::poll!(second.as_mut()).is_pending());
    let (first, second) = futures::join!(first, second);
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(parts.store.revocations(0, 1_000).await.unwrap().revocations.len(), reached().len());
    // What cannot be kept is not said to be, and not given up.
    parts.store.close().await;
    parts.services.revocations.give_back(reached());
    let refused = parts.services.keep_reached().await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert_eq!(parts.services.revocations.take_reached().len(), reached().len());
}

#[tokio::test]
async fn nothing_is_pushed_before_connected() {
    let parts = parts();
    let (mut session, live) = parts.greeted();
    live.mailbox.signal(Signal::Ping);
    live.mailbox.signal(Signal::TokenExpiring(Timestamp::now()));
    let frames = frames_until(&mut session, |kind| matches!(kind, Kind::TokenExpiring(_))).await;
    let [Kind::Connected(_), rest @ ..] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(rest.iter().filter(|kind| matches!(kind, Kind::Ping(_))).count(), 1, "it only waited");
    parts.store.close().await;
}

#[tokio::test]
async fn a_stop_refuses_the_hello_that_is_not_answered_yet() {
    let parts = parts();
    let (mut session, _live) = parts.greeted();
    parts.services.drain_sessions(Duration::from_secs(2));
    let frames = next(&mut session).await.unwrap();
    let [Kind::Error(error)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(error.code, "GOING_AWAY");
    assert_eq!(next(&mut session).await, Err(Some(ErrorCode::GoingAway)));
    let ended = poll_fn(|cx| Poll::Ready(session.poll_output(cx, &mut Batch::default()))).await;
    assert!(matches!(ended, Poll::Ready(Output::End(None))), "nothing comes after it");
    parts.store.close().await;
}

#[tokio::test]
async fn who_is_erased_while_they_become_known_is_made_known_again() {
    let parts = parts();
    let user = UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("alice").unwrap() };
    let committed = || parts.store.figures().committed;
    {
        let mut hello = pin!(parts.services.know(&user));
        assert!(poll_fn(|cx| Poll::Ready(hello.as_mut().poll(cx))).await.is_pending());
        let erased = parts.store.erase(&user);
        erased.await.unwrap();
        hello.await.unwrap();
    }
    let before = committed();
    parts.services.know(&user).await.unwrap();
    assert_eq!(committed(), before + 1, "their next session writes them down");
    parts.services.know(&user).await.unwrap();
    assert_eq!(committed(), before + 1, "and the one after need not");
    parts.store.close().await;
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_read_no_further() {
    let parts = parts();
    let (mut session, _live) = parts.greeted();
    frames_until(&mut session, |kind| matches!(kind, Kind::Connected(_))).await;
    let mut asked = 0;
    while session.wants_input() {
        asked += 1;
        session.input(frame(asked, session_request::Command::Ping(v1::Ping {})));
        let largest = session.outbox_bytes() / asked as usize + 16;
        assert!(session.outbox_bytes() < OUTBOX_READ_BYTES + largest, "{asked} pings are answered");
    }
    assert!(session.outbox_bytes() >= OUTBOX_READ_BYTES);
    let mut answered = 0;
    while answered < asked {
        let frames = next(&mut session).await.unwrap();
        answered += frames.iter().filter(|kind| matches!(kind, Kind::Pong(_))).count() as u32;
    }
    // What the hub says by itself may still be among what waits.
    while session.outbox_bytes() > 0 {
        next(&mut session).await.unwrap();
    }
    assert!(session.wants_input(), "who reads again may ask again");
    parts.store.close().await;
}

#[tokio::test]
async fn pages_that_nobody_reads_are_few() {
    let parts = parts();
    let (mut session, _live) = parts.greeted();
    let (room, words) = ("room:a".to_owned(), "x".repeat(10_000));
    let key = RoomKey { tenant: TenantId::parse("acme").unwrap(), room: RoomName::parse(&room).unwrap() };
    let content = Some(v1::Content { body: Some(v1::content::Body::Text(words)), ..v1::Content::default() });
    let send = v1::MessageSend { room: room.clone(), content, ..v1::MessageSend::default() };
    frames_until(&mut session, |kind| matches!(kind, Kind::Connected(_))).await;
    for id in 1..=40 {
        session.input(frame(id, session_request::Command::MessageSend(send.clone())));
        frames_until(&mut session, |kind| matches!(kind, Kind::MessageSent(_))).await;
    }
    let history = v1::HistoryGet { room, limit: 200, ..v1::HistoryGet::default() };
    for id in 1..=COMMANDS_IN_FLIGHT as u32 {
        session.input(frame(id, session_request::Command::History(history.clone())));
    }
    let (mut pages, mut most) = (0, 0);
    let bound = PageBound { items: 1, bytes: PAGE_BYTES };
    while pages < COMMANDS_IN_FLIGHT {
        // Whatever was begun before this read is done after it, and waits for the session to be polled.
        parts.store.entries(&key, EntryRange::After(Seq(0)), bound).await.unwrap();
        let frames = next(&mut session).await.unwrap();
        pages += frames.iter().filter(|kind| matches!(kind, Kind::HistoryPage(_))).count();
        most = most.max(session.outbox_bytes());
    }
    assert!(most < OUTBOX_BYTES + PAGE_BYTES, "{most}");
    parts.store.close().await;
}

/// Joins a room with more to be read than is held at a time, and takes what there is every 20 ms. Gives why it ended, or
/// `None` where it got everything.
async fn reads_on(parts: &Parts) -> Option<ErrorCode> {
    let (mut session, _live) = parts.greeted();
    frames_until(&mut session, |kind| matches!(kind, Kind::Connected(_))).await;
    let (room, words) = ("room:a".to_owned(), "x".repeat(1_000));
    let content = Some(v1::Content { body: Some(v1::content::Body::Text(words)), ..v1::Content::default() });
    let send = v1::MessageSend { room: room.clone(), content, ..v1::MessageSend::default() };
    for id in 1..=600 {
        session.input(frame(id, session_request::Command::MessageSend(send.clone())));
        frames_until(&mut session, |kind| matches!(kind, Kind::MessageSent(_))).await;
    }
    let join = v1::Join { room, rewind: 600, ..v1::Join::default() };
    session.input(frame(1, session_request::Command::Join(join)));
    let mut asked = tokio::time::interval(Duration::from_millis(20));
    asked.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut messages = 0;
    while messages < 600 {
        asked.tick().await;
        match next(&mut session).await {
            Ok(frames) => messages += frames.iter().filter(|kind| matches!(kind, Kind::Message(_))).count(),
            Err(ended) => return ended,
        }
    }
    None
}

#[tokio::test]
async fn who_stays_behind_and_reads_too_little_is_ended() {
    for (floor, ended) in [(64 << 20, Some(ErrorCode::SlowConsumer)), (1, None)] {
        let parts = parts_with(|settings| {
            (settings.slow_consumer_after, settings.slow_consumer_floor) =
                (Duration::from_millis(100), floor);
        });
        assert_eq!(reads_on(&parts).await, ended);
        let slow = parts.services.metrics.counters().slow_consumers.total();
        assert_eq!(slow, u64::from(ended.is_some()));
        parts.store.close().await;
    }
}
