//! What becomes of bytes on their way through the proxy.
#![allow(clippy::unwrap_used)] // A test that fails panics.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use carillon_test_redis::{Keeps, Proxy, Server};

/// What listens and sends back what it gets, on each connection.
fn echo() -> Proxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = Proxy::to_address(listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let stream = stream.unwrap();
                // It ends as the test does.
                let _ = std::io::copy(&mut &stream, &mut &stream);
            });
        }
    });
    proxy
}

fn says(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

/// What comes of the length of `text`.
fn hears(stream: &mut TcpStream, text: &str) {
    let mut bytes = vec![0; text.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), text);
}

fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).unwrap()
}

/// Says something, and waits until it is lost.
fn loses(proxy: &Proxy, stream: &mut TcpStream, text: &str) {
    let lost = proxy.lost() + text.len() as u64;
    says(stream, text);
    let begun = Instant::now();
    while proxy.lost() < lost {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is not lost");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_cut_network_lost_does_not_come_later() {
    let proxy = echo();
    let mut before = connect(&proxy);
    says(&mut before, "well");
    hears(&mut before, "well");
    proxy.cuts();
    loses(&proxy, &mut before, "lost");
    let mut meanwhile = connect(&proxy);
    loses(&proxy, &mut meanwhile, "lost as well");
    proxy.heals();
    let mut after = connect(&proxy);
    says(&mut after, "well again");
    hears(&mut after, "well again");
    // Those two are gone, though nobody has told them.
    for stream in [&mut before, &mut meanwhile] {
        loses(&proxy, stream, "and now?");
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn what_waits_and_what_is_late_comes_in_order() {
    let proxy = echo();
    let mut stream = connect(&proxy);
    let late = Duration::from_millis(100);
    proxy.delays(late);
    let begun = Instant::now();
    says(&mut stream, "late ");
    hears(&mut stream, "late ");
    assert!(begun.elapsed() >= 2 * late, "each way");
    says(&mut stream, "first ");
    proxy.holds();
    says(&mut stream, "second ");
    // In that time it would come.
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(None).unwrap();
    proxy.heals();
    says(&mut stream, "third");
    hears(&mut stream, "first second third");
}

#[test]
fn a_reset_ends_all_connections_and_no_later_one() {
    let proxy = echo();
    let mut streams = [connect(&proxy), connect(&proxy)];
    for stream in &mut streams {
        says(stream, "well");
        hears(stream, "well");
    }
    proxy.resets();
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let mut after = connect(&proxy);
    says(&mut after, "well again");
    hears(&mut after, "well again");
}

#[test]
fn a_redis_is_reached_through_it() {
    let server = Server::start(Keeps::Nothing);
    let proxy = Proxy::to(&server);
    let mut connection = redis::Client::open(proxy.url()).unwrap().get_connection().unwrap();
    assert_eq!(redis::cmd("PING").query::<String>(&mut connection).unwrap(), "PONG");
}
