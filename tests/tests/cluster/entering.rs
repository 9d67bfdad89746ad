//! Who comes while all are counted: on which node, at once with whom, in whose place.

use std::time::Duration;

use carillon_client::{Event, v1};
use carillon_hub::audit::{files, for_each_line};
use carillon_hub::config::{AuditTo, LimitsSection};
use carillon_tests::hub::Plan;
use carillon_tests::wire::{Opening, code, greeting, greets};
use carillon_tests::{Keeps, PATIENCE, Person, Redis, TestHub, Wire, hub};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{interval, timeout};
use v1::send_notification_request::Audience;
use v1::session_request::Command;
use v1::session_response::Kind;

use crate::limits::limited;
use crate::nodes::Nodes;

/// Each limit of sessions, alone.
fn each(most: usize) -> [(LimitsSection, &'static str); 3] {
    let off = LimitsSection::off();
    [
        (LimitsSection { sessions_per_user: most, ..off.clone() }, "CONNECTION_LIMIT_EXCEEDED"),
        (LimitsSection { sessions_per_tenant: most, ..off.clone() }, "CONNECTION_LIMIT_EXCEEDED"),
        (LimitsSection { sessions_per_address: most, ..off }, "TOO_MANY_CONNECTIONS"),
    ]
}

/// Somebody who has said hello, and whom the hub has heard.
async fn says_hello(hub: &TestHub, user: &str, instance: &str) -> (Wire, u32) {
    let sessions = &hub.hub.services().sessions;
    let before = sessions.len();
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let hello = v1::Hello { token: hub.token(user), instance: instance.to_owned(), ..greeting() };
    let id = wire.ask(Command::Hello(hello));
    let heard = async {
        let mut looks = interval(Duration::from_millis(1));
        while sessions.len() == before {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, heard).await.expect("the hub has heard it");
    (wire, id)
}

async fn verdict((wire, id): &mut (Wire, u32)) -> String {
    match wire.answer(*id).await {
        Kind::Connected(_) => "connected".to_owned(),
        refused => code(&refused).to_owned(),
    }
}

async fn is_open(wire: &mut Wire) -> bool {
    matches!(wire.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_))
}

/// Nobody takes over from a session that has not been let in: two of one instance that come at once are two that come.
#[tokio::test]
async fn who_was_not_let_in_is_taken_over_by_nobody() {
    for (limits, refused) in each(1) {
        let Nodes { redis, one, other } = limited(limits).await;
        let (mut first, said) = greets(&one, "alice", "first").await;
        assert_eq!(said, "connected");
        redis.freeze();
        let mut older = says_hello(&other, "alice", "tab").await;
        let mut newer = says_hello(&other, "alice", "tab").await;
        redis.thaw();
        assert_eq!([verdict(&mut older).await, verdict(&mut newer).await], [refused, refused]);
        assert!(is_open(&mut first).await);
    }
}

/// A user's sessions that wait to be let in are few, whoever's place they would take.
#[tokio::test]
async fn who_waits_beside_too_many_is_refused_at_once() {
    let limits = LimitsSection { sessions_per_user: 2, ..LimitsSection::off() };
    let Nodes { redis, one, other: _other } = limited(limits).await;
    redis.freeze();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(says_hello(&one, "alice", "tab").await);
    }
    for instance in ["tab", "another"] {
        assert_eq!(greets(&one, "alice", instance).await.1, "CONNECTION_LIMIT_EXCEEDED");
    }
    redis.thaw();
    assert_eq!(verdict(&mut waiting[3]).await, "connected");
}

