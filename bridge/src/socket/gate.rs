//! The stream under a WebSocket, shared by two writers: tungstenite, which answers pings and closes, and the bridge, which
//! writes ready frames past it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fragments::Fragments;
use super::line::Line;

/// What is read of a socket that was closed, bytes: more than may have been on the way. Whoever sends on for longer than that is
/// cut off, for to read it costs as much as before.
const FAREWELL_BYTES: usize = 1 << 20;

/// A stream that tungstenite may not write to while a frame of the bridge's is half written.
pub(super) struct Gate {
    line: Arc<Line>,
    /// Whether the bridge is in the middle of a frame.
    pub(super) shut: bool,
    /// What was read that tungstenite says nothing of.
    pub(super) fragments: Fragments,
    /// What was read and forgotten.
    drained: usize,
}

impl Gate {
    /// Around `line`, of which `early` was read already.
    pub(super) fn new(line: Arc<Line>, early: &[u8]) -> Self {
        let mut fragments = Fragments::default();
        fragments.take(early);
        Self { line, shut: false, fragments, drained: 0 }
    }

    /// The connection.
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Writes for the bridge.
    pub(super) fn poll_write_past(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.line.poll(|stream| stream.poll_write(cx, bytes))
    }

    /// Until what the bridge wrote has left: within TLS it may wait to be taken.
    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.poll(|stream| stream.poll_flush(cx))
    }

    /// Reads and forgets, until the other side has ended, or has sent [`FAREWELL_BYTES`]. What is left unread would make the system cut the connection,
    /// and the last words with it.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 2_048];
        while self.drained < FAREWELL_BYTES {
            let mut buffer = ReadBuf::new(&mut bytes);
            match self.line.poll(|stream| stream.poll_read(cx, &mut buffer)) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.drained += buffer.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.poll(|stream| stream.poll_shutdown(cx))
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.line.poll(|stream| stream.poll_read(cx, buf));
        self.fragments.take(buf.filled().get(before..).unwrap_or_default());
        read
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.shut {
            // Whoever finishes the frame polls this again.
            return Poll::Pending;
        }
        self.line.poll(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.poll(|stream| stream.poll_shutdown(cx))
    }
}
