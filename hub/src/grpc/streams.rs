//! Streams of HTTP/2 that can be broken off from outside. Each runs as a task of its own; what is called in it learns
//! what ends it. Ending the task resets the stream, and frees what the client does not take.

use std::future::Future;

use futures::future::{AbortHandle, Abortable};
use http::Extensions;
use hyper::rt::Executor;

use crate::session::Closer;

tokio::task_local! {
    /// What breaks off the stream whose task this is.
    static STREAM: AbortHandle;
}

/// Runs each stream of a connection as a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let (handle, registration) = AbortHandle::new_pair();
        tokio::spawn(STREAM.scope(handle, Abortable::new(stream, registration)));
    }
}

/// What ends the call that bears these extensions: its stream, as far as this is the stream's task, or its connection.
pub(super) fn closer(extensions: &Extensions) -> Closer {
    let connection = extensions.get::<Closer>().cloned().unwrap_or_default();
    connection.of_stream(STREAM.try_get().ok())
}
