//! A node: store, bus and feed, and what it was told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::bus::envelope::{Control, Live};
use carillon_hub::bus::feed::{Feed, Listener, Service};
use carillon_hub::bus::redis::RedisBus;
use carillon_hub::bus::{Topic, redis as bus};
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::inbox::{InboxPlace, Notice, NotificationKind, Priority};
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::names::{NotificationId, RoomKey, RoomName, TenantId, UserId, UserKey};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::domain::position::Position;
use carillon_hub::redis::{self, Durability};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{Change, CommitSink, Committed, Effect, Home, Outcome, Store, Write};
use parking_lot::{Condvar, Mutex};
use tokio_util::sync::{CancellationToken, DropGuard};

use carillon_test_redis::Server;

/// Nothing that is waited for takes longer.
const LONGEST: Duration = Duration::from_secs(30);

/// What a node was told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Changed(Change),
    MovedOn,
    InboxGrew(Topic),
    Diverged,
    Live(Topic, Live),
    Control(UserKey, Control),
    MayHaveMissed,
}

#[derive(Default)]
pub(crate) struct Recorder {
    told: Mutex<Vec<Told>>,
    more: Condvar,
}

impl Recorder {
    fn add(&self, told: Told) {
        self.told.lock().push(told);
        self.more.notify_all();
    }

    pub(crate) fn all(&self) -> Vec<Told> {
        self.told.lock().clone()
    }

    /// Waits until all that was told is as wanted.
    fn wait(&self, what: &str, mut wanted: impl FnMut(&[Told]) -> bool) {
        let mut told = self.told.lock();
        while !wanted(&told) {
            assert!(!self.more.wait_for(&mut told, LONGEST).timed_out(), "{what}: it does not come");
        }
    }
}

impl Listener for Recorder {
    fn changed(&self, changes: &[Change]) {
        changes.iter().for_each(|change| self.add(Told::Changed(change.clone())));
    }

    fn moved_on(&self, _: &RoomKey, _: Position) {
        self.add(Told::MovedOn);
    }

    fn inbox_grew(&self, topic: &Topic) {
        self.add(Told::InboxGrew(topic.clone()));
    }

    fn diverged(&self, _: &Topic) {
        self.add(Told::Diverged);
    }

    fn live(&self, topic: &Topic, live: Live) {
        self.add(Told::Live(topic.clone(), live));
    }

    fn control(&self, user: &UserKey, control: &Control) {
        self.add(Told::Control(user.clone(), control.clone()));
    }

    fn sessions(&self, _: &TenantId, _: &Bytes) {}

    fn asked(&self, question: &Bytes) -> Option<Vec<u8>> {
        Some([b"re: ", &question[..]].concat()).filter(|_| *question != b"silence"[..])
    }

    fn may_have_missed(&self, _: &Topic) {
        self.add(Told::MayHaveMissed);
    }
}

/// A node.
pub(crate) struct Node {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) feed: Feed,
    pub(crate) recorder: Arc<Recorder>,
    _guard: DropGuard,
}

pub(crate) fn namespaces() -> Arc<Namespaces> {
    let rules = NamespaceRules::closed("conversation");
    Arc::new(Namespaces::new(vec![rules]))
}

impl Node {
    /// One at a server, or at the cluster that it is of.
    pub(crate) async fn start(server: &Server, number: u64) -> Self {
        Self::start_as(server, number, Durability::EverySecond, None).await
    }

    /// One that acknowledges by this policy.
    pub(crate) async fn start_with(server: &Server, number: u64, durability: Durability) -> Self {
        Self::start_as(server, number, durability, None).await
    }

    /// One whose bus is a user of its own to Redis, without a password.
    pub(crate) async fn start_with_bus_as(server: &Server, number: u64, user: Option<&str>) -> Self {
        Self::start_as(server, number, Durability::EverySecond, user).await
    }

