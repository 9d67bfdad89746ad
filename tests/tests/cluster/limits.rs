//! Limits of all nodes together, and what administrators see and do on all of them.

use std::time::Duration;

use carillon_client::{AdminClient, Event, v1};
use carillon_hub::config::{LimitsSection, RateSetting, SharedLimit};
use carillon_hub::domain::rate::Rate;
use carillon_tests::story::{message, verdict};
use carillon_tests::wire::{greeting, greets};
use carillon_tests::{Keeps, Person, Redis, TestHub, Wire, hub};
use v1::disconnect_session_request::Target;
use v1::session_request::Command;
use v1::session_response::Kind;

use crate::nodes::Nodes;

/// So many, and no more within the test.
fn only(burst: u32) -> RateSetting {
    RateSetting(Some(Rate::new(burst, Duration::from_hours(1))))
}

pub(crate) async fn limited(limits: LimitsSection) -> Nodes {
    let redis = Redis::start(Keeps::Always);
    let node = || hub().without_grace().node_of(&redis).with(|config| config.limits = limits.clone()).start();
    let (one, other) = (node().await, node().await);
    Nodes { redis, one, other }
}

/// Says hello until there is room: what has ended on one node another learns by and by.
async fn enters_at_last(hub: &TestHub, user: &str) -> Wire {
    let enters = async {
        loop {
            if let (wire, said) = greets(hub, user, "").await
                && said == "connected"
            {
                return wire;
            }
        }
    };
    tokio::time::timeout(carillon_tests::PATIENCE, enters).await.expect("there is room")
}

