//! What strangers do to a hub's ports. Each connects, does one thing for as long as it is let, and says what it sent.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{Hello, SessionRequest};
use prost::Message;

use super::http2::{
    CONTINUATION, DATA, END_HEADERS, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, call, frame, opening,
};

const SESSION: &str = "/carillon.v1.HubService/Session";
const EXECUTE: &str = "/carillon.v1.HubService/Execute";
/// The first stream that no session of the attacker's has.
const FIRST_STREAM: u32 = 3;
/// Frames that are written at once.
const BATCH: usize = 256;
/// Most bytes of one connection: who has sent so much and was not ended, was let.
const BYTES: usize = 256 << 20;
/// Between two bytes of who is slow.
const TRICKLE: Duration = Duration::from_millis(500);

/// Which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Grpc,
    Bridge,
}

/// What is written first, for the bearer of a token, and then over and over.
type Make = fn(&str) -> (Vec<u8>, Again);

/// What is written over and over.
#[derive(Clone)]
enum Again {
    /// The same.
    Same(Vec<u8>),
    /// More of it, from this stream on; streams have odd numbers, and each a new one.
    From(fn(u32) -> Vec<u8>),
}

/// An attack.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) port: Port,
    /// Whether it is ended at once, or by a limit in time that is longer than a short run.
    pub(super) is_slow: bool,
    make: Make,
}

const fn flood(name: &'static str, port: Port, make: Make) -> Attack {
    Attack { name, port, is_slow: false, make }
}

const fn slow(name: &'static str, port: Port, make: Make) -> Attack {
    Attack { name, port, is_slow: true, make }
}

/// All.
pub(super) const ATTACKS: [Attack; 16] = [
    flood("rapid_reset", Port::Grpc, |token| (session(token), Again::From(resets))),
    flood("continuation", Port::Grpc, |_| {
        let mut first = opening();
        first.extend(frame(HEADERS, 0, 1, &call(SESSION, &[])));
        (first, many(|_| frame(CONTINUATION, 0, 1, &[])))
    }),
    flood("long_headers", Port::Grpc, |_| {
        let mut first = opening();
        first.extend(frame(HEADERS, 0, 1, &call(SESSION, &[])));
        // One header after the other, which no end follows.
        let header = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
        (first, many(|_| frame(CONTINUATION, 0, 1, &header)))
    }),
    flood("header_bomb", Port::Grpc, |_| {
        // A header of 4,000 bytes goes into the table once, and is then named by one byte each time.
        let mut block = call(SESSION, &[]);
        block.extend([0x40, 1, b'x', 127]);
        block.extend([0xa1, 30]);
        block.extend([b'y'; 4_000]);
        block.extend([0xbe; 10_000]);
        (opening(), Again::Same(frame(HEADERS, END_HEADERS, 1, &block)))
    }),
    flood("empty_data", Port::Grpc, |token| (session(token), many(|_| frame(DATA, 0, 1, &[])))),
    flood("pings", Port::Grpc, |token| (session(token), many(|_| frame(PING, 0, 0, &[7; 8])))),
    flood("settings", Port::Grpc, |token| (session(token), many(|_| frame(SETTINGS, 0, 0, &[])))),
    flood("windows", Port::Grpc, |token| {
        (session(token), many(|_| frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())))
    }),
    flood("huge_message", Port::Grpc, |_| {
        let mut first = opening();
        first.extend(frame(HEADERS, END_HEADERS, 1, &call(SESSION, &[])));
        // A message of 4 GiB, as its length says.
        first.extend(frame(DATA, 0, 1, &[0, 0xff, 0xff, 0xff, 0xff]));
        (first, Again::Same(frame(DATA, 0, 1, &[0; 16_384])))
    }),
    flood("compressed", Port::Grpc, |_| {
        let mut first = opening();
        first.extend(frame(HEADERS, END_HEADERS, 1, &call(SESSION, &[("grpc-encoding", "gzip")])));
        // The beginning of what gzip makes of very many zeros, as a compressed message.
        first.extend(frame(DATA, 0, 1, &[1, 0, 0, 0, 10, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]));
        (first, Again::Same(frame(DATA, 0, 1, &[0; 16_384])))
    }),
    slow("slow_preface", Port::Grpc, |_| (b"PRI * HTTP".to_vec(), Again::Same(b"/".to_vec()))),
    slow("slow_call", Port::Grpc, |_| {
        let mut first = opening();
        first.extend(frame(HEADERS, END_HEADERS, 1, &call(EXECUTE, &[])));
        (first, Again::Same(frame(DATA, 0, 1, &[0])))
    }),
    slow("slow_request", Port::Bridge, |_| {
        (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ".to_vec(), Again::Same(b"y".to_vec()))
    }),
    flood("request_headers", Port::Bridge, |_| {
        (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n".to_vec(), many(|n| format!("x-{n}: y\r\n").into_bytes()))
    }),
    flood("socket_pings", Port::Bridge, |_| (handshake(), many(|_| vec![0x89, 0x80, 1, 2, 3, 4]))),
    flood("socket_fragments", Port::Bridge, |_| {
        // A binary message whose parts never end.
        let part = |opcode: u8| [&[opcode, 0xfe, 0x10, 0, 0, 0, 0, 0][..], &[0; 4_096]].concat();
        let mut first = handshake();
        first.extend(part(2));
        (first, Again::Same(part(0)))
    }),
];

/// A connection with a session of the token's bearer: nobody is ended for being a stranger.
fn session(token: &str) -> Vec<u8> {
    let mut bytes = opening();
    let bearer = format!("Bearer {token}");
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &call(SESSION, &[("authorization", &bearer)])));
    let hello = Hello { protocol: 1, ..Hello::default() };
    let hello = SessionRequest { command_id: 1, command: Some(Command::Hello(hello)), ..Default::default() };
    let hello = hello.encode_to_vec();
    let mut message = vec![0];
    message.extend(u32::try_from(hello.len()).unwrap_or_default().to_be_bytes());
    message.extend(hello);
    bytes.extend(frame(DATA, 0, 1, &message));
    bytes
}

