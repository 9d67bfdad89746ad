//! One WebSocket (RFC 6455): the handshake, and frames either way.

use carillon_proto::WebSocketForm;
use carillon_proto::v1::SessionRequest;
use prost::Message as _;

use super::WireError;
use super::events::status;
use super::link::Incoming;
use super::records::{Form, Records};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// The code of a close on purpose.
pub(crate) const NORMAL: u16 = 1_000;
/// Of a frame's first byte: it is the last of its message.
const FINAL: u8 = 0x80;
/// Of a frame's second byte: a key follows.
const MASKED: u8 = 0x80;
/// In place of a length: it follows in two bytes, or in eight.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;
/// A key of zeros leaves the bytes as they are; the key protects from proxies, and there is none here.
const KEY: [u8; 4] = [0; 4];
/// Longest answer to a handshake, bytes.
const HEAD_BYTES: usize = 16 * 1_024;

/// Frames that a server sends.
struct Frame;

impl Form for Frame {
    const HEAD: usize = 2;
    /// A page of history of the largest messages stays below this.
    const LIMIT: usize = 16 << 20;

    fn head(head: &[u8]) -> usize {
        match head[1] {
            ..IN_TWO => 2,
            IN_TWO => 4,
            IN_EIGHT.. => 10,
        }
    }

    fn length(head: &[u8]) -> usize {
        let payload = match head {
            [_, length] => usize::from(*length),
            [_, _, length @ ..] => length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            _ => 0,
        };
        // A length beyond the limit is refused, however far beyond.
        payload.saturating_add(head.len())
    }
}

/// The client's half of a socket. Plain data: bytes in, bytes out.
pub(crate) struct WebSocket {
    pub(crate) form: WebSocketForm,
    stage: Stage,
    frames: Records<Frame>,
}

enum Stage {
    /// The answer so far, and frames that wait for it to be whole.
    Handshake {
        answer: Vec<u8>,
        waiting: Vec<u8>,
    },
    Open,
    /// Nothing more is of interest.
    Ended,
}

impl WebSocket {
    /// Appends the handshake to `out`.
    pub(crate) fn open(out: &mut Vec<u8>, authority: &str, form: WebSocketForm) -> Self {
        let protocol = match form {
            WebSocketForm::Binary => "carillon.v1.proto",
            WebSocketForm::Json => "carillon.v1.json",
        };
        // The key is that of RFC 6455's example: its answer shows nothing here.
        let request = format!(
            "GET /v1/session HTTP/1.1\r\nhost: {authority}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: {protocol}\r\n\r\n"
        );
        out.extend_from_slice(request.as_bytes());
        let stage = Stage::Handshake { answer: Vec::new(), waiting: Vec::new() };
        Self { form, stage, frames: Records::new() }
    }

    /// Appends a request to `out`, or keeps it until the handshake is done.
    pub(super) fn send(&mut self, out: &mut Vec<u8>, request: &SessionRequest) {
        let payload = match self.form {
            WebSocketForm::Binary => request.encode_to_vec(),
            // Maps with keys that are no strings are all that serde_json cannot write; the protocol has none.
            WebSocketForm::Json => serde_json::to_vec(request).unwrap_or_default(),
        };
        self.send_message(out, &payload);
    }

    /// The same of a message that is encoded already.
    pub(crate) fn send_message(&mut self, out: &mut Vec<u8>, payload: &[u8]) {
        let opcode = match self.form {
            WebSocketForm::Binary => BINARY,
            WebSocketForm::Json => TEXT,
        };
        self.put(out, opcode, payload);
    }

    /// Appends a close in good order.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        self.put(out, CLOSE, &NORMAL.to_be_bytes());
    }

    fn put(&mut self, out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
        match &mut self.stage {
            Stage::Handshake { waiting, .. } => put_frame(waiting, opcode, payload),
            Stage::Open => put_frame(out, opcode, payload),
            Stage::Ended => {}
        }
    }

    /// Takes what arrived; answers go to `out`.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        mut take: impl FnMut(Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let head;
        let mut input = input;
        if let Stage::Handshake { answer, waiting } = &mut self.stage {
            answer.extend_from_slice(input);
            let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = end else {
                return if answer.len() > HEAD_BYTES {
                    Err(WireError::Malformed("a handshake that does not end"))
                } else {
                    Ok(())
                };
            };
            head = std::mem::take(answer);
            input = &head[end + 4..];
            let status = status(&head)?;
            if status != 101 {
                self.stage = Stage::Ended;
                return take(Incoming::Refused(status));
            }
            out.append(waiting);
            self.stage = Stage::Open;
        }
        let (form, stage) = (self.form, &mut self.stage);
        self.frames.feed(input, |record| accept(record, form, stage, out, &mut take))
    }
}

