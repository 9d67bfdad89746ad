//! What the caller sees when sessions break, resume and end: each test plays the hub.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod harness;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use carillon_client::{
    Client, ClientOptions, Code, CommandError, ConnectError, Event, Events, TokenReason, v1,
};
use futures::StreamExt;
use harness::{Hub, Peer, at, disconnected, joined};
use tokio::join;
use v1::session_request::Command;
use v1::session_response::Kind;

const ROOM: &str = "conversation:1";

/// A client and its first session.
async fn open(hub: &mut Hub, set: impl FnOnce(ClientOptions) -> ClientOptions) -> (Client, Events, Peer) {
    let options = set(hub.options());
    let (opened, (peer, _)) = join!(Client::connect(options), hub.opens());
    let (client, events) = opened.unwrap();
    (client, events, peer)
}

/// The same, with one room joined, whose log has this head.
async fn open_in_room(hub: &mut Hub, head: u64) -> (Client, Events, Peer) {
    let (client, events, mut peer) = open(hub, |options| options).await;
    let (joined, _) = join!(client.join(ROOM), peer.accepts_join(head));
    assert_eq!(joined.unwrap().position, Some(at(head)));
    (client, events, peer)
}

/// The seqs of the next entries; other events are passed over.
async fn seqs(events: &mut Events, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let event = events.next().await.expect("the events ended");
        seqs.extend(event.entry().map(|(_, header)| header.seq));
    }
    seqs
}

