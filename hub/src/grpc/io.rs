//! The socket as HTTP/2 sees it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::session::Closer;

/// A socket without vectored writes. h2 then copies frames of up to 1 KiB into its buffer and writes all that waits at
/// once; with vectored writes it does so up to 256 bytes only, and pays a system call for each larger frame, which is
/// what chat messages are.
///
/// A session may close it; see [`Closer`]. It also closes by itself where nobody whom the hub knows uses it in time:
/// without a call there is nobody else who could.
pub(super) struct Socket {
    stream: TcpStream,
    closer: Closer,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// A connection that was accepted now, and must be used within `limit`.
    pub(super) fn new(stream: TcpStream, limit: Duration) -> Self {
        let deadline = Some(Box::pin(tokio::time::sleep(limit)));
        Self { stream, closer: Closer::default(), deadline }
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(deadline) = &mut self.deadline {
            if self.closer.is_settled() {
                self.deadline = None;
            } else if deadline.as_mut().poll(cx).is_ready() {
                self.closer.close();
            }
        }
        self.closer.is_closed(cx.waker())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            // As if the client had gone.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Socket {
    type ConnectInfo = Closer;

    fn connect_info(&self) -> Closer {
        self.closer.clone()
    }
}
