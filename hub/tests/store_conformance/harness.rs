//! What the suite's stories are told with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{Entry, EntryBody, Event, EventKey, EventName, Message, ReactionKey};
use carillon_hub::domain::inbox::{Notice, NotificationKind, Priority};
use carillon_hub::domain::limits;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::names::{
    IdempotencyKey, NotificationId, RoomKey, RoomName, TenantId, UserId, UserKey,
};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::{
    Change, CommitError, CommitSink, Committed, Condition, Effect, EntryPage, EntryRange, Home, Idempotency,
    Outcome, PageBound, Store, Write,
};
use parking_lot::{Condvar, Mutex};

/// An adapter under test: some durable data, and how to open it. Opening again must find what was there.
pub(crate) trait Fixture: 'static {
    type Store: Store;
    fn new() -> Self;
    fn open(&self, setup: &Setup) -> Self::Store;
}

/// What a store is opened with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) sink: Arc<Recorder>,
    pub(crate) clock: TestClock,
    pub(crate) idempotency_keys: usize,
    pub(crate) revoked_for: Option<Duration>,
    /// Entries whose way home an engine may put off.
    pub(crate) deferred: usize,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let namespaces = vec![
            NamespaceRules::closed("conversation"),
            NamespaceRules { history_before_join: false, ..NamespaceRules::closed("private") },
            NamespaceRules {
                latest_per_key: true,
                retention_count: Some(10),
                ..NamespaceRules::closed("state")
            },
            NamespaceRules { retention_count: Some(20), ..NamespaceRules::closed("short") },
            NamespaceRules {
                retention_age: Some(Duration::from_secs(60)),
                ..NamespaceRules::closed("brief")
            },
        ];
        Self {
            namespaces: Arc::new(Namespaces::new(namespaces)),
            sink: Arc::default(),
            clock: TestClock::new(),
            idempotency_keys: limits::IDEMPOTENCY_KEYS,
            revoked_for: None,
            deferred: 16,
        }
    }
}

/// A clock that the test moves.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000_000)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    pub(crate) fn turn_back(&self, by: Duration) {
        self.0.fetch_sub(by.as_millis() as i64, Ordering::SeqCst);
    }

    pub(crate) fn source(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

/// A sink that remembers.
#[derive(Default)]
pub(crate) struct Recorder {
    changes: Mutex<Vec<Change>>,
    arrived: Condvar,
    held: Mutex<bool>,
    released: Condvar,
}

impl CommitSink for Recorder {
    fn committed(&self, changes: &[Change]) {
        self.changes.lock().extend_from_slice(changes);
        self.arrived.notify_all();
        let mut held = self.held.lock();
        while *held {
            self.released.wait(&mut held);
        }
    }
}

impl Recorder {
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.lock().clone()
    }

    /// The next commit that tells of something is the last one until [`Self::release`]: what is asked of the store
    /// meanwhile is queued.
    pub(crate) fn hold(&self) {
        *self.held.lock() = true;
    }

    pub(crate) fn release(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }

    /// Waits for a change.
    pub(crate) fn wait_for(&self, mut wanted: impl FnMut(&Change) -> bool) -> Change {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let mut changes = self.changes.lock();
        loop {
            if let Some(found) = changes.iter().find(|change| wanted(change)) {
                return found.clone();
            }
            assert!(!self.arrived.wait_until(&mut changes, deadline).timed_out(), "no such change came");
        }
    }
}

/// A store that was opened, and what it was opened with.
pub(crate) struct Scene<F: Fixture> {
    pub(crate) fixture: F,
    pub(crate) setup: Setup,
    store: Option<F::Store>,
}

impl<F: Fixture> Scene<F> {
    pub(crate) fn new() -> Self {
        Self::with(Setup::new())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let fixture = F::new();
        let store = Some(fixture.open(&setup));
        Self { fixture, setup, store }
    }

    pub(crate) fn store(&self) -> &F::Store {
        self.store.as_ref().unwrap()
    }

    /// Ends the store without closing it, and opens it again.
    pub(crate) fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(self.fixture.open(&self.setup));
    }

    /// Closes the store, and opens it again.
    pub(crate) async fn close_and_open(&mut self) {
        self.store().close().await;
        self.reopen();
    }

    pub(crate) async fn commit(&self, outcome: Outcome) -> Committed {
        self.store().commit(outcome).await.unwrap()
    }

    pub(crate) async fn refused(&self, outcome: Outcome) -> CommitError {
        self.store().commit(outcome).await.unwrap_err()
    }

    /// Whether the outcome was refused because of a condition.
    pub(crate) async fn fails(&self, outcome: Outcome) -> bool {
        matches!(self.store().commit(outcome).await, Err(CommitError::Condition(_)))
    }

    /// All entries of a room.
    pub(crate) async fn log(&self, room: &str) -> Vec<Entry> {
        self.page(room, EntryRange::After(Seq(0)), 1_000).await.entries
    }

    pub(crate) async fn page(&self, room: &str, range: EntryRange, items: u32) -> EntryPage {
        let bound = PageBound { items, bytes: usize::MAX };
        self.store().entries(&room_key(room), range, bound).await.unwrap()
    }

    pub(crate) async fn message(&self, room: &str, seq: u64) -> Message {
        let entry = self.store().entry(&room_key(room), Seq(seq)).await.unwrap().unwrap();
        let EntryBody::Message(message) = entry.body else { panic!("not a message") };
        message
    }
}