#[tokio::test]
async fn a_user_and_a_tenant_have_so_many_sessions_on_all_nodes() {
    let limits = LimitsSection { sessions_per_user: 2, sessions_per_tenant: 3, ..LimitsSection::off() };
    let Nodes { redis: _redis, one, other } = limited(limits).await;
    let (phone, said) = greets(&one, "alice", "phone").await;
    assert_eq!(said, "connected");
    let (mut laptop, said) = greets(&other, "alice", "laptop").await;
    assert_eq!(said, "connected");
    for node in [&one, &other] {
        assert_eq!(greets(node, "alice", "").await.1, "CONNECTION_LIMIT_EXCEEDED");
        assert_eq!(greets(node, "alice", "desk").await.1, "CONNECTION_LIMIT_EXCEEDED");
    }
    // One that takes over from another node is none more.
    let (mut newer, said) = greets(&one, "alice", "laptop").await;
    assert_eq!(said, "connected");
    laptop.ends_with("SESSION_REPLACED").await;
    let bob = greets(&other, "bob", "").await;
    assert_eq!(bob.1, "connected");
    for node in [&one, &other] {
        assert_eq!(greets(node, "carol", "").await.1, "CONNECTION_LIMIT_EXCEEDED", "the tenant has three");
    }
    assert!(matches!(newer.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    // The place of one who goes is free again, on whichever node.
    drop(phone);
    enters_at_last(&other, "alice").await;
}

/// Where the settings name them.
#[tokio::test]
async fn a_user_opens_and_resumes_so_much_on_all_nodes() {
    let shared = vec![SharedLimit::Open, SharedLimit::Resume];
    let limits = LimitsSection { open: only(4), resume: only(4), shared, ..LimitsSection::off() };
    let Nodes { redis: _redis, one, other } = limited(limits).await;
    let resume = async |node: &TestHub, nth: usize| {
        let room = |n: usize| v1::RoomPosition { room: format!("room:{nth}-{n}"), ..Default::default() };
        let resume = Some(v1::Resume { rooms: (0..3).map(room).collect(), ..Default::default() });
        let hello = v1::Hello { token: node.token("alice"), resume, ..greeting() };
        Wire::enters_with(node, hello).await
    };
    let joined = |kind: &Kind| matches!(kind, Kind::Joined(of) if of.room.starts_with("room:")).then_some(());
    let (mut first, mut second) = (resume(&one, 1).await, resume(&other, 2).await);
    for _ in 0..3 {
        first.until(joined).await;
    }
    second.until(joined).await;
    let levels = v1::GetLimitsRequest { user: "alice".into(), ..Default::default() };
    let levels = one.admin().get_limits(levels).await.unwrap().levels;
    let left = |kind: &str| levels.iter().find(|level| level.kind == kind).map(|level| level.left);
    assert_eq!((left("open"), left("resume")), (Some(2), Some(0)));
    for node in [&one, &other] {
        assert_eq!(greets(node, "alice", "").await.1, "connected");
    }
    for node in [&one, &other] {
        assert_eq!(greets(node, "alice", "").await.1, "RATE_LIMITED");
    }
    assert_eq!(greets(&one, "bob", "").await.1, "connected");
    // Those that are left come when there are more.
    let reset = v1::ResetLimitsRequest { user: "alice".into(), ..Default::default() };
    assert_eq!(other.admin().reset_limits(reset).await.unwrap().reset, 2);
    for _ in 0..2 {
        second.until(joined).await;
    }
}

#[tokio::test]
async fn an_address_has_so_many_sessions_on_all_nodes() {
    let limits = LimitsSection { sessions_per_address: 2, ..LimitsSection::off() };
    let Nodes { redis: _redis, one, other } = limited(limits).await;
    let (first, second) = (greets(&one, "alice", "").await, greets(&other, "bob", "").await);
    assert_eq!((first.1.as_str(), second.1.as_str()), ("connected", "connected"));
    assert_eq!(greets(&one, "carol", "").await.1, "TOO_MANY_CONNECTIONS");
    drop(second);
    enters_at_last(&one, "carol").await;
}

/// Sessions of a node that stops in order, or whose lease ends, count no longer.
#[tokio::test]
async fn sessions_of_a_node_that_is_gone_do_not_count() {
    let limits = LimitsSection { sessions_per_user: 1, ..LimitsSection::off() };
    let Nodes { redis: _redis, one, other } = limited(limits).await;
    let _alice = one.enters("alice").await;
    assert_eq!(greets(&other, "alice", "").await.1, "CONNECTION_LIMIT_EXCEEDED");
    one.stops().await;
    enters_at_last(&other, "alice").await;
}

#[tokio::test]
async fn nodes_share_the_limits_that_they_are_told_to() {
    let limits = LimitsSection {
        send: only(3),
        mark: only(2),
        messages_per_tenant: only(5),
        shared: vec![SharedLimit::Send, SharedLimit::MessagesPerTenant],
        ..LimitsSection::off()
    };
    let Nodes { redis: _redis, one, other } = limited(limits).await;
    let (phone, laptop) = (one.enters("alice").await, other.enters("alice").await);
    phone.says("room:lobby", "one").await;
    laptop.says("room:lobby", "two").await;
    phone.says("room:lobby", "three").await;
    for device in [&phone, &laptop] {
        assert_eq!(verdict(device.client.send_message(message("room:lobby", "four")).await), "RATE_LIMITED");
    }
    // Marks are not among them: each node has its own.
    for device in [&phone, &laptop] {
        for seq in 1..3 {
            device.client.mark_read("room:lobby", seq).await.unwrap();
        }
        assert_eq!(verdict(device.client.mark_read("room:lobby", 3).await), "RATE_LIMITED");
    }
    let get = v1::GetLimitsRequest { user: "alice".into(), ..Default::default() };
    for node in [&one, &other] {
        let levels = node.admin().get_limits(get.clone()).await.unwrap().levels;
        let of = |kind: &str| levels.iter().find(|level| level.kind == kind).map(|l| (l.left, l.burst));
        assert_eq!((of("send"), of("mark")), (Some((0, 3)), Some((0, 2))));
    }
    let statistics = other.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    let left = statistics.tenant_messages.unwrap();
    assert_eq!((left.left, left.burst), (2, 5), "of the tenant's, on both nodes");
    // Filling is for all nodes: the shared bucket, and the marks of each.
    let reset = v1::ResetLimitsRequest { user: "alice".into(), ..Default::default() };
    assert_eq!(other.admin().reset_limits(reset).await.unwrap().reset, 3);
    for device in [&phone, &laptop] {
        device.says("room:lobby", "again").await;
        device.client.mark_read("room:lobby", 4).await.unwrap();
    }
    // The tenant's five are used up, on both nodes.
    for node in [&one, &other] {
        let bob = node.enters("bob").await;
        assert_eq!(verdict(bob.client.send_message(message("room:lobby", "six")).await), "RATE_LIMITED");
    }
    // Without a name it is the tenant's that is read and filled.
    let of_tenant = v1::GetLimitsRequest::default();
    let levels = one.admin().get_limits(of_tenant).await.unwrap().levels;
    assert_eq!((levels.len(), levels[0].kind.as_str(), levels[0].left), (1, "tenant_messages", 0));
    assert_eq!(one.admin().reset_limits(v1::ResetLimitsRequest::default()).await.unwrap().reset, 1);
    other.enters("bob").await.says("room:lobby", "six").await;
}

async fn sessions(hub: &TestHub, list: v1::ListSessionsRequest) -> v1::ListSessionsResponse {
    hub.admin().list_sessions(list).await.expect("a page")
}

async fn how_it_ended(person: &mut Person) -> String {
    let ended = person.waits_for(|event| match event {
        Event::Disconnected(how) => Some(how.code.map_or_else(String::new, |code| code.name().to_owned())),
        _ => None,
    });
    ended.await
}

#[tokio::test]
async fn administrators_see_and_end_the_sessions_of_all_nodes() {
    let Nodes { redis: _redis, one, other } = crate::nodes::two().await;
    let phone = one.options("alice").instance("phone").name("app/1");
    let mut phone = Person::connect("alice", phone).await;
    let mut laptop = Person::connect("alice", other.options("alice").instance("laptop")).await;
    let mut bob = other.enters("bob").await;
    let of = |person: &Person| person.client.connected().session.clone();
    let all = [of(&phone), of(&laptop), of(&bob)];
    for node in [&one, &other] {
        // By pages, whichever node they are on.
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let list = v1::ListSessionsRequest { cursor, limit: 1, ..Default::default() };
            let page = sessions(node, list).await;
            assert_eq!(page.silent_nodes, 0);
            found.extend(page.sessions.into_iter().map(|session| session.session));
            cursor = page.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        assert!(found.is_sorted() && found.len() == 3 && all.iter().all(|one| found.contains(one)));
    }
    let list = v1::ListSessionsRequest { user: "alice".into(), ..Default::default() };
    let of_alice = sessions(&other, list).await.sessions;
    let of_phone = of_alice.iter().find(|session| session.instance == "phone").unwrap();
    assert_eq!(
        (of_alice.len(), of_phone.client.as_str(), of_phone.address.as_str()),
        (2, "app/1", "127.0.0.1")
    );
    let end = async |hub: &TestHub, target| {
        let request = v1::DisconnectSessionRequest { target: Some(target), ..Default::default() };
        hub.admin().disconnect_session(request).await.unwrap().disconnected
    };
    assert_eq!(end(&one, Target::Session(of(&bob))).await, 1, "on the other node");
    assert_eq!(how_it_ended(&mut bob).await, "SESSION_INVALIDATED");
    let alice = v1::UserInstance { user: "alice".into(), instance: String::new() };
    assert_eq!(end(&other, Target::User(alice)).await, 2, "one on each");
    for device in [&mut phone, &mut laptop] {
        assert_eq!(how_it_ended(device).await, "SESSION_INVALIDATED");
    }
}

/// What a node does not answer is said: a page tells that something is missing, and nobody is taken to be ended who is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_is_told_of() {
    let (redis, folder) = (Redis::start(Keeps::Always), tempfile::tempdir().unwrap());
    let mut mortal = carillon_tests::process::HubProcess::node(folder.path(), &redis.url());
    let key = redis.command::<Vec<String>>("KEYS *nodes").remove(0);
    let leases = || redis.command::<Vec<String>>(&format!("ZRANGE {key} 0 -1"));
    let of_mortal = leases();
    let other = carillon_tests::process::HubProcess::node(folder.path(), &redis.url());
    let admin = AdminClient::new(other.options("service"), "dev").unwrap();
    let list = || v1::ListSessionsRequest::default();
    let command = |more: &[&str]| {
        let at = format!("http://{}", other.address());
        let sessions = other.carillon("service", &[&["admin", "sessions", "--addr", &at], more].concat());
        tokio::task::spawn_blocking(|| sessions.run())
    };
    assert_eq!(admin.list_sessions(list()).await.unwrap().silent_nodes, 0);
    assert_eq!(command(&["--json"]).await.unwrap().good().out, "");
    mortal.is_killed();
    // Its lease goes on for a while: all at once, so that it does not end meanwhile.
    let alice = v1::UserInstance { user: "alice".into(), instance: String::new() };
    let request = v1::DisconnectSessionRequest { target: Some(Target::User(alice)), ..Default::default() };
    let (listed, ended, json, text) = tokio::join!(
        admin.list_sessions(list()),
        admin.disconnect_session(request.clone()),
        command(&["--json"]),
        command(&[]),
    );
    assert_eq!(listed.unwrap().silent_nodes, 1);
    assert_eq!(verdict(ended), "UNAVAILABLE");
    // The command says it too.
    let warning = "warning: 1 of the hub's nodes did not answer: what they have is missing\n";
    for (said, out) in [(json.unwrap(), "{\"silent_nodes\":1}\n"), (text.unwrap(), "")] {
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(3), out, warning));
    }
    // Nor where the lease of the one that asks is over: it is none of those that it waits for.
    let own = leases().into_iter().find(|lease| !of_mortal.contains(lease)).unwrap();
    assert_eq!(redis.command::<u64>(&format!("ZREM {key} {own}")), 1);
    assert_eq!(verdict(admin.disconnect_session(request).await), "UNAVAILABLE");
}
