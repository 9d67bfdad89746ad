//! Health and metrics, asked for through a real socket.
#![expect(clippy::unwrap_used, reason = "a test's own helpers fail the test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carillon_hub::http::{Facts, Handle, Options, Readiness, Service};
use carillon_hub::store::StoreFigures;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A hub that is what the test makes it.
#[derive(Default)]
struct Hub {
    draining: AtomicBool,
    broken: AtomicBool,
    out_of_service: AtomicBool,
}

impl Facts for Hub {
    fn readiness(&self) -> Readiness {
        let healthy = !self.broken.load(Ordering::SeqCst);
        Readiness {
            draining: self.draining.load(Ordering::SeqCst),
            in_service: healthy && !self.out_of_service.load(Ordering::SeqCst),
            store: StoreFigures { healthy, committed: 42, ..StoreFigures::default() },
            sessions: 7,
        }
    }

    fn metrics(&self) -> String {
        "carillon_sessions_active 7\n".to_owned()
    }
}

struct Server {
    hub: Arc<Hub>,
    handle: Handle,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

async fn serve(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    change(&mut options);
    let hub = Arc::new(Hub::default());
    let facts: Arc<dyn Facts> = hub.clone();
    let (service, handle) = Service::bind(options, facts).await.unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(service.run(cancel.clone()));
    Server { hub, handle, cancel, task }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.handle.address()).await.unwrap()
    }

    /// The status and the whole answer to these bytes.
    async fn send(&self, request: &str) -> (u16, String) {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read(stream).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: hub\r\n\r\n")).await
    }
}

async fn read(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

#[tokio::test]
async fn a_port_of_the_systems_choice_is_told() {
    let server = serve(|_| ()).await;
    assert_ne!(server.handle.address().port(), 0);
    let taken = Options::new(server.handle.address());
    let error = Service::bind(taken, Arc::new(Hub::default())).await.err().unwrap().to_string();
    assert!(error.starts_with("cannot listen for HTTP on 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn the_living_say_so() {
    let server = serve(|_| ()).await;
    let (status, answer) = server.get("/health/live").await;
    assert_eq!(status, 200);
    assert!(answer.ends_with("{\"status\":\"alive\"}") && answer.contains("application/json"), "{answer}");
}

#[tokio::test]
async fn readiness_follows_the_store_and_the_drain() {
    let server = serve(|_| ()).await;
    let (status, answer) = server.get("/health/ready").await;
    assert_eq!(status, 200);
    for part in ["\"status\":\"ready\"", "\"sessions\":7", "\"committed\":42", "no-store"] {
        assert!(answer.contains(part), "{answer}");
    }
    server.hub.draining.store(true, Ordering::SeqCst);
    let (status, answer) = server.get("/health/ready").await;
    assert!(status == 503 && answer.contains("\"status\":\"draining\""), "{answer}");
    server.hub.out_of_service.store(true, Ordering::SeqCst);
    let (status, answer) = server.get("/health/ready").await;
    assert!(status == 503 && answer.contains("\"status\":\"out_of_service\""), "{answer}");
    server.hub.broken.store(true, Ordering::SeqCst);
    let (status, answer) = server.get("/health/ready?verbose").await;
    assert!(status == 503 && answer.contains("\"status\":\"store_unhealthy\""), "{answer}");
    assert_eq!(server.get("/health/live").await.0, 200);
}

#[tokio::test]
async fn metrics_are_text_for_prometheus() {
    let server = serve(|_| ()).await;
    let (status, answer) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
    assert!(answer.ends_with("\r\n\r\ncarillon_sessions_active 7\n"), "{answer}");
}

#[tokio::test]
async fn other_requests_are_refused() {
    let server = serve(|_| ()).await;
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nhost: hub\r\n\r\n".to_owned(), 404),
        ("GET /metrics/ HTTP/1.1\r\nhost: hub\r\n\r\n".to_owned(), 404),
        ("POST /metrics HTTP/1.1\r\nhost: hub\r\ncontent-length: 2\r\n\r\n{}".to_owned(), 405),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /metrics HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)), 431),
    ] {
        let (status, answer) = server.send(&request).await;
        assert_eq!(status, expected, "{answer}");
    }
    let (status, answer) = server.send("HEAD /metrics HTTP/1.1\r\nhost: hub\r\n\r\n").await;
    assert!(status == 200 && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_silent_client_holds_nobody_up() {
    let server = serve(|options| {
        options.connections = 1;
        options.timeout = Duration::from_millis(200);
    })
    .await;
    let silent = server.connect().await;
    let mut waiting = server.connect().await;
    waiting.write_all(b"GET /health/live HTTP/1.1\r\nhost: hub\r\n\r\n").await.unwrap();
    assert_eq!(read(waiting).await.0, 200);
    assert_eq!(read(silent).await.1, "");
}

#[tokio::test]
async fn a_stop_ends_it_and_frees_the_port() {
    let server = serve(|_| ()).await;
    let silent = server.connect().await;
    // Answered after it, so the silent one was accepted before: it is closed, not turned away.
    assert_eq!(server.get("/health/live").await.0, 200);
    server.cancel.cancel();
    server.task.await.unwrap();
    assert_eq!(read(silent).await.1, "");
    assert!(TcpStream::connect(server.handle.address()).await.is_err());
}