    async fn start_as(server: &Server, number: u64, durability: Durability, user: Option<&str>) -> Self {
        let mut at = redis::Options::new(server.url());
        at.cluster = server.is_of_cluster();
        at.back_off = Duration::from_millis(10);
        at.back_off_most = Duration::from_millis(200);
        let mut options = bus::Options::new(at.clone());
        options.redis.user = user.map(str::to_owned);
        options.redis.password = user.map(|_| "any".to_owned());
        options.heartbeat = Duration::from_millis(200);
        let (bus, events, service) = RedisBus::new(options).unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(service.run(cancel.clone()));
        let recorder = Arc::new(Recorder::default());
        let feed = Feed::new(Arc::new(bus), recorder.clone(), number);
        let sink: Arc<dyn CommitSink> = Arc::new(feed.clone());
        let mut options = Options::new(at, namespaces(), sink);
        options.node = number;
        options.durability = durability;
        // What its server keeps does not matter here.
        options.strict = false;
        options.sweep = Duration::from_millis(50);
        let store = tokio::task::spawn_blocking(|| RedisStore::open(options).unwrap()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        tokio::spawn(Service::new(feed.clone(), events, Arc::clone(&store), 0).run(cancel.clone()));
        Self { store, feed, recorder, _guard: cancel.drop_guard() }
    }

    pub(crate) async fn follows(&self, topic: Topic) -> carillon_hub::bus::feed::Hold {
        loop {
            if let Ok(hold) = self.feed.follow(topic.clone()).await {
                return hold;
            }
        }
    }

    /// Waits, beside everything else.
    pub(crate) async fn waits(
        &self,
        what: &'static str,
        wanted: impl FnMut(&[Told]) -> bool + Send + 'static,
    ) {
        let recorder = Arc::clone(&self.recorder);
        tokio::task::spawn_blocking(move || recorder.wait(what, wanted)).await.unwrap();
    }

    pub(crate) async fn waits_for(
        &self,
        what: &'static str,
        wanted: impl Fn(&Told) -> bool + Send + 'static,
    ) {
        self.waits(what, move |told| told.iter().any(&wanted)).await;
    }

    /// Waits until the bus has brought so many messages, and no more.
    pub(crate) async fn hears(&self, messages: u64) {
        let heard = async {
            while self.feed.figures().received < messages {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONGEST, heard).await.expect("the messages come");
        assert_eq!(self.feed.figures().received, messages);
    }

    pub(crate) async fn commit(&self, outcome: Outcome) -> Committed {
        self.store.commit(outcome).await.unwrap()
    }

    /// The places in a room that were told, with their tags, in the order of the telling.
    pub(crate) fn log(&self, room: &RoomKey) -> Vec<Position> {
        entries(&self.recorder.all(), room)
    }
}

/// The places of a room among what was told.
pub(crate) fn entries(told: &[Told], of: &RoomKey) -> Vec<Position> {
    let place = |told: &Told| match told {
        Told::Changed(Change::Entry { room, entry }) if room == of => Some(entry.position()),
        _ => None,
    };
    told.iter().filter_map(place).collect()
}

/// The places in a user's own log among what was told.
pub(crate) fn notified(told: &[Told]) -> Vec<u64> {
    let place = |told: &Told| match told {
        Told::Changed(Change::Notified { notification, .. }) => match notification.place {
            InboxPlace::Own(seq) => Some(seq.0),
            InboxPlace::Broadcast(_) => None,
        },
        _ => None,
    };
    told.iter().filter_map(place).collect()
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(crate) fn user(name: &str) -> UserKey {
    UserKey { tenant: tenant(), user: UserId::parse(name).unwrap() }
}

pub(crate) fn room(id: &str) -> RoomKey {
    RoomKey { tenant: tenant(), room: RoomName::parse(&format!("conversation:{id}")).unwrap() }
}

pub(crate) fn outcome(home: Home, actor: &str) -> Outcome {
    Outcome {
        tenant: tenant(),
        home,
        actor: user(actor).user,
        by_service: false,
        idempotency: None,
        conditions: Vec::new(),
        writes: Vec::new(),
        effects: Vec::new(),
    }
}

pub(crate) fn append(id: &str, actor: &str, body: EntryBody) -> Outcome {
    Outcome { writes: vec![Write::Append(body)], ..outcome(Home::Room(room(id).room), actor) }
}

pub(crate) fn send(id: &str, actor: &str, text: &str) -> Outcome {
    let content = Content::text(text, "").unwrap();
    append(id, actor, EntryBody::Message(Message::new(content, None, Pairs::default())))
}

pub(crate) fn membership(id: &str, who: &str, change: MembershipChange) -> Outcome {
    let body = EntryBody::Membership { user: user(who).user, change, role: Role::Member };
    append(id, "office", body)
}

pub(crate) fn notice(id: &str) -> Arc<Notice> {
    Arc::new(Notice {
        id: NotificationId::parse(id).unwrap(),
        kind: NotificationKind::parse("build").unwrap(),
        title: "it is done".into(),
        body: None,
        priority: Priority::Normal,
        data: Pairs::default(),
        sender: user("robot").user,
        expires: None,
    })
}

pub(crate) fn notify(who: &str, id: &str) -> Outcome {
    let effects = vec![Effect::Notify { user: user(who).user, notice: notice(id) }];
    Outcome { effects, ..outcome(Home::Tenant, "robot") }
}

pub(crate) fn broadcast(id: &str) -> Outcome {
    Outcome { writes: vec![Write::Broadcast(notice(id))], ..outcome(Home::Tenant, "robot") }
}
