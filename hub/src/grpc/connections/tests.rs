//! How long a handshake may take, and how many are told that their address has too many.

use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::task::Poll;

use carillon_net::addresses::{AddressLimits, Addresses};
use carillon_net::tls::{Protocol, ServerTls};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::domain::limits::{self, TURNED_AWAY, TURNED_AWAY_OF_ADDRESS};
use crate::domain::names::{TenantId, UserId, UserKey};
use crate::session::owners::{ConnectionLimits, Owners};

fn terms(door: Door) -> Terms {
    let http2 = Http2 {
        streams: limits::HTTP2_STREAMS,
        stream_window: limits::HTTP2_STREAM_WINDOW,
        connection_window: limits::HTTP2_CONNECTION_WINDOW,
        header_bytes: limits::HTTP2_HEADER_BYTES,
        keepalive_interval: limits::HTTP2_KEEPALIVE_INTERVAL,
        keepalive_timeout: limits::HTTP2_KEEPALIVE_TIMEOUT,
    };
    Terms { http2, first_call: Duration::from_secs(60), door }
}

fn acceptor() -> Acceptor {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("crt"), folder.path().join("key"));
    let made = rcgen::generate_simple_self_signed(["hub".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Acceptor::new(&ServerTls { certificate, key, clients: None, protocol: Protocol::Http2 }).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stands_still_ends_in_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = Door { tls: Some(acceptor()), ..Door::default() };
    let router = tower::service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
    tokio::spawn(serve(listener, terms(door), router, std::future::pending()));
    // The head of a record, which then does not come.
    for begun in [&[][..], &[0x16, 0x03, 0x01, 0x02, 0x00]] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(begun).await.unwrap();
        let start = Instant::now();
        let ended = socket.read_to_end(&mut Vec::new()).await;
        assert_eq!(ended.unwrap(), 0);
        assert_eq!(start.elapsed().as_secs(), HANDSHAKE_TIMEOUT.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_are_told_in_a_time_and_the_others_closed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let limits = AddressLimits { unauthenticated: 1, attempts_per_minute: 1_000 };
    let terms = terms(Door { addresses: Addresses::new(Some(limits)), ..Door::default() });
    let told = Told::default();
    let comes = async |from: IpAddr| {
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        arrive(listener.accept().await.unwrap().0, from, &terms, &told)
    };
    // Each holds a place; how many more of its address are told, those that have gone at once among them.
    let all_of = async |from: IpAddr| {
        let first = comes(from).await?;
        assert!(first.attempt.is_ok(), "{from}");
        let mut told = 0;
        while let Some(arrival) = comes(from).await {
            assert!(arrival.attempt.is_err());
            told += 1;
            assert!(told <= TURNED_AWAY);
        }
        Some((told, first))
    };
    let mut held = Vec::new();
    for address in (1..).map(|n| IpAddr::from([192, 0, 2, n])).take(TURNED_AWAY / TURNED_AWAY_OF_ADDRESS) {
        let (told, first) = all_of(address).await.unwrap();
        assert_eq!(told, TURNED_AWAY_OF_ADDRESS, "{address} has not those of others");
        held.push(first);
    }
    let (told_more, _one) = all_of(IpAddr::from([192, 0, 2, 99])).await.unwrap();
    assert_eq!(told_more, 0, "all of them are told so many");
    tokio::time::advance(TURNED_AWAY_FOR).await;
    tokio::task::yield_now().await;
    assert!(comes(IpAddr::from([192, 0, 2, 1])).await.is_some());
}

/// With room for one connection; an address may fail so often.
fn narrow(tls: Option<Acceptor>, attempts_per_minute: usize) -> Door {
    let limits = AddressLimits { unauthenticated: 1_000, attempts_per_minute };
    let owners = Owners::new(ConnectionLimits { node: 1, user: 1 });
    Door { tls, owners, addresses: Addresses::new(Some(limits)), ..Door::default() }
}

/// Whoever gives way to others, in the handshake or before a call, has not failed.
#[tokio::test]
async fn who_gives_way_has_not_failed() {
    for tls in [None, Some(acceptor())] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let door = narrow(tls, 3);
        let addresses = door.addresses.clone();
        let router = tower::service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
        tokio::spawn(serve(listener, terms(door), router, std::future::pending()));
        let mut last = TcpStream::connect(at).await.unwrap();
        for _ in 0..6 {
            let next = TcpStream::connect(at).await.unwrap();
            let _ = last.read_to_end(&mut Vec::new()).await;
            last = next;
        }
        assert!(addresses.attempt(at.ip(), std::time::Instant::now()).is_ok());
    }
}

#[tokio::test]
async fn whom_a_full_node_closes_has_not_failed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let terms = terms(narrow(None, TURNED_AWAY_OF_ADDRESS + 2));
    let told = Told::default();
    let comes = async |from: IpAddr| {
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        arrive(listener.accept().await.unwrap().0, from, &terms, &told)
    };
    let [here, elsewhere] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
    let known = comes(elsewhere).await.unwrap();
    let (tenant, user) = (TenantId::parse("acme").unwrap(), UserId::parse("alice").unwrap());
    known.present.owned().is_of(&UserKey { tenant, user }).unwrap();
    let mut held = Vec::new();
    for _ in 0..TURNED_AWAY_OF_ADDRESS {
        held.push(comes(here).await.unwrap());
    }
    for _ in 0..4 {
        assert!(comes(here).await.is_none());
    }
    assert!(terms.door.addresses.attempt(here, std::time::Instant::now()).is_ok());
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where the system gives no connection, as without descriptors, that is tried again and again, and said now and then.
#[tokio::test(start_paused = true)]
async fn connections_that_cannot_be_accepted_do_not_fill_the_log() {
    // A socket at which somebody waits, and which accepts nobody.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
    let listener = std::net::TcpListener::from(OwnedFd::from(socket));
    let listener = TcpListener::from_std(listener).unwrap();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let router = tower::service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
    let mut tries = 0;
    let stop = std::future::poll_fn(|_| {
        tries += 1;
        if tries > 300 { Poll::Ready(()) } else { Poll::Pending }
    });
    serve(listener, terms(Door::default()), router, stop).await;
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("cannot accept a connection"), "{log}");
}
