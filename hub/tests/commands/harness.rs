//! A hub without its edges, and callers who read like people.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::access::authorizer::Gate;
use carillon_hub::access::storage::StorageLimit;
use carillon_hub::administration::{Administration, Live, LiveFigures};
use carillon_hub::config::Config;
use carillon_hub::domain::caller::Caller;
use carillon_hub::domain::command::{Cursor, HistoryBound, Stateless};
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::Entry;
use carillon_hub::domain::error::{ErrorCode, Refusal};
use carillon_hub::domain::member::{Member, Role};
use carillon_hub::domain::names::{IdempotencyKey, RoomName, TenantId, UserId};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces, Who};
use carillon_hub::domain::position::{Position, Seq};
use carillon_hub::domain::reply::Reply;
use carillon_hub::domain::roles::{ActionPatterns, RoleActions, TokenRoles};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::session::executor::{Answer, Executor, Turn};
use carillon_hub::store::sqlite::{Options, SqliteStore};
use carillon_hub::store::{Change, CommitSink, Idempotency};
use futures::future::BoxFuture;

use crate::counting::CountingStore;

/// The executor and the administration on an embedded store of their own.
pub(crate) struct Hub {
    pub(crate) store: Arc<CountingStore>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) administration: Administration,
    _directory: tempfile::TempDir,
}

/// Tells the executor of commits, as delivery does.
#[derive(Default)]
struct Sink(OnceLock<Weak<Executor>>);

impl CommitSink for Sink {
    fn committed(&self, changes: &[Change]) {
        if let Some(executor) = self.0.get().and_then(Weak::upgrade) {
            for change in changes {
                executor.invalidate(change);
            }
        }
    }
}

struct NobodyLives;

impl LiveFigures for NobodyLives {
    fn live(&self, _: &TenantId) -> BoxFuture<'static, Result<Live, Refusal>> {
        Box::pin(std::future::ready(Ok(Live { sessions: 3, users: 2, active_rooms: 1, ..Live::default() })))
    }
}

/// `ward`, where nurses create; `conversation` for members, where users create; `open` for all; `case` without what was
/// before; `cursor` ephemeral; `small` for two.
fn namespaces() -> Namespaces {
    let nurses = RoleActions::default().with_tokens("nurse", ActionPatterns::parse(&["room.*"]).unwrap());
    let open = |name| NamespaceRules { join: Who::Tenant, send: Who::Tenant, ..NamespaceRules::closed(name) };
    Namespaces::new(vec![
        NamespaceRules { roles: nurses, ..NamespaceRules::closed("ward") },
        NamespaceRules { create: true, ..NamespaceRules::closed("conversation") },
        open("open"),
        NamespaceRules { durable: false, ..open("cursor") },
        NamespaceRules { history_before_join: false, ..NamespaceRules::closed("case") },
        NamespaceRules {
            member_limit: 2,
            edit_window: Some(Duration::ZERO),
            ..NamespaceRules::closed("small")
        },
    ])
}

impl Hub {
    pub(crate) fn start() -> Self {
        Self::open(true, 0)
    }

    /// The rooms of a tenant hold so many bytes.
    pub(crate) fn holding(bytes: u64) -> Self {
        Self::open(true, bytes)
    }

    /// The executor is not told of commits, so what it remembers grows old.
    pub(crate) fn forgetful() -> Self {
        Self::open(false, 0)
    }

    fn open(told: bool, storage: u64) -> Self {
        let storage = Arc::new(StorageLimit::new(storage));
        let directory = tempfile::tempdir().unwrap();
        let (sink, namespaces) = (Arc::new(Sink::default()), Arc::new(namespaces()));
        let options = Options::new(directory.path(), Arc::clone(&namespaces), sink.clone());
        let inner = SqliteStore::open(&options).unwrap();
        let store = Arc::new(CountingStore { inner, reads: 0.into() });
        let executor = Arc::new(Executor::new(
            store.clone(),
            Arc::clone(&namespaces),
            nobody_to_ask(),
            Arc::clone(&storage),
        ));
        if told {
            sink.0.set(Arc::downgrade(&executor)).unwrap();
        }
        let administration = Administration::new(store.clone(), namespaces, storage, Arc::new(NobodyLives));
        Self { store, executor, administration, _directory: directory }
    }

    pub(crate) fn user(&self, name: &str) -> Person<'_> {
        self.person("acme", name, false)
    }

    pub(crate) fn service(&self) -> Person<'_> {
        self.person("acme", "service", true)
    }

    pub(crate) fn person(&self, tenant: &str, name: &str, service: bool) -> Person<'_> {
        let caller = Caller {
            tenant: TenantId::parse(tenant).unwrap(),
            user: user(name),
            service,
            cross_tenant: false,
            expires: Timestamp(i64::MAX),
            token: carillon_hub::domain::revocation::TokenMark::default(),
            powers: carillon_hub::domain::powers::Powers::default(),
        };
        Person { hub: self, caller, key: None }
    }

    /// Reads since the last call.
    pub(crate) fn reads(&self) -> usize {
        self.store.reads.swap(0, Ordering::Relaxed)
    }
}

/// Somebody who asks.
#[derive(Clone)]
pub(crate) struct Person<'a> {
    hub: &'a Hub,
    pub(crate) caller: Caller,
    key: Option<&'static str>,
}

