//! The connection under a WebSocket: its task reads and writes it, and while that rests the hub writes past it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use carillon_proto::shortcut::{Shortcut, Written};
use carillon_proto::{Frame, WebSocketForm};
use parking_lot::Mutex;

use crate::patient::Patient;

/// A connection that a task and its hub share.
pub(super) struct Line(Mutex<Inner>);

struct Inner {
    /// Whether the task has written all that it had, and is in the middle of nothing.
    rests: bool,
    form: WebSocketForm,
    /// `None` once the task is gone: nobody else keeps the connection open.
    stream: Option<Patient>,
    begun: Option<Begun>,
}

/// A frame that was written in part, past the task.
pub(super) struct Begun {
    /// Which.
    pub(super) frame: Frame,
    /// Bytes of it that were taken; within TLS all of them, at times, and some have not left.
    pub(super) written: usize,
}

impl Line {
    /// Over `stream`, for frames of this form. Nobody rests yet.
    pub(super) fn new(stream: Patient, form: WebSocketForm) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { rests: false, form, stream: Some(stream), begun: None })))
    }

    /// Reads or writes, for the task.
    pub(super) fn poll<T>(
        &self,
        poll: impl FnOnce(Pin<&mut Patient>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.0.lock().stream {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// The task has written all that it had, and is about to wait.
    pub(super) fn rests(&self) {
        self.0.lock().rests = true;
    }

    /// The task goes on. What was begun past it is for it to finish, before anything else.
    pub(super) fn goes_on(&self) -> Option<Begun> {
        let mut inner = self.0.lock();
        inner.rests = false;
        inner.begun.take()
    }

    /// The task ends, and the connection with it.
    pub(super) fn ends(&self) {
        let mut inner = self.0.lock();
        inner.rests = false;
        let left = (inner.stream.take(), inner.begun.take());
        drop(inner);
        drop(left);
    }
}

impl Shortcut for Line {
    fn write(&self, frame: &Frame) -> Written {
        let mut inner = self.0.lock();
        let Inner { rests, form, stream, begun } = &mut *inner;
        let Some(stream) = stream.as_mut().filter(|_| *rests) else { return Written::Nothing };
        let bytes = frame.web_socket(*form);
        let (taken, has_left) = stream.write_now(bytes);
        if has_left {
            return Written::All;
        }
        *rests = false;
        if taken == 0 {
            return Written::Nothing;
        }
        *begun = Some(Begun { frame: frame.clone(), written: taken });
        Written::Begun
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use carillon_net::Stream;
    use tokio::io::{AsyncReadExt, AsyncWrite};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const FORM: WebSocketForm = WebSocketForm::Binary;

    async fn line() -> (Arc<Line>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = Stream::Plain(listener.accept().await.unwrap().0);
        (Line::new(Patient::new(server, Duration::from_secs(60)), FORM), client)
    }

    #[tokio::test]
    async fn nothing_is_written_past_a_task_that_does_not_rest() {
        let (line, mut client) = line().await;
        let frame = Frame::from_message(b"hello");
        assert_eq!(line.write(&frame), Written::Nothing);
        line.rests();
        assert_eq!(line.write(&frame), Written::All);
        assert!(line.goes_on().is_none(), "nothing is left to do");
        assert_eq!(line.write(&frame), Written::Nothing);
        line.rests();
        line.ends();
        assert_eq!(line.write(&frame), Written::Nothing);
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, frame.web_socket(FORM).as_ref(), "once, and the connection has ended");
    }

    #[tokio::test]
    async fn what_a_full_connection_takes_of_a_frame_is_for_the_task_to_finish() {
        let (line, mut client) = line().await;
        // More than both sides' buffers.
        let frame = Frame::from_message(&vec![7; 64 << 20]);
        let bytes = frame.web_socket(FORM).clone();
        line.rests();
        assert_eq!(line.write(&frame), Written::Begun);
        assert_eq!(line.write(&frame), Written::Nothing, "the first is not whole");
        let mut begun = line.goes_on().unwrap();
        let reads = async {
            let mut read = vec![0; bytes.len()];
            client.read_exact(&mut read).await.unwrap();
            assert!(read == bytes);
        };
        let finishes = std::future::poll_fn(|cx| {
            while begun.written < bytes.len() {
                let rest = &bytes[begun.written..];
                match line.poll(|stream| stream.poll_write(cx, rest)) {
                    Poll::Ready(written) => begun.written += written.unwrap(),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        });
        tokio::join!(reads, finishes);
        line.rests();
        assert_eq!(line.write(&Frame::from_message(b"next")), Written::All);
    }
}
