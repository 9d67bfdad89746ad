//! The socket as HTTP/2 sees it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use carillon_net::Stream;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

#[cfg(target_os = "linux")]
use crate::domain::limits::TCP_USER_TIMEOUT;
use crate::domain::time::Moment;
use crate::session::Closer;

use super::frames::FrameMeter;

/// A socket without vectored writes. h2 then copies frames of up to 1 KiB into its buffer and writes all that waits at
/// once; with vectored writes it does so up to 256 bytes only, and pays a system call for each larger frame, which is
/// what chat messages are.
///
/// A session may close it; see [`Closer`]. Writing ends then too: where the client reads nothing at all, HTTP/2 waits for
/// the socket to take more, and would never read again. It also closes by itself where nobody whom the hub knows uses it in time:
/// without a call there is nobody else who could.
pub(super) struct Socket {
    stream: Stream,
    closer: Closer,
    deadline: Option<Pin<Box<Sleep>>>,
    frames: FrameMeter,
}

impl Socket {
    /// A connection, prepared by [`prepare`], that must be used until `deadline`; `closer` closes it before.
    pub(super) fn new(stream: Stream, deadline: Instant, closer: Closer) -> Self {
        let deadline = Some(Box::pin(tokio::time::sleep_until(deadline)));
        Self { stream, closer, deadline, frames: FrameMeter::default() }
    }

    /// What closes it from outside.
    pub(super) fn closer(&self) -> Closer {
        self.closer.clone()
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

    /// What is written to a connection that is to be closed goes nowhere.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_over(cx) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// Sets what a connection needs from its first byte on.
pub(super) fn prepare(socket: &TcpStream) {
    // Without it a small write waits for the acknowledgement of the one before.
    let _ = socket.set_nodelay(true);
    // Elsewhere the closer alone must do.
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(socket).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
        tracing::debug!(%error, "a connection has no limit on what is not acknowledged");
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
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if let Err(flood) = self.frames.take(bytes, Moment::now()) {
            tracing::debug!(%flood, "a connection is ended");
            self.closer.close();
            return Poll::Ready(Err(io::Error::other(flood)));
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A socket that was accepted, and its client.
    async fn pair(limit: Duration) -> (Socket, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = listener.accept().await.unwrap().0;
        prepare(&socket);
        (Socket::new(Stream::Plain(socket), Instant::now() + limit, Closer::default()), client)
    }

    #[tokio::test]
    async fn writing_to_who_does_not_read_ends_with_the_connection() {
        let (mut socket, _client) = pair(Duration::from_secs(60)).await;
        let closer = socket.closer.clone();
        let writing = tokio::spawn(async move {
            let bytes = vec![0; 65_536];
            while socket.write(&bytes).await.is_ok() {}
            socket
        });
        // The system takes some for the client; when it takes no more, only the closer can move the writer. The test's
        // runtime has one thread, so that the writer has got as far when the test is asked again.
        tokio::task::yield_now().await;
        closer.close();
        let mut socket = tokio::time::timeout(Duration::from_secs(10), writing).await.unwrap().unwrap();
        assert_eq!(socket.flush().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(socket.shutdown().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(socket.read(&mut [0]).await.unwrap(), 0, "as if the client had gone");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_not_acknowledged_has_a_limit() {
        let (socket, _client) = pair(Duration::from_secs(60)).await;
        let limit = SockRef::from(socket.stream.socket()).tcp_user_timeout().unwrap();
        assert_eq!(limit, Some(TCP_USER_TIMEOUT));
    }
}
