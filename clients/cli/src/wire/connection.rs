//! One HTTP/2 connection with its sessions: what to make of each frame, and the credit either way.

use super::WireError;
use super::http2::{self, Frame, Http2};
use super::link::{Incoming, put_message};
use super::records::{Form, Grpc, Records};

const SESSION_PATH: &str = "/carillon.v1.HubService/Session";

/// The client's half of a connection. Plain data: bytes in, bytes out.
pub(super) struct Connection {
    frames: Records<Http2>,
    streams: Vec<Stream>,
    /// Bytes received since credit was last returned.
    received: u32,
    /// What we may still send on the connection.
    window: i64,
    /// What a stream starts with, by the server's settings.
    initial_window: u32,
}

struct Stream {
    messages: Records<Grpc>,
    received: u32,
    window: i64,
    /// Prefixed messages that wait for credit.
    waiting: Vec<u8>,
    ended: bool,
}

impl Connection {
    /// Appends preface and calls to `out`.
    pub(super) fn open(out: &mut Vec<u8>, authority: &str, sessions: u32) -> Self {
        http2::put_preface(out);
        let streams = (0..sessions).map(|session| {
            http2::put_call(out, stream_id(session), authority, SESSION_PATH);
            Stream {
                messages: Records::new(),
                received: 0,
                window: http2::DEFAULT_WINDOW.into(),
                waiting: Vec::new(),
                ended: false,
            }
        });
        Self {
            streams: streams.collect(),
            frames: Records::new(),
            received: 0,
            window: http2::DEFAULT_WINDOW.into(),
            initial_window: http2::DEFAULT_WINDOW,
        }
    }

    /// Appends a message to `out`, or as much of it as there is credit for; the rest follows with the credit.
    pub(super) fn send(&mut self, out: &mut Vec<u8>, session: u32, message: &[u8]) {
        let Some(stream) = self.streams.get_mut(session as usize).filter(|stream| !stream.ended) else {
            return;
        };
        put_message(&mut stream.waiting, message);
        stream.release(&mut self.window, stream_id(session), out);
    }

