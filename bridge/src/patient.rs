//! A browser's connection whose patience ends: where nothing of what is to be written is taken for too long, it breaks.
//! HTTP has no other end for one who asks and does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use carillon_net::Stream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Whoever writes to a connection that is gone is told, and not killed.
#[cfg(target_os = "linux")]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const NO_SIGNAL: i32 = 0;

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

    /// Writes what can be written at once, without a task that waits for the rest: how much was taken, and whether it has left.
    /// Whoever polls this next finds out why it has not.
    pub(crate) fn write_now(&mut self, bytes: &[u8]) -> (usize, bool) {
        match &mut self.stream {
            // Not by way of the runtime, which keeps what it knows of the socket elsewhere in memory.
            Stream::Plain(socket) => {
                let sent = SockRef::from(&*socket).send_with_flags(bytes, NO_SIGNAL).unwrap_or(0);
                (sent, sent == bytes.len())
            }
            Stream::Tls(stream) => {
                let (mut stream, mut cx) = (Pin::new(&mut **stream), Context::from_waker(Waker::noop()));
                let mut taken = 0;
                while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
                    match stream.as_mut().poll_write(&mut cx, rest) {
                        Poll::Ready(Ok(count)) if count > 0 => taken += count,
                        // Nobody says how much was taken before that: whoever goes on finds the error.
                        Poll::Ready(_) => return (bytes.len(), false),
                        Poll::Pending => break,
                    }
                }
                let has_left =
                    taken == bytes.len() && matches!(stream.poll_flush(&mut cx), Poll::Ready(Ok(())));
                (taken, has_left)
            }
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

#[cfg(test)]
impl Patient {
    /// The socket under it.
    pub(crate) fn socket(&self) -> &tokio::net::TcpStream {
        self.stream.socket()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::{TcpListener, TcpStream};

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
