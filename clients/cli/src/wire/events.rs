//! One stream of server-sent events: the answer's head, its chunks, and the events in them.

use super::WireError;
use super::link::Incoming;

/// Longest head of an answer, bytes.
const HEAD_BYTES: usize = 16 * 1_024;
/// Longest line that says how large a chunk is, bytes.
const SIZE_BYTES: usize = 32;
/// Longest event, bytes: a page of history of the largest messages stays below this.
const EVENT_BYTES: usize = 16 << 20;

/// The request that opens a stream of a room. The names of a benchmark's rooms need no escaping. It does not say that nothing
/// but a stream is taken: what is refused is to be told with its status.
pub(crate) fn request(authority: &str, room: &str, ticket: &str) -> Vec<u8> {
    let head = format!("GET /v1/events?room={room}&ticket={ticket} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    head.into_bytes()
}

/// The listener's half of a stream. Plain data: bytes in.
pub(super) struct EventStream {
    stage: Stage,
    /// What is not yet a whole head, size or event.
    partial: Vec<u8>,
    /// The event that is not yet whole.
    event: Vec<u8>,
}

enum Stage {
    Head,
    /// The line with the next chunk's size.
    Size,
    /// So much of the chunk is still to come, its line end too.
    Chunk(usize),
    Ended,
}

impl EventStream {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Head, partial: Vec::new(), event: Vec::new() }
    }

    /// Takes what arrived, and hands over the data of each whole event.
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        mut take: impl FnMut(Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        while !input.is_empty() {
            match self.stage {
                Stage::Head => {
                    let Some(head) = self.line(&mut input, b"\r\n\r\n", HEAD_BYTES)? else { return Ok(()) };
                    match status(&head)? {
                        200 if is_chunked(&head) => self.stage = Stage::Size,
                        200 => return Err(WireError::Malformed("events that are not in chunks")),
                        status => {
                            self.stage = Stage::Ended;
                            take(Incoming::Refused(status))?;
                        }
                    }
                }
                Stage::Size => {
                    let Some(line) = self.line(&mut input, b"\r\n", SIZE_BYTES)? else { return Ok(()) };
                    let size = std::str::from_utf8(&line).ok();
                    let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
                    match size.ok_or(WireError::Malformed("a chunk without a size"))? {
                        0 => {
                            self.stage = Stage::Ended;
                            take(Incoming::End(0))?;
                        }
                        size => self.stage = Stage::Chunk(size.saturating_add(2)),
                    }
                }
                Stage::Chunk(left) => {
                    let (mine, rest) = input.split_at(left.min(input.len()));
                    input = rest;
                    // The last two bytes are the chunk's line end.
                    let text = left.saturating_sub(2).min(mine.len());
                    self.event.extend_from_slice(&mine[..text]);
                    self.stage = match left - mine.len() {
                        0 => Stage::Size,
                        left => Stage::Chunk(left),
                    };
                    self.hand_over(&mut take)?;
                }
                Stage::Ended => return Ok(()),
            }
        }
        Ok(())
    }

    /// What stands before this end, once it is whole; what follows stays in `input`.
    fn line(&mut self, input: &mut &[u8], end: &[u8], limit: usize) -> Result<Option<Vec<u8>>, WireError> {
        let begun = self.partial.len();
        self.partial.extend_from_slice(input);
        let from = begun.saturating_sub(end.len() - 1);
        let found = self.partial[from..].windows(end.len()).position(|window| window == end);
        let Some(at) = found.map(|at| from + at) else {
            *input = &[];
            return if self.partial.len() > limit {
                Err(WireError::Malformed("a line that does not end"))
            } else {
                Ok(None)
            };
        };
        *input = &input[at + end.len() - begun..];
        self.partial.truncate(at);
        Ok(Some(std::mem::take(&mut self.partial)))
    }

    /// Hands over the data of the events that are whole. Comments and other fields are passed over.
    fn hand_over(
        &mut self,
        take: &mut impl FnMut(Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut rest = &self.event[..];
        while let Some(end) = rest.windows(2).position(|window| window == b"\n\n") {
            for line in rest[..end].split(|byte| *byte == b'\n') {
                if let Some(data) = line.strip_prefix(b"data: ") {
                    take(Incoming::Message(data))?;
                }
            }
            rest = &rest[end + 2..];
        }
        let taken = self.event.len() - rest.len();
        self.event.drain(..taken);
        if self.event.len() > EVENT_BYTES {
            return Err(WireError::Malformed("an event that does not end"));
        }
        Ok(())
    }
}

/// The status of an answer.
pub(super) fn status(head: &[u8]) -> Result<u16, WireError> {
    let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status
        .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok())
        .ok_or(WireError::Malformed("an answer that is not HTTP/1.1"))
}

fn is_chunked(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().any(|line| line.trim() == "transfer-encoding: chunked")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

    #[derive(Debug, PartialEq)]
    enum Seen {
        Message(String),
        End(u32),
        Refused(u16),
    }

    fn feed(stream: &mut EventStream, input: &[u8], seen: &mut Vec<Seen>) -> Result<(), WireError> {
        stream.feed(input, |incoming| {
            seen.push(match incoming {
                Incoming::Message(data) => Seen::Message(String::from_utf8(data.to_vec()).unwrap()),
                Incoming::End(code) => Seen::End(code),
                Incoming::Refused(status) => Seen::Refused(status),
            });
            Ok(())
        })
    }

    fn chunk(text: &str) -> Vec<u8> {
        format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let body = [
            chunk("retry: 1000\n\ndata: {\"a\":1}\n\n:\n\nid: x\nda"),
            chunk("ta: {\"b\":2}\n"),
            chunk("\n"),
            b"0\r\n\r\n".to_vec(),
        ]
        .concat();
        let stream = [HEAD, &body].concat();
        let expected =
            [Seen::Message("{\"a\":1}".to_owned()), Seen::Message("{\"b\":2}".to_owned()), Seen::End(0)];
        for first in 0..stream.len() - 1 {
            let (mut events, mut seen) = (EventStream::new(), Vec::new());
            for piece in [&stream[..first], &stream[first..=first], &stream[first + 1..]] {
                feed(&mut events, piece, &mut seen).unwrap();
            }
            assert_eq!(seen, expected, "cut at {first}");
        }
    }

    #[test]
    fn a_refusal_says_its_status_and_what_is_no_event_stream_is_malformed() {
        let mut seen = Vec::new();
        feed(&mut EventStream::new(), b"HTTP/1.1 401 Unauthorized\r\n\r\n{}", &mut seen).unwrap();
        assert_eq!(seen, [Seen::Refused(401)]);
        let no_size = [HEAD, b"zz\r\n"].concat();
        let endless = vec![b'x'; HEAD_BYTES + 1];
        for input in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"HTTP/2 200\r\n\r\n", &no_size, &endless] {
            let fed = feed(&mut EventStream::new(), input, &mut Vec::new());
            assert!(matches!(fed, Err(WireError::Malformed(_))));
        }
    }
}
