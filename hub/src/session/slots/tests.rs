use carillon_proto::v1;

use super::*;
use crate::delivery::mailbox::Mailbox;
use crate::domain::names::{RoomKey, SessionId, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, Position, Tag};

fn page() -> VecDeque<Frame> {
    let error = v1::Error { message: "x".repeat(1_000), ..v1::Error::default() };
    let kind = Some(v1::session_response::Kind::Error(error));
    let frame = Frame::encode(&v1::SessionResponse { command_id: 0, kind });
    vec![frame; CATCH_UP_BYTES / 1_000].into()
}

/// A session that follows so many rooms and is behind in all of them.
fn behind(rooms: u32) -> Slots {
    let user = UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("alice").unwrap() };
    let mailbox = Arc::new(Mailbox::new(SessionId(1), user.clone(), 0, 1_024));
    let mut slots = Slots::default();
    for number in 0..rooms {
        let name = RoomName::parse(&format!("room:{number}")).unwrap();
        let slot = slots.reserve(name.clone(), true);
        let room = Arc::new(ActiveRoom::new(RoomKey { tenant: user.tenant.clone(), room: name }, 1));
        let head = Position { epoch: Epoch(1), seq: Seq(9), tag: Tag(1) };
        room.append(head, Seq(0), Timestamp(0), None);
        let follower = Follower::new(Arc::clone(&mailbox), slot, false);
        slots.begin(slot, Following::begin(room, follower), Seq(0), false, None, false);
    }
    assert!(slots.fill(&mut Batch::default()).is_none());
    slots
}

#[test]
fn a_session_holds_two_pages_at_most_however_many_rooms_are_behind() {
    const ROOMS: u32 = 20;
    let mut slots = behind(ROOMS);
    let (mut read, mut most) = (0, 0);
    while read < ROOMS {
        while slots.may_read() {
            let (slot, ..) = slots.next_behind().unwrap();
            slots.take_page(slot, page(), Seq(9));
            read += 1;
        }
        most = most.max(slots.page_bytes);
        assert!(slots.fill(&mut Batch::default()).is_none());
    }
    let one: usize = page().iter().map(Frame::len).sum();
    assert!((one..CATCH_UP_BYTES + one).contains(&most), "{most}");
    // A room that is left takes its page with it.
    let held = slots.page_bytes;
    (0..ROOMS).for_each(|slot| drop(slots.take(slot)));
    assert!(held > 0 && slots.page_bytes == 0);
}
