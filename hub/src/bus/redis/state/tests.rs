//! What a server brings counts while its connection is the present one, and no longer.

use futures::FutureExt;

use super::*;
use crate::bus::events::{Events, queue};

fn server() -> Address {
    Address { host: "a".into(), port: 1 }
}

fn channel() -> Channel {
    Arc::from(&b"carillon:{64}:hub/c"[..])
}

/// A server that is connected and hears the one channel that is wanted; its connection's number.
fn heard(limit: usize) -> (State, Events, u64) {
    let (into, events) = queue(limit);
    let mut state = State::new(into, 1_000);
    state.arrange(Topology::single(server()));
    state.want(&channel(), Topic::Hub, oneshot::channel().0);
    let connection = state.connected(&server());
    state.heard(&server(), connection, &channel());
    (state, events, connection)
}

fn taken(events: &mut Events) -> Vec<Event> {
    let mut into = Vec::new();
    let _ = events.take(&mut into).now_or_never();
    into
}

#[test]
fn nothing_comes_of_a_connection_that_brought_too_much() {
    let (mut state, mut events, connection) = heard(1_000);
    let message = || Bytes::from(vec![0; 600]);
    assert!(state.message(&server(), connection, &channel(), message()));
    assert!(!state.message(&server(), connection, &channel(), message()), "it finds no room");
    let told = taken(&mut events);
    assert!(matches!(told[..], [Event::Brings(_), Event::Message(..), Event::Lost(_)]), "{told:?}");
    // There is room again, but what came in between was left out.
    assert!(state.message(&server(), connection, &channel(), message()));
    assert_eq!(taken(&mut events), []);
    let next = state.connected(&server());
    state.heard(&server(), next, &channel());
    assert!(state.message(&server(), next, &channel(), message()));
    assert!(matches!(taken(&mut events)[..], [Event::Brings(_), Event::Message(..)]));
}

#[test]
fn a_channel_that_a_server_gives_up_by_itself_is_missed() {
    let (mut state, _events, connection) = heard(1_000);
    assert!(state.is_missed(&server(), connection, &channel()));
    assert!(!state.is_missed(&server(), connection + 1, &channel()), "of another connection");
    state.release(&channel());
    assert!(!state.is_missed(&server(), connection, &channel()), "nobody wants it");
    state.want(&channel(), Topic::Hub, oneshot::channel().0);
    assert!(!state.is_missed(&server(), connection, &channel()), "it is what was asked for before");
}
