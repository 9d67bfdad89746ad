//! What is written is read; what a later version adds is passed over; what is damaged is refused and breaks nothing.

use proptest::prelude::*;

use super::*;
use crate::domain::content::Pairs;
use crate::domain::entry::EntryBody;
use crate::domain::inbox::{NotificationKind, Priority};
use crate::domain::member::{MembershipChange, Role};
use crate::domain::names::NotificationId;
use crate::redis::message;

const HEAD: Head = Head { node: 7, epoch: Epoch(3) };
const HERE: u64 = 1;

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn an_entry() -> Arc<Entry> {
    let (change, role) = (MembershipChange::Added, Role::Member);
    Arc::new(Entry {
        epoch: HEAD.epoch,
        seq: Seq(9),
        tag: Tag(90),
        time: Timestamp(1_000),
        sender: user("alice"),
        number: 4,
        body: EntryBody::Membership { user: user("bob"), change, role },
    })
}

fn a_notice() -> Arc<Notice> {
    Arc::new(Notice {
        id: NotificationId::parse("n1").unwrap(),
        kind: NotificationKind::parse("kind").unwrap(),
        title: "title".into(),
        body: None,
        priority: Priority::High,
        data: Pairs::default(),
        sender: user("office"),
        expires: Some(Timestamp(5)),
    })
}

/// Everything that is written here, with what it reads as.
fn all() -> Vec<(Bytes, Body)> {
    let of = |to, merge, of_state| Live { to, merge, of_state, message: Bytes::from_static(b"frame") };
    let lives = [
        of(For::All, None, false),
        of(For::Except(SessionId(u128::MAX - 5)), Some(0), false),
        of(For::Others(user("bob")), Some(u64::MAX), true),
        of(For::PresenceFollowers, None, true),
    ];
    let controls = [
        Control::Member { room: RoomName::parse("conversation:a").unwrap(), is_member: true },
        Control::Replaced { instance: InstanceId::parse("tab").unwrap(), by: SessionId(1 << 100), at: 7 },
    ];
    let erased_user = UserKey { tenant: TenantId::parse("acme").unwrap(), user: user("bob") };
    let marks_of = Marks { delivered: Seq(5), read: Seq(4), read_number: 3 };
    let mut all = vec![
        (message::entry(HEAD, &an_entry(), Tag(80)).into(), Body::Entry(an_entry(), Tag(80))),
        (message::marks(HEAD, &user("bob"), marks_of).into(), Body::Marks(user("bob"), marks_of)),
        (
            message::notice(HEAD, Seq(2), Timestamp(9), &a_notice(), false).into(),
            Body::Notice(Seq(2), Timestamp(9), a_notice()),
        ),
        (
            message::notice(HEAD, Seq(2), Timestamp(9), &a_notice(), true).into(),
            Body::Notice(Seq(2), Timestamp(9), a_notice()),
        ),
        (message::revoked(HEAD).into(), Body::Revoked),
        (message::reached(HEAD, Seq(12)).into(), Body::Reached(Seq(12))),
        (message::erased(HEAD, &erased_user).into(), Body::Erased(erased_user)),
        (question(HEAD, 5, b"what"), Body::Question(5, Bytes::from_static(b"what"))),
        (answer(HEAD, (HERE, 5), b"that"), Body::Answer((HERE, 5), Bytes::from_static(b"that"))),
    ];
    all.extend(lives.into_iter().map(|of| (live(HEAD, &of), Body::Live(of))));
    all.extend(controls.into_iter().map(|of| (control(HEAD, &of), Body::Control(of))));
    all
}

#[test]
fn what_is_written_is_read() {
    for (bytes, body) in all() {
        assert_eq!(read(&bytes, HERE), Ok(Envelope::Read(HEAD, body)));
    }
}

#[test]
fn of_what_a_node_published_itself_it_reads_where_an_entry_stands() {
    let bytes = message::entry(HEAD, &an_entry(), Tag(80)).into();
    assert_eq!(read(&bytes, HEAD.node), Ok(Envelope::Own(Some((Seq(9), Some(Tag(80)))))));
    let bytes = message::notice(HEAD, Seq(2), Timestamp(9), &a_notice(), true).into();
    assert_eq!(read(&bytes, HEAD.node), Ok(Envelope::Own(Some((Seq(2), None)))));
    assert_eq!(read(&message::revoked(HEAD).into(), HEAD.node), Ok(Envelope::Own(None)));
}

/// A node of this version beside one of the next.
#[test]
fn what_a_later_version_adds_is_passed_over() {
    for (bytes, body) in all() {
        // The forms of an entry and of a notice say themselves where they end.
        if matches!(body, Body::Entry(..) | Body::Notice(..)) {
            continue;
        }
        let longer = [&bytes[..], b"added"].concat().into();
        assert_eq!(read(&longer, HERE), Ok(Envelope::Read(HEAD, body)));
    }
    let kind = |kind: u8, rest: &[u8]| -> Bytes { [&HEAD.begin(kind, 0)[..], rest].concat().into() };
    assert_eq!(read(&kind(200, b"anything"), HERE), Ok(Envelope::Read(HEAD, Body::Unknown)));
    assert_eq!(
        read(&kind(10, &[200]), HERE),
        Ok(Envelope::Read(HEAD, Body::Unknown)),
        "a control of its own"
    );
    let mut other = message::revoked(HEAD);
    other[0] = VERSION + 1;
    assert_eq!(read(&other.into(), HERE), Ok(Envelope::Foreign));
}

#[test]
fn what_is_cut_off_is_refused() {
    for (bytes, _) in all() {
        for end in 0..18.min(bytes.len()) {
            assert!(read(&bytes.slice(..end), HERE).is_err(), "{end}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(version in 0u8..3, kind in 0u8..16, rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes: Bytes = [&[version, kind][..], &rest].concat().into();
        let _ = read(&bytes, HERE);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(which in 0usize..32, at in 0usize..200, byte: u8) {
        let all = all();
        let mut bytes = all[which % all.len()].0.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes.into(), HERE);
    }
}
