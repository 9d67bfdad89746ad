//! Who is revoked while a node cannot hear of it.

use std::time::{Duration, SystemTime};

use carillon_client::v1::session_request::Command;
use carillon_client::v1::{self, revoke_tokens_request::What};
use carillon_client::{Client, Code, CommandError, ConnectError, Event, Executor, Reply};
use carillon_hub::bus::feed::Feed;
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::revocation::{Revocation, Revoked, Scope};
use carillon_hub::domain::time::Timestamp;
use carillon_tests::hub::TENANT;
use carillon_tests::{Keeps, Person, Proxy, Redis, TestHub, hub};

use crate::faults::ROOM;
use crate::nodes::two;

/// All tokens of a user that were issued by now.
fn revocation(user: &str) -> v1::RevokeTokensRequest {
    let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    v1::RevokeTokensRequest {
        what: Some(What::User(user.to_owned())),
        before_ms: soon.as_millis() as i64,
        ..Default::default()
    }
}

async fn revokes(node: &TestHub, user: &str) {
    node.admin().revoke_tokens(revocation(user)).await.unwrap();
}

async fn code_of<T: Reply>(executor: &Executor, command: Command) -> Option<Code> {
    match executor.call::<T>(command).await {
        Ok(_) => None,
        Err(CommandError::Refused(refusal)) => Some(refusal.code),
        Err(other) => panic!("{other}"),
    }
}

fn history() -> Command {
    Command::History(v1::HistoryGet { room: ROOM.into(), limit: 10, ..Default::default() })
}

/// What whoever bears a token reads without a session: of a room, of all of their own, of others.
async fn reads(executor: &Executor) -> [Option<Code>; 4] {
    let present = Command::PresenceGet(v1::PresenceGet { room: ROOM.into(), ..Default::default() });
    let rooms = Command::Rooms(v1::RoomsGet::default());
    let inbox = Command::Notifications(v1::NotificationsGet::default());
    [
        code_of::<v1::HistoryPage>(executor, history()).await,
        code_of::<v1::PresencePage>(executor, present).await,
        code_of::<v1::RoomsPage>(executor, rooms).await,
        code_of::<v1::NotificationsPage>(executor, inbox).await,
    ]
}

async fn is_disconnected(person: &mut Person) -> Code {
    let ended = person.waits_for(|event| match event {
        Event::Disconnected(ended) => Some(ended),
        _ => None,
    });
    ended.await.code.expect("the hub says why")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_elsewhere_gets_nothing_from_a_node_that_cannot_know() {
    let redis = Redis::start(Keeps::EverySecond);
    let network = Proxy::to(&redis);
    let other = hub().node_of(&redis).start().await;
    let cut = hub().node_at(&network.url()).with(|config| {
        config.redis.answer_timeout = Duration::from_millis(500);
        config.redis.connect_timeout = Duration::from_millis(500);
        config.redis.revocation_stale = Duration::from_secs(2);
    });
    let cut = cut.start().await;
    let (mut alice, mut bob) = (cut.enters("alice").await, cut.enters("bob").await);
    alice.joins(ROOM).await;
    bob.joins(ROOM).await;
    alice.says(ROOM, "hello").await;
    let [of_alice, of_bob] = ["alice", "bob"].map(|user| Executor::new(cut.options(user)).unwrap());
    assert_eq!((reads(&of_alice).await, reads(&of_bob).await), ([const { None }; 4], [const { None }; 4]));
    network.cuts();
    tokio::join!(revokes(&other, "alice"), async {
        assert_eq!(is_disconnected(&mut alice).await, Code::Unavailable);
        assert_eq!(is_disconnected(&mut bob).await, Code::Unavailable);
    });
    let nobody = [const { Some(Code::Unavailable) }; 4];
    assert_eq!((reads(&of_alice).await, reads(&of_bob).await), (nobody.clone(), nobody));
    match Client::connect(cut.options("alice")).await {
        Err(ConnectError::Refused(refusal)) => assert_eq!(refusal.code, Code::Unavailable),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("she is in"),
    }
    network.heals();
    // From unavailable to revoked, and nothing in between.
    let first = loop {
        match of_alice.call::<v1::HistoryPage>(history()).await {
            Err(CommandError::Refused(refusal)) if refusal.code == Code::Unavailable => {}
            Err(CommandError::Refused(refusal)) => break Some(refusal.code),
            // Who asks without a pause may be cut off, and comes again.
            Err(_) => {}
            Ok(_) => break None,
        }
    };
    assert_eq!(first, Some(Code::SessionInvalidated));
    let is_told = alice.waits_for(|event| match event {
        Event::Connected(_) => panic!("she is in"),
        Event::Disconnected(ended) if !ended.will_reconnect() => Some(ended.code),
        _ => None,
    });
    assert_eq!(is_told.await, Some(Code::SessionInvalidated));
    bob.waits_for(|event| matches!(event, Event::Connected(_)).then_some(())).await;
    bob.says(ROOM, "I am in").await;
    assert_eq!(reads(&of_bob).await, [const { None }; 4]);
}

/// Redis answers a node, and lets it hear nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_looked_up_where_nothing_is_heard() {
    let redis = Redis::start(Keeps::EverySecond);
    redis.command::<()>("ACL SETUSER node on >secret ~* &* +@all");
    let other = hub().node_of(&redis).start().await;
    let deaf = hub().node_of(&redis).with(|config| {
        config.redis.user = Some("node".to_owned());
        config.redis.password = Some("secret".to_owned().into());
    });
    let deaf = deaf.start().await;
    let (mut alice, bob) = (deaf.enters("alice").await, deaf.enters("bob").await);
    redis.command::<()>("ACL SETUSER node resetchannels");
    while deaf.hub.services().delivery.feed().is_some_and(Feed::is_connected) {
        tokio::task::yield_now().await;
    }
    revokes(&other, "alice").await;
    assert_eq!(is_disconnected(&mut alice).await, Code::SessionInvalidated);
    bob.client.ping().await.unwrap();
}

