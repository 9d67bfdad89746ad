use std::time::Duration;

use super::*;
use crate::domain::names::{TenantId, UserId};
use crate::domain::position::Seq;

fn mailbox() -> Mailbox {
    let user = UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("alice").unwrap() };
    Mailbox::new(SessionId(1), user, 0, 1_024)
}

fn signals(mailbox: &Mailbox) -> Vec<Signal> {
    let mut signals = Vec::new();
    mailbox.take(|_| {}, &mut signals);
    signals
}

#[test]
fn a_session_that_was_told_to_end_learns_it_however_late_it_looks() {
    let mailbox = mailbox();
    mailbox.mark_ready(3);
    mailbox.signal(Signal::Close(ErrorCode::SlowConsumer.into()));
    mailbox.close();
    let told = signals(&mailbox);
    assert!(matches!(&told[..], [Signal::Close(why)] if why.code == ErrorCode::SlowConsumer), "{told:?}");
    mailbox.signal(Signal::Ping);
    assert!(!mailbox.has_waiting());
}

fn frame(bytes: usize) -> Frame {
    let pong = carillon_proto::v1::Error { message: "x".repeat(bytes), ..Default::default() };
    let kind = Some(carillon_proto::v1::session_response::Kind::Error(pong));
    Frame::encode(&carillon_proto::v1::SessionResponse { command_id: 0, kind })
}

fn taken(mailbox: &Mailbox) -> usize {
    let mut taken = 0;
    mailbox.take_pushes(|_| {
        taken += 1;
        true
    });
    taken
}

#[test]
fn notifications_past_the_limit_are_left_to_the_store() {
    let mailbox = mailbox();
    mailbox.push(frame(100), None);
    for seq in 1..100 {
        mailbox.push_notification(frame(100), InboxPlace::Own(Seq(seq)));
    }
    assert_eq!(taken(&mailbox), 1, "the push that the store does not have");
    assert!(matches!(&signals(&mailbox)[..], [Signal::ReadInbox]), "once, and the session goes on");
    mailbox.push_notification(frame(100), InboxPlace::Own(Seq(100)));
    assert_eq!(taken(&mailbox), 1, "it was told to read: what is new waits again");
    // They make room for what is nowhere else.
    for seq in 101..109 {
        mailbox.push_notification(frame(100), InboxPlace::Own(Seq(seq)));
    }
    mailbox.push(frame(300), None);
    assert_eq!(taken(&mailbox), 1);
    assert!(matches!(&signals(&mailbox)[..], [Signal::ReadInbox]));
}

#[test]
fn a_burst_may_wait_for_a_while() {
    let mailbox = mailbox();
    let began = Instant::now();
    let at = |after| move || began + after;
    let push = |after| mailbox.add(Waiting { frame: frame(500), place: None }, None, at(after));
    for _ in 0..7 {
        push(Duration::ZERO);
    }
    push(MAILBOX_OVERFULL);
    assert!(!mailbox.is_closed(), "a burst");
    assert_eq!(taken(&mailbox), 8);
    for _ in 0..7 {
        push(MAILBOX_OVERFULL * 2);
    }
    assert!(!mailbox.is_closed(), "it read on meanwhile");
    push(MAILBOX_OVERFULL * 4);
    assert_eq!(mailbox.ended_as(), Some(ErrorCode::SlowConsumer), "too much for too long");
}

#[test]
fn what_waits_is_bounded_and_what_is_large_may_wait_alone() {
    let mailbox = mailbox();
    mailbox.push(frame(100_000), None);
    assert_eq!(taken(&mailbox), 1);
    for _ in 0..9 {
        assert!(!mailbox.is_closed());
        mailbox.push(frame(500), None);
    }
    assert_eq!(mailbox.ended_as(), Some(ErrorCode::SlowConsumer));
}

#[test]
fn pushes_of_one_key_take_the_space_of_one() {
    let mailbox = mailbox();
    for _ in 0..1_000 {
        mailbox.push(frame(500), Some(MergeKey::of("typing")));
    }
    assert_eq!((taken(&mailbox), mailbox.take_merged(), mailbox.take_merged()), (1, 999, 0));
}
