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
    unread: String,
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
        let mut events = Self { stream, unread: String::new(), last_id: String::new(), retry_ms: 0 };
        while !events.unread.contains("\r\n\r\n") {
            events.read().await.expect("a head");
        }
        let (head, rest) = events.unread.split_once("\r\n\r\n").expect("it is there");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        events.unread = rest.to_string();
        if status == 200 { Ok(events) } else { Err(status) }
    }

    async fn read(&mut self) -> Option<()> {
        let mut bytes = vec![0; 16_384];
        let count = timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("something happens").ok()?;
        self.unread.push_str(&String::from_utf8_lossy(bytes.get(..count)?));
        (count > 0).then_some(())
    }

    /// The next event's data; `None` at the end.
    pub async fn next(&mut self) -> Option<SessionResponse> {
        loop {
            while let Some((event, rest)) = self.unread.split_once("\n\n") {
                // Chunks' lengths stand between events, on lines of their own.
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
            self.read().await?;
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