    /// Takes what arrived; answers go to `out`.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        mut take: impl FnMut(u32, Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        // The splitter is lent out while frames change the rest of the connection.
        let mut frames = std::mem::replace(&mut self.frames, Records::new());
        let fed = frames.feed(input, |record| self.accept(&Frame::parse(record), out, &mut take));
        self.frames = frames;
        fed
    }

    fn accept(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        take: &mut impl FnMut(u32, Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        match frame.kind {
            http2::DATA => self.accept_data(frame, out, take),
            http2::HEADERS if frame.flags & http2::END_STREAM != 0 => self.end_stream(frame.stream, 0, take),
            http2::RST_STREAM => self.end_stream(frame.stream, frame.number(0), take),
            http2::SETTINGS if frame.flags & http2::ACK == 0 => {
                for (setting, value) in frame.settings() {
                    if setting == http2::SETTING_INITIAL_WINDOW_SIZE {
                        self.change_initial_window(value);
                    }
                }
                http2::put_frame(out, http2::SETTINGS, http2::ACK, 0, &[]);
                self.release_all(out);
                Ok(())
            }
            http2::PING if frame.flags & http2::ACK == 0 => {
                http2::put_frame(out, http2::PING, http2::ACK, 0, frame.payload);
                Ok(())
            }
            http2::WINDOW_UPDATE => {
                let credit = i64::from(frame.number(0));
                match frame.stream {
                    0 => self.window += credit,
                    id => {
                        if let Some(stream) = self.streams.get_mut(session_of(id) as usize) {
                            stream.window += credit;
                        }
                    }
                }
                self.release_all(out);
                Ok(())
            }
            // A hub that drains says 0 and lets the streams end by themselves.
            http2::GOAWAY if frame.number(4) != 0 => Err(WireError::GoAway { code: frame.number(4) }),
            _ => Ok(()),
        }
    }

    fn accept_data(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        take: &mut impl FnMut(u32, Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let length = frame.payload.len() as u32;
        let session = session_of(frame.stream);
        return_credit(&mut self.received, length, http2::CONNECTION_WINDOW, 0, out);
        let stream = self.streams.get_mut(session as usize);
        let stream = stream.ok_or(WireError::Malformed("a stream that was never opened"))?;
        return_credit(&mut stream.received, length, http2::STREAM_WINDOW, frame.stream, out);
        let data = frame.data().ok_or(WireError::Malformed("padding beyond the frame"))?;
        stream.messages.feed(data, |record| {
            if record[0] != 0 {
                return Err(WireError::Malformed("a compressed message"));
            }
            take(session, Incoming::Message(&record[Grpc::HEAD..]))
        })?;
        if frame.flags & http2::END_STREAM != 0 { self.end_stream(frame.stream, 0, take) } else { Ok(()) }
    }

    fn end_stream(
        &mut self,
        id: u32,
        code: u32,
        take: &mut impl FnMut(u32, Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let session = session_of(id);
        match self.streams.get_mut(session as usize) {
            Some(stream) if !stream.ended => {
                stream.ended = true;
                stream.waiting.clear();
                take(session, Incoming::End(code))
            }
            // RST_STREAM may follow the trailers: the stream ends once.
            _ => Ok(()),
        }
    }

    /// A new initial window changes the windows of open streams by the difference (RFC 9113, 6.9.2).
    fn change_initial_window(&mut self, value: u32) {
        let change = i64::from(value) - i64::from(self.initial_window);
        self.initial_window = value;
        for stream in &mut self.streams {
            stream.window += change;
        }
    }

    fn release_all(&mut self, out: &mut Vec<u8>) {
        for (session, stream) in self.streams.iter_mut().enumerate() {
            stream.release(&mut self.window, stream_id(session as u32), out);
        }
    }
}

impl Stream {
    /// Moves to `out` what both windows allow.
    fn release(&mut self, connection_window: &mut i64, id: u32, out: &mut Vec<u8>) {
        let mut released = 0;
        while released < self.waiting.len() {
            let credit = self.window.min(*connection_window).max(0) as usize;
            let length = (self.waiting.len() - released).min(http2::MAX_PAYLOAD).min(credit);
            if length == 0 {
                break;
            }
            http2::put_frame(out, http2::DATA, 0, id, &self.waiting[released..released + length]);
            self.window -= length as i64;
            *connection_window -= length as i64;
            released += length;
        }
        self.waiting.drain(..released);
    }
}

/// Credit is returned when half the window is used, so that most frames cost no answer.
fn return_credit(received: &mut u32, length: u32, window: u32, id: u32, out: &mut Vec<u8>) {
    *received += length;
    if *received >= window / 2 {
        http2::put_window_update(out, id, *received);
        *received = 0;
    }
}

/// A client's streams have odd numbers.
fn stream_id(session: u32) -> u32 {
    2 * session + 1
}

fn session_of(id: u32) -> u32 {
    id / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(out: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut frames = Records::<Http2>::new();
        let take = |record: &[u8]| {
            let frame = Frame::parse(record);
            if frame.kind == http2::DATA {
                bytes.extend_from_slice(frame.payload);
            }
            Ok(())
        };
        frames.feed(out, take).unwrap();
        bytes
    }

    #[test]
    fn what_exceeds_the_window_waits_for_credit() {
        let mut connection = Connection::open(&mut Vec::new(), "hub", 1);
        let mut out = Vec::new();
        connection.send(&mut out, 0, &vec![1; 100_000]);
        let first = sent(&out);
        assert_eq!(first.len(), http2::DEFAULT_WINDOW as usize);

        let mut input = Vec::new();
        http2::put_window_update(&mut input, 0, 1 << 20);
        http2::put_window_update(&mut input, 1, 1 << 20);
        let mut out = Vec::new();
        connection.feed(&input, &mut out, |_, _| Ok(())).unwrap();
        assert_eq!([first, sent(&out)].concat().len(), 100_000 + Grpc::HEAD);
    }

    #[test]
    fn credit_is_returned_at_half_the_window() {
        let mut connection = Connection::open(&mut Vec::new(), "hub", 1);
        let mut message = Vec::new();
        put_message(&mut message, &[0; http2::MAX_PAYLOAD - Grpc::HEAD]);
        let mut input = Vec::new();
        http2::put_frame(&mut input, http2::DATA, 0, 1, &message);
        let frames = http2::STREAM_WINDOW as usize / 2 / http2::MAX_PAYLOAD;
        let (mut out, mut seen) = (Vec::new(), 0);
        for round in 1..=frames {
            assert!(out.is_empty(), "credit after {round} frames");
            let take = |_, _: Incoming<'_>| {
                seen += 1;
                Ok(())
            };
            connection.feed(&input, &mut out, take).unwrap();
        }
        assert_eq!(seen, frames);
        let frame = Frame::parse(&out);
        assert_eq!(
            (frame.kind, frame.stream, frame.number(0)),
            (http2::WINDOW_UPDATE, 1, http2::STREAM_WINDOW / 2)
        );
    }

    #[test]
    fn ping_and_settings_are_answered() {
        let mut connection = Connection::open(&mut Vec::new(), "hub", 1);
        let mut input = Vec::new();
        http2::put_frame(&mut input, http2::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 9]);
        http2::put_frame(&mut input, http2::PING, 0, 0, &[5; 8]);
        let mut out = Vec::new();
        connection.feed(&input, &mut out, |_, _| Ok(())).unwrap();
        assert_eq!(connection.streams[0].window, 9);
        let (settings, ping) = out.split_at(9);
        assert_eq!(
            (Frame::parse(settings).kind, Frame::parse(settings).flags),
            (http2::SETTINGS, http2::ACK)
        );
        assert_eq!((Frame::parse(ping).kind, Frame::parse(ping).payload), (http2::PING, &[5; 8][..]));
    }

    #[test]
    fn stream_ends_once() {
        let mut connection = Connection::open(&mut Vec::new(), "hub", 1);
        let mut input = Vec::new();
        http2::put_frame(&mut input, http2::HEADERS, http2::END_STREAM, 1, &[]);
        http2::put_frame(&mut input, http2::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
        let mut ends = Vec::new();
        let take = |session, incoming: Incoming<'_>| {
            if let Incoming::End(code) = incoming {
                ends.push((session, code));
            }
            Ok(())
        };
        connection.feed(&input, &mut Vec::new(), take).unwrap();
        assert_eq!(ends, [(0, 0)]);
    }
}
