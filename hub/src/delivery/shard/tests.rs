use carillon_proto::shortcut::{Shortcut, Written};
use carillon_proto::v1;
use proptest::prelude::*;

use super::*;
use crate::delivery::follower::Follower;
use crate::delivery::mailbox::Signal;
use crate::domain::member::Role;
use crate::domain::names::{RoomKey, RoomName, SessionId, UserId, UserKey};
use crate::domain::position::{Position, Seq};
use crate::domain::time::Timestamp;

struct Runtime {
    shard: Arc<Shard>,
    registry: Arc<Registry>,
}

fn runtime() -> Runtime {
    let registry = Arc::new(Registry::new(1));
    Runtime { shard: Arc::new(Shard::new(0, Arc::clone(&registry))), registry }
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

impl Runtime {
    fn session(&self, id: u128, limit: usize) -> Arc<Mailbox> {
        let user = UserKey { tenant: tenant(), user: UserId::parse("alice").unwrap() };
        let mailbox = Arc::new(Mailbox::new(SessionId(id), user, 0, limit));
        self.registry.insert(Arc::clone(&mailbox));
        mailbox
    }
}

fn room(name: &str, mailbox: &Arc<Mailbox>) -> Arc<ActiveRoom> {
    let room = RoomName::parse(name).unwrap();
    let room = Arc::new(ActiveRoom::new(RoomKey { tenant: tenant(), room }, 1));
    let follower = Follower::new(Arc::clone(mailbox), 0, false);
    follower.joins_as(Some((Seq(3), Role::Member)));
    follower.begin();
    room.follow(0, &follower);
    room
}

fn frame(bytes: usize) -> Frame {
    let error = v1::Error { message: "x".repeat(bytes), ..v1::Error::default() };
    let kind = Some(v1::session_response::Kind::Error(error));
    Frame::encode(&v1::SessionResponse { command_id: 0, kind })
}

fn event(room: &Arc<ActiveRoom>, bytes: usize) -> Wakeup {
    Wakeup::Broadcast(
        Arc::clone(room),
        Broadcast { frame: frame(bytes), merge: None, to: To::All, of_state: false },
    )
}

fn mark(room: &Arc<ActiveRoom>, subject: usize) -> Wakeup {
    let merge = Some(MergeKey::of(subject));
    Wakeup::Broadcast(Arc::clone(room), Broadcast { frame: frame(10), merge, to: To::All, of_state: true })
}

/// Reads as soon as it is woken, until so many pushes came.
async fn reads(mailbox: Arc<Mailbox>, pushes: usize) {
    let mut taken = 0;
    std::future::poll_fn(|cx| {
        mailbox.register(cx.waker());
        mailbox.take_pushes(|_| {
            taken += 1;
            true
        });
        if taken >= pushes || mailbox.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    assert_eq!((taken, mailbox.is_closed()), (pushes, false));
}

#[tokio::test]
async fn a_burst_ends_nobody_who_reads() {
    let runtime = runtime();
    let mailbox = runtime.session(1, 64 * 1024);
    let room = room("live:x", &mailbox);
    for _ in 0..900 {
        assert!(runtime.shard.send(event(&room, 1_000)));
    }
    let reading = tokio::spawn(reads(mailbox, 900));
    let spreading = tokio::spawn(Arc::clone(&runtime.shard).run(CancellationToken::new()));
    reading.await.unwrap();
    spreading.abort();
}

#[tokio::test]
async fn a_burst_in_one_room_leaves_others_their_place() {
    let runtime = runtime();
    let mailbox = runtime.session(1, 64 * 1024);
    let (busy, calm) = (room("live:busy", &mailbox), room("live:calm", &mailbox));
    let taken = (0..2_000).take_while(|_| runtime.shard.send(event(&busy, 1_000))).count();
    assert!((900..=SHARD_ROOM_BYTES / 1_000).contains(&taken), "{taken}");
    assert_eq!(runtime.shard.take_dropped(), 1);
    assert!(runtime.shard.send(event(&calm, 1_000)));
    // Of the hub's own state the latest always waits, and once.
    for round in 0..3 {
        for subject in 0..100 {
            assert!(runtime.shard.send(mark(&busy, subject)), "{round}");
        }
    }
    assert_eq!(runtime.shard.take_dropped(), 200);
    let mut part = Vec::new();
    let mut parts = 1;
    while runtime.shard.take_part(&mut part) {
        parts += 1;
    }
    assert_eq!(part.len(), taken + 1 + 100);
    assert!(parts > taken * 1_000 / PART_BYTES, "{parts}");
    assert_eq!((busy.waiting_bytes(0), calm.waiting_bytes(0)), (0, 0));
    assert!(runtime.shard.send(event(&busy, 1_000)));
}

#[tokio::test]
async fn notifications_past_the_limit_are_read_from_the_store() {
    let runtime = runtime();
    let (one, two) = (runtime.session(1, 64 * 1024), runtime.session(2, 64 * 1024));
    let large = SHARD_BYTES / 2 + 1;
    let place = |seq| InboxPlace::Broadcast(Seq(seq));
    assert!(runtime.shard.send(Wakeup::Notifications(tenant(), frame(large), place(1))));
    for seq in 2..1_000 {
        assert!(runtime.shard.send(Wakeup::Notifications(tenant(), frame(large), place(seq))));
        assert!(runtime.shard.send(Wakeup::Notification(Arc::clone(&one), frame(large), place(seq))));
    }
    let mut part = Vec::new();
    while runtime.shard.take_part(&mut part) {}
    assert_eq!(part.len(), 2, "one of them, and the word that there are more");
    for wakeup in part {
        runtime.shard.spread(wakeup, &mut Turn::default()).await;
    }
    for mailbox in [one, two] {
        let mut signals = Vec::new();
        mailbox.take(|_| {}, &mut signals);
        assert!(matches!(&signals[..], [Signal::ReadInbox]));
    }
}

#[tokio::test]
async fn fan_out_holds_up_no_one_else() {
    let runtime = runtime();
    let mailbox = runtime.session(1, 64 * 1024);
    let room = room("room:a", &mailbox);
    room.for_each_follower(0, |follower| {
        room.change_member(&mailbox.user().user, Seq(7), None);
        assert_eq!(follower.until(), Seq(7), "a removal does not wait for it");
    });
    runtime.registry.for_each_in(0, &tenant(), |_| {
        assert_eq!(runtime.registry.count_in(0, &tenant()), 1);
    });
}

proptest! {
    /// Whoever followed when the log grew, and still does, is woken, whoever comes and leaves meanwhile.
    #[test]
    fn nobody_is_passed_over(many in 1..40_usize, most in 1..9_usize, steps in prop::collection::vec(0..80_usize, 0..40)) {
        let runtime = runtime();
        let follower = |id: usize| Follower::new(runtime.session(id as u128, 1024), 0, false);
        let name = RoomName::parse("room:x").unwrap();
        let room = ActiveRoom::new(RoomKey { tenant: tenant(), room: name }, 1);
        let mut before: Vec<_> = (0..many).map(follower).collect();
        for follower in &before {
            room.follow(0, follower);
        }
        let (mut steps, mut end) = (steps.into_iter().enumerate(), usize::MAX);
        while end > 0 {
            end = room.deliver_before(0, end, most, &mut Turn::default());
            // Some leave, and one comes for each that was none.
            for (number, step) in steps.by_ref().take(2) {
                if step < before.len() {
                    room.unfollow(0, &before.swap_remove(step), Timestamp::now());
                } else {
                    room.follow(0, &follower(100 + number));
                }
            }
        }
        prop_assert!(before.iter().all(|follower| follower.mailbox.has_waiting()));
    }
}

/// The sessions of a large room write in turn with those that wake them.
#[tokio::test]
async fn some_write_before_others_are_woken() {
    let runtime = runtime();
    let name = RoomName::parse("room:x").unwrap();
    let room = Arc::new(ActiveRoom::new(RoomKey { tenant: tenant(), room: name }, 1));
    let mailboxes: Vec<_> = (0..100).map(|id| runtime.session(id, 1024)).collect();
    for mailbox in &mailboxes {
        room.follow(0, &Follower::new(Arc::clone(mailbox), 0, false));
    }
    let polled = Arc::new(Mutex::new(Vec::new()));
    let sessions: Vec<_> = mailboxes
        .iter()
        .map(|mailbox| {
            let (mailbox, all, polled) = (Arc::clone(mailbox), mailboxes.clone(), Arc::clone(&polled));
            tokio::spawn(std::future::poll_fn(move |cx| {
                mailbox.register(cx.waker());
                if !mailbox.has_waiting() {
                    return Poll::Pending;
                }
                mailbox.take(|_| {}, &mut Vec::new());
                polled.lock().push(all.iter().filter(|mailbox| mailbox.has_waiting()).count());
                Poll::Ready(())
            }))
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(room.begin_wakeup(0) && runtime.shard.send(Wakeup::Entries(Arc::clone(&room))));
    let cancel = CancellationToken::new();
    let spreading = tokio::spawn(Arc::clone(&runtime.shard).run(cancel.clone()));
    for session in sessions {
        session.await.unwrap();
    }
    cancel.cancel();
    spreading.await.unwrap();
    let waiting = polled.lock();
    assert!(waiting.len() == 100 && waiting.iter().all(|waiting| *waiting < PART_WOKEN), "{waiting:?}");
}

/// A front that takes everything, and notes how much at a time was written past its task.
#[derive(Default)]
struct Front(AtomicU64);

impl Shortcut for Front {
    fn write(&self, _: &Frame) -> Written {
        self.0.fetch_add(1, Ordering::SeqCst);
        Written::All
    }
}

/// Many small rooms with an entry each, of sessions that all rest: what else the runtime has to do goes on between few writes,
/// whether all of it is there at once or comes one by one.
#[tokio::test]
async fn what_is_written_past_tasks_holds_up_nobody_for_long() {
    const ROOMS: usize = 64;
    for at_once in [ROOMS, 1] {
        let runtime = runtime();
        let front = Arc::new(Chain::default());
        let wakeups = (0..ROOMS).map(|id| {
            let mailbox = runtime.session(id as u128, 1024);
            mailbox.offer(Arc::clone(&front) as Arc<dyn Shortcut>);
            mailbox.begin_rest();
            let room = room(&format!("room:{id}"), &mailbox);
            let position = Position { seq: Seq(1), ..Position::default() };
            room.append(position, Seq(1), Timestamp(0), Some(frame(10)));
            (Arc::clone(&runtime.shard), Wakeup::Entries(room))
        });
        front.rest.lock().extend(wakeups);
        (0..at_once).for_each(|_| front.sends());
        let spreading = tokio::spawn(Arc::clone(&runtime.shard).run(CancellationToken::new()));
        let (mut seen, mut most) = (0, 0);
        while seen < ROOMS as u64 {
            tokio::task::yield_now().await;
            let now = front.written.load(Ordering::SeqCst);
            most = most.max(now - seen);
            seen = now;
        }
        spreading.abort();
        assert!((1..=PART_WOKEN as u64).contains(&most), "{most}");
    }
}

/// A front of many sockets: as soon as one is written to, the next room has something.
#[derive(Default)]
struct Chain {
    written: AtomicU64,
    rest: Mutex<Vec<(Arc<Shard>, Wakeup)>>,
}

impl Chain {
    fn sends(&self) {
        let next = self.rest.lock().pop();
        if let Some((shard, wakeup)) = next {
            assert!(shard.send(wakeup));
        }
    }
}

impl Shortcut for Chain {
    fn write(&self, _: &Frame) -> Written {
        self.written.fetch_add(1, Ordering::SeqCst);
        self.sends();
        Written::All
    }
}

/// A session in many rooms gets what they have at once in one write.
#[tokio::test]
async fn what_several_rooms_have_goes_out_together() {
    let runtime = runtime();
    let (front, mailbox) = (Arc::new(Front::default()), runtime.session(1, 1024));
    mailbox.offer(Arc::clone(&front) as Arc<dyn Shortcut>);
    mailbox.begin_rest();
    let (one, two) = (room("room:1", &mailbox), room("room:2", &mailbox));
    let mut turn = Turn::default();
    for room in [&one, &two] {
        let position = Position { seq: Seq(1), ..Position::default() };
        room.append(position, Seq(1), Timestamp(0), Some(frame(10)));
        runtime.shard.spread(Wakeup::Entries(Arc::clone(room)), &mut turn).await;
    }
    assert_eq!(front.0.load(Ordering::SeqCst), 1);
    assert!(mailbox.has_waiting(), "the session writes what comes after that");
    // And in the next turn, once that is done, one goes past it again.
    mailbox.take(|_| {}, &mut Vec::new());
    mailbox.begin_rest();
    let position = Position { seq: Seq(2), ..Position::default() };
    one.append(position, Seq(2), Timestamp(0), Some(frame(10)));
    turn.ends(runtime.shard.written());
    runtime.shard.spread(Wakeup::Entries(one), &mut turn).await;
    assert_eq!(front.0.load(Ordering::SeqCst), 2);
}

/// A front that fails at its first frame.
#[derive(Default)]
struct Failing(AtomicU64);

impl Shortcut for Failing {
    fn write(&self, _: &Frame) -> Written {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "it fails");
        Written::All
    }
}

/// It is handed the frame in its own task, and others get theirs as ever.
#[tokio::test]
async fn a_front_that_fails_takes_nothing_away_from_others() {
    let runtime = runtime();
    let front = Arc::new(Failing::default());
    let name = RoomName::parse("room:x").unwrap();
    let room = Arc::new(ActiveRoom::new(RoomKey { tenant: tenant(), room: name }, 1));
    let mailboxes: Vec<_> = (0..40).map(|id| runtime.session(id, 1024)).collect();
    for mailbox in &mailboxes {
        mailbox.offer(Arc::clone(&front) as Arc<dyn Shortcut>);
        mailbox.begin_rest();
        let follower = Follower::new(Arc::clone(mailbox), 0, false);
        room.follow(0, &follower);
        follower.begin();
    }
    room.append(Position { seq: Seq(1), ..Position::default() }, Seq(1), Timestamp(0), Some(frame(10)));
    runtime.shard.spread(Wakeup::Entries(room), &mut Turn::default()).await;
    assert_eq!(front.0.load(Ordering::SeqCst), 40);
    assert_eq!(mailboxes.iter().filter(|mailbox| mailbox.has_waiting()).count(), 1);
}

/// Wake-ups that come one by one from another thread, each as soon as the one before has been seen.
#[test]
fn no_wake_up_from_another_thread_is_lost() {
    let runtime = runtime();
    let (mailbox, cancel) = (runtime.session(1, 1024), CancellationToken::new());
    let (shard, stop) = (Arc::clone(&runtime.shard), cancel.clone());
    let spreading = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(shard.run(stop));
    });
    for round in 1..=20_000 {
        let wakeup = Wakeup::Notification(Arc::clone(&mailbox), frame(10), InboxPlace::Broadcast(Seq(round)));
        assert!(runtime.shard.send(wakeup));
        let since = std::time::Instant::now();
        while !mailbox.has_waiting() {
            assert!(since.elapsed() < std::time::Duration::from_secs(20), "it never came: {round}");
            std::thread::yield_now();
        }
        mailbox.take_pushes(|_| true);
    }
    cancel.cancel();
    spreading.join().unwrap();
}