pub(crate) type Answered = Result<Reply, Refusal>;

impl Person<'_> {
    /// The same person with an idempotency key.
    pub(crate) fn keyed(&self, key: &'static str) -> Self {
        Self { key: Some(key), ..self.clone() }
    }

    /// The same person with a token of a nurse's.
    pub(crate) fn as_nurse(&self) -> Self {
        let mut nurse = self.clone();
        nurse.caller.powers.roles = TokenRoles::new(["nurse"]);
        nurse
    }

    pub(crate) async fn asks(&self, command: Stateless) -> Result<Answer, Refusal> {
        // The command's text stands for its encoded bytes.
        let fingerprint = format!("{command:?}")
            .bytes()
            .fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let idempotency = self.key.map(|key| Idempotency { key: key_of(key), fingerprint });
        self.hub.executor.execute(&self.caller, idempotency, command, Timestamp::now(), Turn::default()).await
    }

    pub(crate) async fn does(&self, command: Stateless) -> Answered {
        self.asks(command).await.map(|answer| answer.reply)
    }

    pub(crate) async fn sends(&self, to: &RoomName, text: &str) -> Answered {
        self.answers(to, text, None).await
    }

    pub(crate) async fn answers(&self, to: &RoomName, text: &str, reply_to: Option<u64>) -> Answered {
        let (content, attributes) = (Content::text(text, "").unwrap(), Pairs::default());
        let reply_to = reply_to.map(Seq);
        self.does(Stateless::MessageSend { room: to.clone(), content, reply_to, attributes }).await
    }

    pub(crate) async fn edits(&self, room: &RoomName, seq: u64, expected_version: Option<u32>) -> Answered {
        let content = Content::text("better", "").unwrap();
        let room = room.clone();
        self.does(Stateless::MessageEdit { room, seq: Seq(seq), content, expected_version }).await
    }

    pub(crate) async fn deletes(&self, room: &RoomName, seq: u64) -> Answered {
        self.does(Stateless::MessageDelete { room: room.clone(), seq: Seq(seq) }).await
    }

    pub(crate) async fn marks_read(&self, room: &RoomName, up_to: u64) -> Answered {
        self.does(Stateless::MarkRead { room: room.clone(), up_to: Seq(up_to) }).await
    }

    pub(crate) async fn adds(&self, room: &RoomName, name: &str, role: Role) -> Answered {
        self.does(Stateless::MemberAdd { room: room.clone(), user: user(name), role }).await
    }

    pub(crate) async fn removes(&self, room: &RoomName, name: &str) -> Answered {
        self.does(Stateless::MemberRemove { room: room.clone(), user: user(name) }).await
    }

    pub(crate) async fn promotes(&self, room: &RoomName, name: &str, role: Role) -> Answered {
        self.does(Stateless::MemberRole { room: room.clone(), user: user(name), role }).await
    }

    pub(crate) async fn creates(&self, members: &[&str], direct: bool) -> Answered {
        let members = members.iter().map(|name| (user(name), Role::Member)).collect();
        self.does(Stateless::ConversationCreate { members, metadata: Pairs::default(), direct }).await
    }

    /// A conversation with these members.
    pub(crate) async fn converses(&self, members: &[&str]) -> RoomName {
        created(&self.creates(members, false).await).0
    }

    pub(crate) async fn reads(&self, room: &RoomName, bound: Option<HistoryBound>, limit: u32) -> Answered {
        self.does(Stateless::History { room: room.clone(), bound, limit }).await
    }

    /// The room's whole log, as far as it may be read.
    pub(crate) async fn log(&self, room: &RoomName) -> Vec<Entry> {
        match self.reads(room, None, 200).await {
            Ok(Reply::History { entries, .. }) => entries,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn lists_members(&self, room: &RoomName) -> Vec<Member> {
        let command = Stateless::Members { room: room.clone(), cursor: Cursor::default(), limit: 200 };
        match self.does(command).await {
            Ok(Reply::Members { members, .. }) => members,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

pub(crate) fn key_of(key: &'static str) -> IdempotencyKey {
    IdempotencyKey::parse(Bytes::from_static(key.as_bytes())).unwrap()
}

/// The refusal's code and the field that it names.
pub(crate) fn refused(answer: &Answered) -> (ErrorCode, Option<&'static str>) {
    match answer {
        Err(refusal) => (refusal.code, refusal.violations.first().map(|violation| violation.field)),
        Ok(reply) => panic!("{reply:?}"),
    }
}

pub(crate) fn code(answer: &Answered) -> ErrorCode {
    refused(answer).0
}

/// Position and whether it is a duplicate, of a message or another entry.
pub(crate) fn accepted(answer: &Answered) -> (Position, bool) {
    match answer {
        Ok(
            Reply::MessageSent { position, duplicate, .. } | Reply::EntryAccepted { position, duplicate, .. },
        ) => (*position, *duplicate),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn created(answer: &Answered) -> (RoomName, bool) {
    match answer {
        Ok(Reply::ConversationCreated { room, duplicate, .. }) => (room.clone(), *duplicate),
        other => panic!("{other:?}"),
    }
}

/// No authoriser.
fn nobody_to_ask() -> Gate {
    Gate::new(None, Config::default().gate_options())
}