async fn until(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.next().await.expect("the events ended");
        if wanted(&event) {
            return event;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn entries_come_once_and_in_order_over_a_broken_connection() {
    let mut hub = Hub::start();
    let (_client, mut events, mut peer) = open_in_room(&mut hub, 4).await;
    peer.message(ROOM, 5).await;
    peer.message(ROOM, 6).await;
    peer.message(ROOM, 6).await;
    drop(peer);

    let (mut peer, hello) = hub.opens().await;
    let resumed = &hello.resume.unwrap().rooms[0];
    assert_eq!((resumed.room.as_str(), resumed.position, resumed.presence), (ROOM, Some(at(6)), true));
    peer.push(joined(ROOM, 8)).await;
    for seq in [6, 7, 8, 9] {
        peer.message(ROOM, seq).await;
    }
    assert_eq!(seqs(&mut events, 5).await, [5, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn unanswered_command_is_sent_again_with_its_key_and_completes_once() {
    let mut hub = Hub::start();
    let (client, mut events, mut peer) = open_in_room(&mut hub, 4).await;
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(ROOM, "hello").await }
    });
    let first = peer.next().await;
    assert_eq!(first.idempotency_key.len(), 16);
    peer.fail(tonic::Status::unavailable("the node died")).await;

    let (mut peer, _) = hub.opens().await;
    let again = peer.next().await;
    assert_eq!((again.idempotency_key, &again.command), (first.idempotency_key, &first.command));
    let sent = v1::MessageSent { position: Some(at(5)), duplicate: true, ..Default::default() };
    peer.send(again.command_id, Kind::MessageSent(sent)).await;
    assert_eq!(sending.await.unwrap().unwrap(), sent);
    let lost = until(&mut events, |event| matches!(event, Event::Disconnected(_))).await;
    assert!(
        matches!(lost, Event::Disconnected(how) if how.will_reconnect() && how.code == Some(Code::Unavailable))
    );
}

#[tokio::test(start_paused = true)]
async fn callers_key_is_the_one_that_is_sent() {
    let mut hub = Hub::start();
    let (client, _events, mut peer) = open(&mut hub, |options| options).await;
    let keyed = client.with_key("my-own-key");
    let (sent, ()) = join!(keyed.send(ROOM, "hello"), async {
        let request = peer.next().await;
        assert_eq!(request.idempotency_key, "my-own-key");
        peer.send(request.command_id, Kind::MessageSent(v1::MessageSent::default())).await;
    });
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn new_session_is_told_the_presence_and_the_watched_users() {
    let mut hub = Hub::start();
    let (client, _events, mut peer) = open(&mut hub, |options| options).await;
    let answer = async |peer: &mut Peer| {
        let request = peer.next().await;
        peer.send(request.command_id, Kind::Done(v1::Done {})).await;
        request.command.unwrap()
    };
    let (set, busy) = join!(client.presence_set(v1::PresenceStatus::Busy, "in class"), answer(&mut peer));
    let (watched, watch) = join!(client.presence_watch(vec!["bob".to_owned()]), answer(&mut peer));
    set.and(watched).unwrap();
    drop(peer);
    let (mut peer, _) = hub.opens().await;
    assert_eq!(peer.next().await.command, Some(busy));
    assert_eq!(peer.next().await.command, Some(watch));
}

#[tokio::test(start_paused = true)]
async fn refused_presence_does_not_take_the_place_of_the_good_one() {
    let mut hub = Hub::start();
    let (client, _events, mut peer) = open(&mut hub, |options| options).await;
    let answer = async |peer: &mut Peer, kind: Kind| {
        let request = peer.next().await;
        peer.send(request.command_id, kind).await;
        request.command.unwrap()
    };
    let refusal = || Kind::Error(v1::Error { code: "INVALID_ARGUMENT".to_owned(), ..Default::default() });
    let done = || Kind::Done(v1::Done {});
    let busy = v1::PresenceStatus::Busy;
    let (set, good) = join!(client.presence_set(busy, "in class"), answer(&mut peer, done()));
    let (long, _) = join!(client.presence_set(busy, "x".repeat(1_000)), answer(&mut peer, refusal()));
    let (watched, watch) = join!(client.presence_watch(vec!["bob".to_owned()]), answer(&mut peer, done()));
    let (many, _) = join!(client.presence_watch(vec![String::new()]), answer(&mut peer, refusal()));
    assert!(set.is_ok() && long.is_err() && watched.is_ok() && many.is_err());
    drop(peer);
    let (mut peer, _) = hub.opens().await;
    assert_eq!([peer.next().await.command, peer.next().await.command], [Some(good), Some(watch)]);
}

#[tokio::test(start_paused = true)]
async fn commands_end_with_the_client_though_nobody_reads_its_events() {
    let mut hub = Hub::start();
    let (client, mut events, mut peer) = open(&mut hub, |options| options.event_capacity(1)).await;
    let under_way = tokio::spawn({
        let client = client.clone();
        async move { client.ping().await }
    });
    peer.next().await;
    // `connected` fills the channel, so that the end waits for its reader.
    peer.push(disconnected("SESSION_REPLACED", false)).await;
    assert!(matches!(under_way.await.unwrap(), Err(CommandError::Ended(_))));
    assert!(matches!(client.ping().await, Err(CommandError::Ended(_))));
    until(&mut events, |event| matches!(event, Event::Disconnected(how) if !how.will_reconnect())).await;
}

#[tokio::test(start_paused = true)]
async fn session_that_must_not_come_back_ends_the_client() {
    let mut hub = Hub::start();
    let (client, mut events, mut peer) = open(&mut hub, |options| options).await;
    peer.push(disconnected("SESSION_REPLACED", false)).await;
    let end = until(&mut events, |event| matches!(event, Event::Disconnected(_))).await;
    assert!(
        matches!(end, Event::Disconnected(how) if how.code == Some(Code::SessionReplaced) && !how.will_reconnect())
    );
    assert_eq!(events.next().await, None);
    assert!(matches!(client.ping().await, Err(CommandError::Ended(_))));
}

#[tokio::test(start_paused = true)]
async fn refused_first_session_is_an_error() {
    let mut hub = Hub::start();
    let (opened, ()) = join!(Client::connect(hub.options()), async {
        let mut peer = hub.session().await;
        peer.hello().await;
        peer.push(disconnected("INVALID_TOKEN", false)).await;
    });
    assert!(matches!(opened, Err(ConnectError::Refused(refusal)) if refusal.code == Code::InvalidToken));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_asked_for_when_they_expire() {
    let mut hub = Hub::start();
    let asked = AtomicU32::new(0);
    let provider = move |reason: TokenReason| {
        let count = asked.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(format!("{reason:?}-{count}")))
    };
    let (_client, _events, mut peer) = open(&mut hub, |options| options.token_provider(provider)).await;
    peer.push(Kind::TokenExpiring(v1::TokenExpiring::default())).await;
    let refresh = peer.next().await.command.unwrap();
    assert_eq!(refresh, Command::RefreshToken(v1::RefreshToken { token: "Expiring-1".to_owned() }));
    peer.push(disconnected("TOKEN_EXPIRED", true)).await;
    let (_peer, hello) = hub.opens().await;
    assert_eq!(hello.token, "Expired-2");
}

#[tokio::test(start_paused = true)]
async fn fixed_token_that_expired_ends_the_client() {
    let mut hub = Hub::start();
    let (_client, mut events, mut peer) = open(&mut hub, |options| options).await;
    peer.push(disconnected("TOKEN_EXPIRED", true)).await;
    while events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn caller_that_does_not_read_stops_the_stream_and_loses_nothing() {
    let mut hub = Hub::start();
    let (client, mut events, mut peer) = open(&mut hub, |options| options.event_capacity(1)).await;
    // `connected` fills the channel, `joined` waits: the reply still comes, for it was read.
    let (joined, _) = join!(client.join(ROOM), peer.accepts_join(0));
    joined.unwrap();
    let outbound = peer.outbound();
    let mut pushing = tokio::spawn(async move {
        for seq in 1..=20_000 {
            let frame = v1::SessionResponse { command_id: 0, kind: Some(harness::message(ROOM, seq)) };
            outbound.send(Ok(frame)).await.unwrap();
        }
    });
    // Time passes only when nothing can move: the hub's side is stuck in the windows, far from the end.
    let pushed = tokio::time::timeout(Duration::from_mins(5), &mut pushing).await;
    assert!(pushed.is_err(), "all was read");
    assert!(client.positions().rooms.is_empty());

    assert_eq!(seqs(&mut events, 10).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(client.positions().rooms[ROOM].position, Some(at(10)));
    assert!(seqs(&mut events, 19_990).await.into_iter().eq(11..=20_000));
    pushing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn caller_that_wants_no_events_still_commands_and_has_positions() {
    let mut hub = Hub::start();
    let (client, events, mut peer) = open_in_room(&mut hub, 4).await;
    drop(events);
    for seq in 5..1_000 {
        peer.message(ROOM, seq).await;
    }
    let (pong, ()) = join!(client.ping(), async {
        let ping = peer.next().await;
        peer.send(ping.command_id, Kind::Pong(v1::Pong::default())).await;
    });
    pong.unwrap();
    assert_eq!(client.positions().rooms[ROOM].position, Some(at(999)));
}

#[tokio::test(start_paused = true)]
async fn stored_positions_are_resumed_by_another_process() {
    let mut hub = Hub::start();
    let (client, mut events, mut peer) = open_in_room(&mut hub, 4).await;
    peer.message(ROOM, 5).await;
    peer.message(ROOM, 6).await;
    assert_eq!(seqs(&mut events, 1).await, [5]);
    let positions = client.positions();
    drop((client, events));

    let options = hub.options().resume(positions);
    let (opened, (_peer, hello)) = join!(Client::connect(options), hub.opens());
    opened.unwrap();
    let resume = hello.resume.unwrap();
    assert_eq!(resume.rooms[0].position, Some(at(5)));
    assert_eq!(resume.inbox, Some(v1::InboxPosition { own: 0, broadcast: 0, epoch: 1 }));
}

#[tokio::test(start_paused = true)]
async fn silent_hub_is_left_and_pings_are_answered() {
    let mut hub = Hub::start();
    let (_client, mut events, mut peer) = open(&mut hub, |options| options).await;
    peer.push(Kind::Ping(v1::Ping {})).await;
    assert!(matches!(peer.next().await.command, Some(Command::Pong(_))));
    let start = tokio::time::Instant::now();
    until(&mut events, |event| matches!(event, Event::Disconnected(_))).await;
    assert_eq!(start.elapsed().as_secs(), 60);
    hub.opens().await;
}

#[tokio::test(start_paused = true)]
async fn truncated_room_is_told_and_carries_on_from_its_head() {
    let mut hub = Hub::start();
    let (_client, mut events, peer) = open_in_room(&mut hub, 4).await;
    drop(peer);
    let (mut peer, _) = hub.opens().await;
    let cut =
        v1::Joined { room: ROOM.to_owned(), position: Some(at(90)), truncated: true, ..Default::default() };
    peer.push(Kind::Joined(cut)).await;
    peer.message(ROOM, 91).await;
    until(&mut events, |event| matches!(event, Event::Truncated { room } if room == ROOM)).await;
    assert_eq!(seqs(&mut events, 1).await, [91]);
}

#[tokio::test(start_paused = true)]
async fn hub_that_goes_away_is_kept_to_its_end_and_given_the_time_it_asks_for() {
    let mut hub = Hub::start();
    let (_client, mut events, mut peer) = open_in_room(&mut hub, 4).await;
    peer.push(Kind::GoingAway(v1::GoingAway { reconnect_after_ms: 30_000 })).await;
    peer.message(ROOM, 5).await;
    assert_eq!(seqs(&mut events, 1).await, [5]);
    peer.push(disconnected("GOING_AWAY", true)).await;
    let start = tokio::time::Instant::now();
    hub.opens().await;
    assert!((30..=32).contains(&start.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_64_commands_are_in_flight_and_one_without_answer_times_out() {
    let mut hub = Hub::start();
    let (client, _events, mut peer) = open(&mut hub, |options| options).await;
    let pings: Vec<_> = (0..70)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.ping().await })
        })
        .collect();
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(peer.next().await.command_id);
    }
    let more = tokio::time::timeout(Duration::from_secs(1), peer.next()).await;
    assert!(more.is_err(), "a 65th command was sent");
    for id in ids {
        peer.send(id, Kind::Pong(v1::Pong::default())).await;
    }
    let outcomes = futures::future::join_all(pings).await;
    let answered = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Ok(_)))).count();
    let late = outcomes.iter().filter(|o| matches!(o, Ok(Err(CommandError::TimedOut(_))))).count();
    assert_eq!((answered, late), (64, 6));
}

#[tokio::test(start_paused = true)]
async fn last_handle_says_goodbye() {
    let mut hub = Hub::start();
    let (client, events, mut peer) = open(&mut hub, |options| options).await;
    drop(client);
    drop(events);
    assert!(matches!(peer.next().await.command, Some(Command::Goodbye(_))));
    assert!(peer.ended().await);
}

#[tokio::test(start_paused = true)]
async fn pipelined_commands_leave_in_the_order_in_which_they_were_made() {
    let mut hub = Hub::start();
    let (client, _events, mut peer) = open(&mut hub, |options| options).await;
    let answering = tokio::spawn(async move {
        let mut texts = Vec::new();
        let mut ids = Vec::new();
        while texts.len() < 500 {
            let request = peer.next().await;
            let Some(Command::MessageSend(send)) = request.command else { panic!("no message") };
            texts.push(send.reply_to.unwrap());
            ids.push(request.command_id);
            // In bursts, as a store answers that commits in groups.
            if ids.len() == 32 || texts.len() > 460 {
                for id in ids.drain(..) {
                    peer.send(id, Kind::MessageSent(v1::MessageSent::default())).await;
                }
            }
        }
        texts
    });
    let numbered = |number| v1::MessageSend { reply_to: Some(number), ..Default::default() };
    let sends = futures::stream::iter(0..500).map(|number| client.send_message(numbered(number)));
    let sent: Vec<_> = sends.buffered(100).collect().await;
    assert!(sent.iter().all(Result::is_ok));
    assert!(answering.await.unwrap().into_iter().eq(0..500));
}