pub(crate) const TENANT: &str = "acme";

pub(crate) fn tenant() -> TenantId {
    TenantId::parse(TENANT).unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(crate) fn user_key(name: &str) -> UserKey {
    UserKey { tenant: tenant(), user: user(name) }
}

pub(crate) fn room_key(room: &str) -> RoomKey {
    RoomKey { tenant: tenant(), room: RoomName::parse(room).unwrap() }
}

pub(crate) fn text(text: &str) -> Content {
    Content::text(text, "").unwrap()
}

pub(crate) fn pairs(list: &[(&str, &str)]) -> Pairs {
    Pairs::stored(
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>(),
    )
}

pub(crate) fn message(content: &str) -> EntryBody {
    EntryBody::Message(Message::new(text(content), None, Pairs::default()))
}

pub(crate) fn edit(target: u64, content: &str) -> EntryBody {
    EntryBody::Edit { target: Seq(target), content: Some(text(content)), version: 0 }
}

pub(crate) fn deletion(target: u64) -> EntryBody {
    EntryBody::Deletion { target: Seq(target) }
}

pub(crate) fn reaction(target: u64, key: &str, add: bool) -> EntryBody {
    EntryBody::Reaction { target: Seq(target), key: ReactionKey::parse(key).unwrap(), add }
}

pub(crate) fn membership(who: &str, change: MembershipChange, role: Role) -> EntryBody {
    EntryBody::Membership { user: user(who), change, role }
}

pub(crate) fn added(who: &str, role: Role) -> EntryBody {
    membership(who, MembershipChange::Added, role)
}

pub(crate) fn event(name: &str, key: Option<&str>, payload: &str) -> EntryBody {
    EntryBody::Event(Event {
        by_service: false,
        name: EventName::parse(name).unwrap(),
        key: key.map(|key| EventKey::parse(key).unwrap()),
        payload: Some(text(payload)),
    })
}

/// An event that says nothing of its key.
pub(crate) fn empty_event(name: &str, key: &str) -> EntryBody {
    EntryBody::Event(Event {
        by_service: false,
        name: EventName::parse(name).unwrap(),
        key: Some(EventKey::parse(key).unwrap()),
        payload: None,
    })
}

pub(crate) fn notice(id: &str, priority: Priority) -> Arc<Notice> {
    Arc::new(Notice {
        id: NotificationId::parse(id).unwrap(),
        kind: NotificationKind::parse("build").unwrap(),
        title: "it is done".into(),
        body: Some(text("all of it")),
        priority,
        data: pairs(&[("link", "/1")]),
        sender: user("robot"),
        expires: None,
    })
}

/// An outcome with nothing in it.
pub(crate) fn outcome(home: Home, actor: &str) -> Outcome {
    Outcome {
        tenant: tenant(),
        home,
        actor: user(actor),
        by_service: false,
        idempotency: None,
        conditions: Vec::new(),
        writes: Vec::new(),
        effects: Vec::new(),
    }
}

pub(crate) fn in_room(room: &str, actor: &str) -> Outcome {
    outcome(Home::Room(RoomName::parse(room).unwrap()), actor)
}

pub(crate) fn append(room: &str, actor: &str, body: EntryBody) -> Outcome {
    in_room(room, actor).append(body)
}

pub(crate) fn send(room: &str, actor: &str, content: &str) -> Outcome {
    append(room, actor, message(content))
}

/// A service's message.
pub(crate) fn send_by_service(room: &str, service: &str, content: &str) -> Outcome {
    let body = of_service(message(content));
    Outcome { by_service: true, ..append(room, service, body) }
}

/// The same as a service's.
pub(crate) fn of_service(mut body: EntryBody) -> EntryBody {
    match &mut body {
        EntryBody::Message(message) => message.by_service = true,
        EntryBody::Event(event) => event.by_service = true,
        other => panic!("nobody marks {other:?}"),
    }
    body
}

pub(crate) fn notify(who: &str, notice: Arc<Notice>) -> Outcome {
    Outcome { effects: vec![Effect::Notify { user: user(who), notice }], ..outcome(Home::Tenant, "robot") }
}

/// How outcomes are built.
pub(crate) trait Building: Sized {
    fn writing(self, write: Write) -> Self;
    fn given(self, condition: Condition) -> Self;
    fn keyed(self, key: &str, fingerprint: u64) -> Self;
    fn append(self, body: EntryBody) -> Self {
        self.writing(Write::Append(body))
    }
}

impl Building for Outcome {
    fn writing(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    fn given(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    fn keyed(mut self, key: &str, fingerprint: u64) -> Self {
        let key = IdempotencyKey::parse(Bytes::copy_from_slice(format!("key-{key:0>8}").as_bytes())).unwrap();
        self.idempotency = Some(Idempotency { key, fingerprint });
        self
    }
}