fn accept(
    record: &[u8],
    form: WebSocketForm,
    stage: &mut Stage,
    out: &mut Vec<u8>,
    take: &mut impl FnMut(Incoming<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    if matches!(stage, Stage::Ended) {
        return Ok(());
    }
    let payload = &record[Frame::head(record)..];
    let wanted = match form {
        WebSocketForm::Binary => BINARY,
        WebSocketForm::Json => TEXT,
    };
    match record[0] ^ FINAL {
        opcode if opcode == wanted => take(Incoming::Message(payload)),
        PING => {
            put_frame(out, PONG, payload);
            Ok(())
        }
        PONG => Ok(()),
        CLOSE => {
            *stage = Stage::Ended;
            put_frame(out, CLOSE, payload.get(..2).unwrap_or_default());
            let code = payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code).into());
            take(Incoming::End(code))
        }
        _ => Err(WireError::Malformed("a frame in pieces, or of a kind that was not asked for")),
    }
}

/// Appends a client's frame.
fn put_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(FINAL | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..IN_TWO), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | IN_TWO);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(MASKED | IN_EIGHT);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&KEY);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use carillon_proto::Frame as Shared;
    use carillon_proto::v1::SessionResponse;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";

    fn open() -> WebSocket {
        WebSocket::open(&mut Vec::new(), "hub", WebSocketForm::Binary)
    }

    #[derive(Debug, PartialEq)]
    enum Seen {
        Message(Vec<u8>),
        End(u32),
        Refused(u16),
    }

    fn feed(socket: &mut WebSocket, input: &[u8], out: &mut Vec<u8>) -> Result<Vec<Seen>, WireError> {
        let mut seen = Vec::new();
        socket.feed(input, out, |incoming| {
            seen.push(match incoming {
                Incoming::Message(message) => Seen::Message(message.to_vec()),
                Incoming::End(code) => Seen::End(code),
                Incoming::Refused(status) => Seen::Refused(status),
            });
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn frames_are_the_same_wherever_the_stream_is_cut() {
        let messages = [0, 1, 125, 126, 300, 70_000].map(|length| vec![7; length]);
        let frames = messages.iter().map(|message| Shared::from_message(message));
        let frames: Vec<u8> =
            frames.flat_map(|frame| frame.web_socket(WebSocketForm::Binary).to_vec()).collect();
        let stream = [ANSWER, &frames].concat();
        for first in 0..ANSWER.len() + 700 {
            let mut socket = open();
            let mut seen = Vec::new();
            for piece in [&stream[..first], &stream[first..=first], &stream[first + 1..]] {
                seen.extend(feed(&mut socket, piece, &mut Vec::new()).unwrap());
            }
            assert!(
                seen.iter().zip(&messages).all(|(seen, message)| *seen == Seen::Message(message.clone()))
            );
            assert_eq!(seen.len(), messages.len(), "cut at {first}");
        }
    }

    #[test]
    fn requests_wait_for_the_handshake_and_are_masked() {
        let mut socket = open();
        let mut out = Vec::new();
        let request = SessionRequest { command_id: 5, ..SessionRequest::default() };
        socket.send(&mut out, &request);
        assert!(out.is_empty());
        feed(&mut socket, ANSWER, &mut out).unwrap();
        assert_eq!(out, [&[0x82, 0x82, 0, 0, 0, 0], &request.encode_to_vec()[..]].concat());
        for (length, header) in [(200, &[0x82, 0xfe, 0, 200][..]), (65_536, &[0x82, 0xff, 0, 0, 0, 0, 0, 1])]
        {
            let mut out = Vec::new();
            put_frame(&mut out, BINARY, &vec![1; length]);
            assert_eq!(&out[..header.len()], header);
        }
    }

    #[test]
    fn pings_are_answered_and_a_close_is_the_end() {
        let mut socket = open();
        let mut out = Vec::new();
        feed(&mut socket, ANSWER, &mut out).unwrap();
        assert_eq!(feed(&mut socket, &[0x89, 1, 9], &mut out).unwrap(), []);
        assert_eq!(out, [0x8a, 0x81, 0, 0, 0, 0, 9]);
        let input = [0x88, 2, 0x0f, 0xa5, 0x82, 0];
        assert_eq!(feed(&mut socket, &input, &mut out).unwrap(), [Seen::End(4005)]);
    }

    #[test]
    fn a_refused_handshake_says_its_status() {
        let input = b"HTTP/1.1 503 Service Unavailable\r\n\r\nbusy";
        assert_eq!(feed(&mut open(), input, &mut Vec::new()).unwrap(), [Seen::Refused(503)]);
    }

    #[test]
    fn what_was_not_asked_for_is_malformed() {
        let text = Shared::encode(&SessionResponse::default()).web_socket(WebSocketForm::Json).to_vec();
        let endless = [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255];
        for input in [&text[..], &[0x02, 0], &[0x80, 0], &endless] {
            let mut socket = open();
            let input = [ANSWER, input].concat();
            assert!(matches!(feed(&mut socket, &input, &mut Vec::new()), Err(WireError::Malformed(_))));
        }
    }
}