/// Where there is a place for the instance, the newer one has it.
#[tokio::test]
async fn of_two_of_an_instance_that_come_at_once_the_newer_stays() {
    for (limits, _) in each(1) {
        let Nodes { redis, one, other: _other } = limited(limits).await;
        redis.freeze();
        let mut older = says_hello(&one, "alice", "tab").await;
        let mut newer = says_hello(&one, "alice", "tab").await;
        redis.thaw();
        assert_eq!(verdict(&mut newer).await, "connected");
        older.0.ends_with("SESSION_REPLACED").await;
        assert!(is_open(&mut newer.0).await);
        let services = one.hub.services();
        let left = async {
            let mut looks = interval(Duration::from_millis(1));
            while services.sessions.len() != 1 {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, left).await.expect("the older one is gone");
    }
}

/// Whoever takes over from another node is none more, of whomever there are as many as may be.
#[tokio::test]
async fn a_tab_moves_to_another_node_where_all_places_are_taken() {
    for (limits, refused) in each(2) {
        let Nodes { redis: _redis, one, other } = limited(limits).await;
        let (mut old, said) = greets(&one, "alice", "tab").await;
        assert_eq!(said, "connected");
        let (mut beside, said) = greets(&one, "alice", "").await;
        assert_eq!(said, "connected");
        let (mut moved, said) = greets(&other, "alice", "tab").await;
        assert_eq!(said, "connected");
        old.ends_with("SESSION_REPLACED").await;
        assert_eq!(greets(&other, "alice", "another").await.1, refused);
        // And back again.
        let (mut back, said) = greets(&one, "alice", "tab").await;
        assert_eq!(said, "connected");
        moved.ends_with("SESSION_REPLACED").await;
        assert!(is_open(&mut back).await && is_open(&mut beside).await);
    }
}

/// The word that a newer one has taken over may be lost: the older one's node asks when it hears others again.
#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_moved_while_its_node_heard_nothing_ends_there() {
    let redis = Redis::start(Keeps::Always);
    redis.command::<()>("ACL SETUSER deaf on >secret ~* &* +@all");
    let deaf = hub().without_grace().node_of(&redis).with(|config| {
        config.redis.user = Some("deaf".to_owned());
        config.redis.password = Some("secret".to_owned().into());
    });
    let (one, other) = (deaf.start().await, hub().without_grace().node_of(&redis).start().await);
    let (mut old, said) = greets(&one, "alice", "tab").await;
    assert_eq!(said, "connected");
    let (mut beside, said) = greets(&one, "alice", "beside").await;
    assert_eq!(said, "connected");
    redis.command::<()>("ACL SETUSER deaf -subscribe");
    assert!(redis.command::<u64>("CLIENT KILL USER deaf TYPE pubsub") > 0);
    let (mut moved, said) = greets(&other, "alice", "tab").await;
    assert_eq!(said, "connected");
    assert!(is_open(&mut old).await, "nobody has told it");
    redis.command::<()>("ACL SETUSER deaf +subscribe");
    old.ends_with("SESSION_REPLACED").await;
    assert!(is_open(&mut moved).await && is_open(&mut beside).await);
}

/// Whoever has taken its place on another node before what concerns it is heard here says so to nobody: it is asked then.
#[tokio::test]
async fn a_tab_is_asked_of_again_once_its_node_hears_of_it() {
    let Nodes { redis, one, other: _other } = limited(LimitsSection::off()).await;
    let mut monitor = UnixStream::connect(redis.socket()).await.unwrap();
    monitor.write_all(b"MONITOR\r\n").await.unwrap();
    let mut carried_out = BufReader::new(monitor).lines();
    assert_eq!(carried_out.next_line().await.unwrap().unwrap(), "+OK");
    let (_tab, said) = greets(&one, "alice", "tab").await;
    assert_eq!(said, "connected");
    for of_alice in ["u/acme/alice/sessions", "u/acme/alice/c", "u/acme/alice/sessions"] {
        let comes = async { while !carried_out.next_line().await.unwrap().unwrap().contains(of_alice) {} };
        timeout(PATIENCE, comes).await.expect("counted, heard, and counted");
    }
}

/// How often a command was carried out.
fn calls(redis: &Redis, command: &str) -> u64 {
    let figures: String = redis.command("INFO commandstats");
    let line = figures.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().and_then(|calls| calls.parse().ok()).unwrap())
}

