//! Everybody comes back at once, as after a restart.

use std::time::Duration;

use carillon_client::v1::hub_service_client::HubServiceClient;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, JoinReason};
use carillon_tests::wire::{greeting, request};
use carillon_tests::{TestHub, hub};
use futures::future::join_all;
use tonic::transport::{Channel, Endpoint};

/// More than the store takes at a time.
const SESSIONS: usize = 1_500;
const ROOMS: usize = 6;
/// Sessions that share a connection.
const SHARE: usize = 50;

/// A session that resumes all rooms, until it is joined to each; it is ended by nobody.
async fn resumes(hub: &TestHub, channel: Channel, number: usize) {
    let rooms = (0..ROOMS).map(|n| v1::RoomPosition { room: format!("room:{n}"), ..Default::default() });
    let resume = Some(v1::Resume { rooms: rooms.collect(), inbox: None });
    let hello = v1::Hello { token: hub.token(&format!("user-{number}")), resume, ..greeting() };
    // The stream goes on for as long as somebody may send.
    let (requests, sent) = futures::channel::mpsc::unbounded();
    requests.unbounded_send(request(1, Command::Hello(hello))).unwrap();
    let mut frames = HubServiceClient::new(channel).session(sent).await.unwrap().into_inner();
    let mut joined = 0;
    while joined < ROOMS {
        match frames.message().await.unwrap().expect("the session goes on").kind {
            Some(Kind::Joined(room)) => joined += usize::from(room.reason() == JoinReason::Resumed),
            Some(Kind::Disconnected(ended)) => panic!("session {number} ended: {ended:?}"),
            Some(Kind::Error(error)) => panic!("session {number}: {error:?}"),
            _ => {}
        }
    }
    drop(requests);
}

#[tokio::test]
async fn all_who_come_back_at_once_are_let_in_and_resume_all_their_rooms() {
    let patient = |config: &mut carillon_hub::config::Config| {
        config.session.hello_timeout = Duration::from_mins(2);
    };
    let hub = hub().with(patient).start().await;
    let connections = join_all(
        (0..SESSIONS.div_ceil(SHARE))
            .map(|_| async { Endpoint::from_shared(hub.url()).unwrap().connect().await.unwrap() }),
    );
    let channels = connections.await;
    join_all((0..SESSIONS).map(|number| resumes(&hub, channels[number / SHARE].clone(), number))).await;
}
