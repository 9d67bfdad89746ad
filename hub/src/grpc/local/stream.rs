//! One session of a front in the same process.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use carillon_proto::port::{End, FrameStream};
use carillon_proto::shortcut::Shortcut;
use carillon_proto::{Frame, WireRow};

use crate::domain::error::{ERROR_TABLE, ErrorCode};
use crate::grpc::decode;
use crate::grpc::errors::wire;
use crate::session::{Batch, Closer, Input, Output, Session};

/// A session, and what cuts it off.
pub(super) struct LocalStream {
    session: Session,
    closer: Closer,
    limit: usize,
}

impl LocalStream {
    pub(super) fn new(session: Session, closer: Closer) -> Self {
        let limit = session.frame_limit();
        Self { session, closer, limit }
    }
}

impl FrameStream for LocalStream {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        // Only polling the session's output changes this, and whoever does asks again afterwards.
        if self.session.wants_input() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn send(&mut self, request: Bytes) {
        let input = if request.len() > self.limit {
            Input::Broken(ErrorCode::MessageTooLarge.into())
        } else {
            decode::input(request, || self.session.is_held_back())
        };
        self.session.input(input);
    }

    fn refuse(&mut self, command_id: u32, answer: Frame) {
        self.session.input(Input::Unreadable(command_id, answer));
    }

    fn fail(&mut self, code: &'static WireRow) {
        let known = ERROR_TABLE.iter().find(|row| row.name == code.name);
        let code = known.map_or(ErrorCode::ProtocolError, |row| row.code);
        self.session.input(Input::Broken(code.into()));
    }

    fn finish(&mut self) {
        self.session.input(Input::Gone);
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, take: &mut dyn FnMut(Frame)) -> Poll<Option<End>> {
        let mut batch = Batch::default();
        match self.session.poll_output(cx, &mut batch) {
            Poll::Ready(Output::Frames) => {
                let (first, rest) = batch.into_parts();
                first.into_iter().chain(rest).for_each(take);
                Poll::Ready(None)
            }
            Poll::Ready(Output::End(refusal)) => Poll::Ready(Some(refusal.map(|refusal| wire(refusal.code)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn offer(&mut self, shortcut: Arc<dyn Shortcut>) {
        self.session.offer(shortcut);
    }

    fn caller_is_known(&self) -> bool {
        self.session.is_known()
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closer.is_closed(cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }
}