fn many(one: impl Fn(usize) -> Vec<u8>) -> Again {
    Again::Same((0..BATCH).flat_map(one).collect())
}

fn handshake() -> Vec<u8> {
    b"GET /v1/session HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
      sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
      sec-websocket-protocol: carillon.v1.proto\r\n\r\n"
        .to_vec()
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Became {
    /// Bytes that were sent.
    pub(super) bytes: usize,
    /// Whether the other side ended it.
    pub(super) is_ended: bool,
}

impl Attack {
    /// Attacks over one connection, until that is ended or the time has come.
    pub(super) fn run(&self, address: SocketAddr, token: &str, until: Instant) -> io::Result<Became> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        // Answers are read on the way, so that nobody waits for anybody.
        socket.set_nonblocking(true)?;
        let (mut next, again) = (self.make)(token);
        let mut became = Became::default();
        let mut stream = FIRST_STREAM;
        while Instant::now() < until && became.bytes < BYTES {
            match send(&mut socket, &next, until)? {
                Some(bytes) => became.bytes += bytes,
                None => {
                    became.is_ended = true;
                    break;
                }
            }
            if self.is_slow {
                std::thread::sleep(TRICKLE);
            }
            next = match &again {
                Again::Same(bytes) => bytes.clone(),
                Again::From(more) => more(stream),
            };
            stream += 2 * BATCH as u32;
        }
        Ok(became)
    }
}

/// Calls that are cancelled at once.
fn resets(first: u32) -> Vec<u8> {
    let headers = call(SESSION, &[]);
    let mut bytes = Vec::new();
    for stream in (first..).step_by(2).take(BATCH) {
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &headers));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    bytes
}

/// Sends all of it, and reads what comes. How many bytes, or `None` where the other side has ended the connection.
fn send(socket: &mut TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<Option<usize>> {
    let all = bytes.len();
    let mut answer = [0; 16_384];
    loop {
        match socket.read(&mut answer) {
            Ok(0) => return Ok(None),
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Ok(None),
        }
        if bytes.is_empty() {
            return Ok(Some(all));
        }
        match socket.write(bytes) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() >= until {
                    return Ok(Some(all - bytes.len()));
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(_) => return Ok(None),
        }
    }
}
