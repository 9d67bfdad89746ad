//! A client of each transport on each of three nodes, which are processes on a cluster of three masters with a replica each.

use std::net::SocketAddr;
use std::path::Path;

use carillon_client::Event;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{Message, SessionResponse};
use carillon_tests::browser::{Events, Speaks, WebSocket, request};
use carillon_tests::process::HubProcess;
use carillon_tests::{Cluster, Keeps, Person, seq, words};
use futures::future::{BoxFuture, FutureExt, join_all};
use serde_json::{Value, json};

use crate::faults::ROOM;

/// What each writes.
const EACH: u64 = 5;
/// The ways to write: a gRPC session, a socket in protobuf and one in JSON, and posted commands.
const WRITERS: u64 = 4;
const NODES: u64 = 3;
const ALL: u64 = EACH * WRITERS * NODES;

/// What somebody has of the room: places and texts.
type Log = Vec<(u64, String)>;

fn said(message: &Message) -> (u64, String) {
    (seq(message), words(message).to_owned())
}

fn text(name: &str, n: u64) -> String {
    format!("{name} {n}")
}

async fn over_grpc(mut person: Person, name: String) -> Log {
    for n in 0..EACH {
        person.says(ROOM, &text(&name, n)).await;
    }
    let mut log = Log::new();
    while log.len() < ALL as usize {
        if let Event::Message(message) = person.next().await {
            log.push(said(&message));
        }
    }
    log
}

fn message_of(response: SessionResponse) -> Option<(u64, String)> {
    match response.kind {
        Some(Kind::Message(message)) => Some(said(&message)),
        _ => None,
    }
}

async fn over_socket(mut socket: WebSocket, name: String) -> Log {
    for n in 0..EACH {
        socket.says(ROOM, &text(&name, n)).await;
    }
    let mut log = Log::new();
    while log.len() < ALL as usize {
        log.push(socket.until(message_of).await);
    }
    log
}

async fn over_events(mut events: Events) -> Log {
    let mut log = Log::new();
    while log.len() < ALL as usize {
        log.extend(message_of(events.next().await.expect("the stream goes on")));
    }
    log
}

async fn post(at: SocketAddr, bearer: &str, command: &Value) -> Value {
    let headers = [("authorization", bearer)];
    let answer = request(at, "POST", "/v1/commands", &headers, &command.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

async fn posts(at: SocketAddr, bearer: String, name: String) {
    for n in 0..EACH {
        let message = json!({"messageSend": {"room": ROOM, "content": {"text": text(&name, n)}}});
        post(at, &bearer, &message).await;
    }
}

/// What who only posts reads.
async fn reads(node: &HubProcess) -> Log {
    let page = json!({"history": {"room": ROOM, "after": "0", "limit": 200}});
    let page = post(node.bridge(), &format!("Bearer {}", node.token("bob")), &page).await;
    let read = |entry: &Value| {
        let message = &entry["message"];
        let seq = message["header"]["seq"].as_str().and_then(|seq| seq.parse().ok()).expect("a seq");
        (seq, message["content"]["text"].as_str().expect("a text").to_owned())
    };
    page["historyPage"]["entries"].as_array().expect("entries").iter().map(read).collect()
}

/// One client of each transport on a node; those who listen have joined. What they hear.
async fn people(node: &HubProcess, number: u64) -> Vec<BoxFuture<'static, Log>> {
    let at = node.bridge();
    let bearer = format!("Bearer {}", node.token("bob"));
    let alice = Person::connect("alice", node.options("alice")).await;
    alice.joins(ROOM).await;
    let mut people = vec![over_grpc(alice, format!("grpc{number}")).boxed()];
    for speaks in [Speaks::Proto, Speaks::Json] {
        let mut socket = WebSocket::enters(at, speaks, node.token("bob").to_owned()).await;
        socket.joins(ROOM).await;
        people.push(over_socket(socket, format!("{speaks:?}{number}")).boxed());
    }
    let headers = [("authorization", &*bearer)];
    let mut events = Events::open(at, "/v1/events?room=room%3Alobby", &headers).await.expect("a stream");
    let joined = |response: SessionResponse| matches!(response.kind, Some(Kind::Joined(joined)) if joined.room == ROOM);
    while !joined(events.next().await.expect("the stream goes on")) {}
    people.push(over_events(events).boxed());
    let posting = posts(at, bearer, format!("posted{number}"));
    people.push(posting.map(|()| Log::new()).boxed());
    people
}

fn three_nodes(data: &Path, cluster: &Cluster) -> Vec<HubProcess> {
    // Each knows another server.
    cluster.urls()[..NODES as usize].iter().map(|url| HubProcess::node_of_cluster(data, url)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_all_transports_on_three_nodes_are_in_one_conversation() {
    let data = tempfile::tempdir().unwrap();
    let cluster = tokio::task::block_in_place(|| Cluster::start(true, Keeps::EverySecond));
    let nodes = tokio::task::block_in_place(|| three_nodes(data.path(), &cluster));
    let mut all = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        all.extend(people(node, number as u64).await);
    }
    let logs = join_all(all.into_iter().map(tokio::spawn)).await;
    let mut logs: Vec<Log> = logs.into_iter().map(Result::unwrap).filter(|log| !log.is_empty()).collect();
    for node in &nodes {
        logs.push(reads(node).await);
    }
    assert_eq!(logs.len(), 15, "of five on each node");
    assert!(logs[0].iter().map(|(seq, _)| *seq).eq(1..=ALL), "in order, each once: {:?}", logs[0]);
    for log in &logs {
        assert_eq!(*log, logs[0]);
    }
    for name in ["grpc", "Proto", "Json", "posted"] {
        for number in 0..NODES {
            let name = format!("{name}{number}");
            let of = logs[0].iter().filter(|(_, text)| text.starts_with(&name)).map(|(_, text)| text.clone());
            assert!(of.eq((0..EACH).map(|n| text(&name, n))), "what {name} wrote, as it was written");
        }
    }
    for node in nodes {
        tokio::task::block_in_place(|| node.stops());
    }
}
