//! An event stream.

use std::net::SocketAddr;

use carillon_client::v1::SessionResponse;
use carillon_client::v1::session_response::Kind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::people::PATIENCE;

/// An event stream.
pub struct Events<S = TcpStream> {
    stream: S,
    /// What came and is not read yet: after the head, chunks.
    raw: Vec<u8>,
    /// Of the chunks, what is not read yet.
    unread: String,
    /// Whether the last chunk came: the connection may stay open for another request.
    ended: bool,
    /// The last `id:`.
    pub last_id: String,
    /// The last `retry:`, milliseconds.
    pub retry_ms: u64,
}

impl Events {
    /// Opens one; an error is the status.
    pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).await.expect("the bridge listens");
        Self::open_over(stream, path, headers).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Events<S> {
    /// The same over a connection that there is.
    pub async fn open_over(mut stream: S, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        stream.write_all(format!("{text}\r\n").as_bytes()).await.expect("it is sent");
        let (raw, unread, last_id) = (Vec::new(), String::new(), String::new());
        let mut events = Self { stream, raw, unread, ended: false, last_id, retry_ms: 0 };
        let head = loop {
            if let Some(head) = events.take_until(b"\r\n\r\n") {
                break head;
            }
            events.read().await.expect("a head");
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        if status == 200 { Ok(events) } else { Err(status) }
    }

    /// Reads what comes next; `None` where the connection has ended.
    async fn read(&mut self) -> Option<()> {
        let mut bytes = vec![0; 16_384];
        let count = timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("something happens").ok()?;
        self.raw.extend_from_slice(bytes.get(..count)?);
        (count > 0).then_some(())
    }

    /// Takes all before `end`, and `end` with it.
    fn take_until(&mut self, end: &[u8]) -> Option<String> {
        let at = self.raw.windows(end.len()).position(|window| window == end)?;
        let taken: Vec<u8> = self.raw.drain(..at + end.len()).collect();
        taken.get(..at).map(|taken| String::from_utf8_lossy(taken).into_owned())
    }

    /// Reads another chunk; `None` at the end, be it that of the stream or of the connection.
    async fn read_chunk(&mut self) -> Option<()> {
        let length = loop {
            if let Some(length) = self.take_until(b"\r\n") {
                break usize::from_str_radix(&length, 16).expect("the length of a chunk");
            }
            self.read().await?;
        };
        while self.raw.len() < length + 2 {
            self.read().await?;
        }
        let chunk: Vec<u8> = self.raw.drain(..length + 2).collect();
        self.unread.push_str(&String::from_utf8_lossy(chunk.get(..length)?));
        self.ended = length == 0;
        (!self.ended).then_some(())
    }

    /// The next event's data; `None` at the end.
    pub async fn next(&mut self) -> Option<SessionResponse> {
        loop {
            while let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = event.to_owned();
                self.unread = rest.to_string();
                for line in event.lines() {
                    if let Some(id) = line.strip_prefix("id: ") {
                        id.clone_into(&mut self.last_id);
                    }
                    if let Some(retry) = line.strip_prefix("retry: ") {
                        self.retry_ms = retry.parse().expect("milliseconds");
                    }
                    if let Some(data) = line.strip_prefix("data: ") {
                        return Some(serde_json::from_str(data).expect("a response"));
                    }
                }
            }
            if self.ended {
                return None;
            }
            self.read_chunk().await?;
        }
    }

    /// The text of the next message.
    pub async fn hears(&mut self) -> String {
        loop {
            let response = self.next().await.expect("the stream goes on");
            if let Some(Kind::Message(message)) = response.kind {
                return crate::words(&message).to_owned();
            }
        }
    }
}
