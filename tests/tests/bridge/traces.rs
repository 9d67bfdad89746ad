//! Traces: what a caller wants to see, be it behind a bridge, a collector is told.

use std::time::Duration;

use carillon_client::v1;
use carillon_tests::browser::{Beside, Speaks, WebSocket, request};
use carillon_tests::{PATIENCE, hub};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A collector: what it is told, span by span.
struct Collector {
    url: String,
    spans: mpsc::Receiver<Value>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (told, spans) = mpsc::channel(100);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    loop {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        let Some((head, body)) = text.split_once("\r\n\r\n").filter(|(head, body)| {
                            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                            length.is_some_and(|length| body.len() == length.parse::<usize>().unwrap())
                        }) else {
                            let mut more = [0; 4_096];
                            match stream.read(&mut more).await {
                                Ok(read) if read > 0 => bytes.extend_from_slice(&more[..read]),
                                _ => return,
                            }
                            continue;
                        };
                        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
                        let document: Value = serde_json::from_str(body).unwrap();
                        for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap()
                        {
                            told.send(span.clone()).await.unwrap();
                        }
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
                        bytes.clear();
                    }
                });
            }
        });
        Self { url, spans }
    }

    /// The next span of this name.
    async fn hears(&mut self, name: &str) -> Value {
        loop {
            let span = timeout(PATIENCE, self.spans.recv()).await.expect("a span").expect("it listens");
            if span["name"] == name {
                return span;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_on_in_the_hub_wherever_its_bridge_is() {
    let mut collector = Collector::start().await;
    let beside = Beside::bind(|options| options);
    let url = collector.url.clone();
    let hub = hub().with(|config| config.traces.url = Some(url)).start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    let bearer = format!("Bearer {}", hub.token("alice"));
    let sampled = format!("00-{TRACE}-{CALLER}-01");
    let (other, not_sampled) = ("1".repeat(32), format!("00-{}-{CALLER}-00", "1".repeat(32)));
    let body = json!({"messageSend": {"room": "room:lobby", "content": {"text": "traced"}}}).to_string();
    for bridge in [&beside, &apart] {
        for parent in [&not_sampled, &sampled] {
            let headers = [("authorization", &*bearer), ("traceparent", parent)];
            let answer = request(bridge.address(), "POST", "/v1/commands", &headers, &body).await;
            assert_eq!(answer.status, 200);
        }
        let commit = collector.hears("commit").await;
        let command = collector.hears("message_send").await;
        assert_eq!((&command["traceId"], &command["parentSpanId"]), (&json!(TRACE), &json!(CALLER)));
        assert_eq!((&commit["traceId"], &commit["parentSpanId"]), (&json!(TRACE), &command["spanId"]));
        assert!(command.get("status").is_none() && commit["traceId"] != json!(other));

        let mut socket = WebSocket::try_open(bridge.address(), Speaks::Json, &[("traceparent", &sampled)])
            .await
            .expect("a socket");
        socket.greets(v1::Hello { token: hub.token("alice"), protocol: 1, ..v1::Hello::default() }).await;
        let session = collector.hears("session").await;
        assert_eq!((&session["traceId"], &session["parentSpanId"]), (&json!(TRACE), &json!(CALLER)));
        socket.joins("room:lobby").await;
        socket.says("room:lobby", "in a session").await;
        assert_eq!(collector.hears("message_send").await["parentSpanId"], json!(CALLER));
    }
    drain.cancel();
}

/// What fails says with which code; what a stopping hub has yet to tell is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_with_its_code_and_nothing_is_left_behind() {
    let mut collector = Collector::start().await;
    let bridge = Beside::bind(|options| options);
    let url = collector.url.clone();
    let hub = hub().with(|config| config.traces.url = Some(url)).start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("alice"));
    let sampled = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("authorization", &*bearer), ("traceparent", &*sampled)];
    let body = json!({"history": {"room": "conversation:of-others"}}).to_string();
    assert_eq!(request(bridge.address(), "POST", "/v1/commands", &headers, &body).await.status, 403);
    hub.stops().await;
    let span = collector.hears("history").await;
    assert_eq!(span["status"]["message"], "ACCESS_DENIED");
    let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("endTimeUnixNano") >= nanos("startTimeUnixNano"));
    assert!(Duration::from_nanos(nanos("startTimeUnixNano")) > Duration::from_hours(24 * 365 * 50));
}
