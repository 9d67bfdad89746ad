//! A browser's connection whose patience ends: where nothing of what is to be written is taken for too long, it breaks.
//! HTTP has no other end for one who asks and does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use carillon_net::Stream;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// A connection with a limit on how long a write may wait, and on how long the other side's system may acknowledge
/// nothing of what was written: who is gone without a word takes small writes for a quarter of an hour.
pub(crate) struct Patient {
    stream: Stream,
    limit: Duration,
    /// Since a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    pub(crate) fn new(stream: Stream, limit: Duration) -> Self {
        // Elsewhere the limit on writes alone must do.
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(stream.socket()).set_tcp_user_timeout(Some(limit)) {
            tracing::debug!(%error, "a connection has no limit on what is not acknowledged");
        }
        Self { stream, limit, waiting: None }
    }

    /// The socket, where what is written to it goes out as it is.
    pub(crate) fn plain(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Plain(socket) => Some(socket),
            Stream::Tls(_) => None,
        }
    }

    /// What came of a write, or its end where it has waited for too long.
    fn patiently<T>(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.waiting = None;
            return tried;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patiently(cx, tried)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Within TLS what was written may still wait here.
        let tried = Pin::new(&mut self.stream).poll_flush(cx);
        self.patiently(cx, tried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Within TLS an end is something to be written.
        let tried = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.patiently(cx, tried)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_not_acknowledged_has_a_limit() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let limit = Duration::from_secs(60);
        let patient = Patient::new(Stream::Plain(listener.accept().await.unwrap().0), limit);
        assert_eq!(SockRef::from(patient.stream.socket()).tcp_user_timeout().unwrap(), Some(limit));
    }
}