/// Redis loses revocations, and later ones have their places.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_after_a_loss_is_known_everywhere() {
    let mut nodes = two().await;
    let (mut alice, bob) = (nodes.other.enters("alice").await, nodes.other.enters("bob").await);
    alice.says(ROOM, "kept").await;
    let kept = nodes.redis.back_up();
    // So that the loss is noticed, and so that places were counted.
    alice.says(ROOM, "lost").await;
    for user in ["carol", "dan", "erin"] {
        revokes(&nodes.one, user).await;
    }
    bob.client.ping().await.unwrap();
    let epoch = nodes.other.hub.services().store.epoch();
    tokio::task::block_in_place(|| {
        nodes.redis.kill();
        nodes.redis.go_back(&kept);
        nodes.redis.restart();
    });
    for node in [&nodes.one, &nodes.other] {
        while node.hub.services().store.epoch() == epoch {
            tokio::task::yield_now().await;
        }
    }
    alice.waits_for(|event| matches!(event, Event::Connected(_)).then_some(())).await;
    let request = revocation("alice");
    while nodes.one.admin().revoke_tokens(request.clone()).await.is_err() {}
    while is_disconnected(&mut alice).await != Code::SessionInvalidated {}
}

/// Where the settings say how long a token may live.
#[tokio::test]
async fn what_reaches_no_token_any_more_is_not_kept() {
    let redis = Redis::start(Keeps::Always);
    let minute = Duration::from_secs(60);
    for (longest, kept) in [(Some(minute), 1), (None, 2)] {
        let plan = hub().without_grace().node_of(&redis).with(|config| config.auth.longest_life = longest);
        let node = plan.start().await;
        let now = Timestamp::now();
        for (user, before) in [("alice", now.minus(10 * minute)), ("bob", now)] {
            let user = UserId::parse(user).unwrap();
            let scope = Scope::Tenant(TenantId::parse(TENANT).unwrap());
            let revocation = Revocation { scope, what: Revoked::User { user, before } };
            node.hub.services().store.revoke(revocation).await.unwrap();
        }
        let page = node.hub.services().store.revocations(0, 100).await.unwrap();
        assert_eq!(page.revocations.len(), kept, "{longest:?}: {page:?}");
        node.stops().await;
    }
}