/// Whoever names no instance is replaced by nobody: nothing is asked of theirs when a node hears again.
#[tokio::test]
async fn who_names_no_instance_costs_nothing_when_a_node_hears_again() {
    const MANY: u64 = 30;
    let redis = Redis::start(Keeps::Always);
    let node = hub().without_grace().node_of(&redis).start().await;
    let mut there = Vec::new();
    for number in 0..MANY {
        there.push(greets(&node, &format!("user{number}"), "").await);
    }
    let (_tab, said) = greets(&node, "alice", "tab").await;
    assert_eq!(said, "connected");
    let counted = calls(&redis, "pexpire");
    // Whoever was asked of after the first time has been when somebody is after the second.
    for _ in 0..2 {
        let read = calls(&redis, "hgetall");
        redis.command::<u64>("CLIENT KILL TYPE pubsub");
        let is_asked = async {
            let mut looks = interval(Duration::from_millis(1));
            while calls(&redis, "hgetall") == read {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, is_asked).await.expect("it is asked who has replaced alice's");
    }
    let counted = calls(&redis, "pexpire") - counted;
    assert!(counted < MANY, "{counted} counts");
}

/// Whoever cannot be counted has taken over from nobody.
#[tokio::test]
async fn a_tab_that_is_not_let_in_elsewhere_stays_where_it_is() {
    let limits = LimitsSection { sessions_per_user: 2, ..LimitsSection::off() };
    let Nodes { redis, one, other } = limited(limits).await;
    let mut alice = Person::connect("alice", one.options("alice").instance("tab")).await;
    let keys: Vec<String> = redis.command("KEYS *u/acme/alice/sessions");
    assert_eq!(keys.len(), 1, "where they are counted: {keys:?}");
    // No count can be read from here.
    redis.command::<()>(&format!("SET {} nonsense", keys[0]));
    assert_eq!(greets(&other, "alice", "tab").await.1, "UNAVAILABLE");
    // What the other node says after that comes after what it would have said before.
    let to = v1::UserList { users: vec!["alice".into()] };
    let notification = v1::SendNotificationRequest {
        audience: Some(Audience::Users(to)),
        kind: "news".into(),
        title: "hello".into(),
        ..Default::default()
    };
    other.admin().send_notification(notification).await.unwrap();
    alice
        .waits_for(|event| match event {
            Event::Disconnected(how) => panic!("it ended: {how:?}"),
            Event::Notification(_) => Some(()),
            _ => None,
        })
        .await;
}

/// With one place left and several at once one of them has it.
#[tokio::test]
async fn of_many_who_come_at_once_one_has_the_last_place() {
    for (limits, refused) in each(12).into_iter().skip(1) {
        // Each is counted among its user's first, so that all wait for the others' at once.
        let limits = LimitsSection { sessions_per_user: 2, ..limits };
        let Nodes { redis, one, other } = limited(limits).await;
        let mut there = Vec::new();
        for index in 0..11 {
            there.push(Wire::enters(&one, &format!("there-{index}")).await);
        }
        redis.freeze();
        let mut come = Vec::new();
        for index in 0..10 {
            come.push(says_hello(&other, &format!("comes-{index}"), "").await);
        }
        redis.thaw();
        let mut said = Vec::new();
        for one in &mut come {
            said.push(verdict(one).await);
        }
        said.sort_unstable();
        let mut expected = vec![refused; 9];
        expected.push("connected");
        assert_eq!(said, expected);
    }
}

/// Whoever is refused was not there, to nobody.
#[tokio::test]
async fn who_is_refused_is_shown_to_nobody() {
    let limits = LimitsSection { sessions_per_tenant: 2, ..LimitsSection::off() };
    let Nodes { redis: _redis, one, other } = limited(limits).await;
    let mut watcher = other.enters("watcher").await;
    watcher.client.presence_watch(vec!["alice".into(), "eve".into()]).await.unwrap();
    let alice = one.enters("alice").await;
    assert_eq!(greets(&other, "eve", "").await.1, "CONNECTION_LIMIT_EXCEEDED");
    alice.client.presence_set(v1::PresenceStatus::Busy, "writing").await.unwrap();
    // Of eve's nothing is told before that, and of alice what she did.
    watcher
        .waits_for(|event| match event {
            Event::Presence(presence) => {
                let state = presence.state.unwrap_or_default();
                assert!(
                    state.user == "alice"
                        || state.status() == v1::PresenceStatus::Offline && state.devices == 0,
                    "{state:?}"
                );
                (state.text == "writing").then_some(())
            }
            _ => None,
        })
        .await;
}

/// What is written down of sessions is whether they were let in.
#[tokio::test]
async fn who_is_not_let_in_is_written_down_as_refused_and_nothing_else() {
    let redis = Redis::start(Keeps::Always);
    let node = || {
        hub().without_grace().node_of(&redis).with(|config| {
            config.audit.to = Some(AuditTo::File);
            config.limits = LimitsSection { sessions_per_user: 1, ..LimitsSection::off() };
        })
    };
    let (one, other) = (node().start().await, node().start().await);
    let (_first, said) = greets(&one, "alice", "").await;
    assert_eq!(said, "connected");
    let (_second, said) = greets(&other, "alice", "").await;
    assert_eq!(said, "CONNECTION_LIMIT_EXCEEDED");
    // One that leaves while it is not known whether there is room.
    redis.freeze();
    let (third, _) = says_hello(&other, "bob", "").await;
    drop(third);
    let sessions = &other.hub.services().sessions;
    let gone = async {
        let mut looks = interval(Duration::from_millis(1));
        while !sessions.is_empty() {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it is gone");
    redis.thaw();
    let told = |plan: &Plan| {
        let mut told = Vec::new();
        for file in files(&plan.folder().join("audit")).unwrap() {
            for_each_line(&file, |line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let part = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
                if part("event").starts_with("session.") {
                    told.push(["user", "event", "outcome", "reason"].map(part));
                }
            })
            .unwrap();
        }
        told
    };
    assert_eq!(
        told(&other.stops().await),
        [
            ["alice", "session.opened", "refused", "CONNECTION_LIMIT_EXCEEDED"],
            ["bob", "session.opened", "refused", "UNAVAILABLE"],
        ]
    );
    let ended = ["alice", "session.ended", "ok", "GOING_AWAY"];
    assert_eq!(told(&one.stops().await), [["alice", "session.opened", "ok", ""], ended]);
}
