//! What ends a stream, and what does not.

use proptest::prelude::*;

use super::*;

#[test]
fn bytes_that_are_no_request_are_broken() {
    for bytes in [&[0xff][..], &[0x0a, 0x7f, 1], &[0x08], b"GET / HTTP/1.1"] {
        assert_eq!(request(bytes::Bytes::copy_from_slice(bytes)), Err(DecodeError::Broken), "{bytes:?}");
    }
}

#[test]
fn an_id_of_zero_is_broken_whatever_it_asks() {
    assert_eq!(request(bytes::Bytes::new()), Err(DecodeError::Broken));
    assert_eq!(request(frame(0, b"", SessionMember::Ping(v1::Ping {}))), Err(DecodeError::Broken));
    assert_eq!(DecodeError::Broken.refusal().code, ErrorCode::ProtocolError);
}

#[test]
fn invalid_utf8_is_broken() {
    let frame = frame(7, b"", SessionMember::MessageSend(send()));
    let place = frame.windows(5).position(|window| window == b"hello").unwrap();
    let mut bytes = frame.to_vec();
    bytes[place] = 0xc3;
    assert_eq!(request(bytes.into()), Err(DecodeError::Broken));
}

#[test]
fn an_unset_or_unknown_command_is_refused_under_its_id() {
    // Field 900, a length-delimited message: a command of a later version.
    let unknown = [&[8, 7][..], &[0xa2, 0x38, 2, 8, 1]].concat();
    for bytes in [frame(7, b"", None), unknown.into()] {
        let Err(DecodeError::Refused { command_id: 7, refusal }) = request(bytes) else { panic!() };
        assert_eq!(refusal, Refusal::invalid("command", "required"));
    }
    assert_eq!(
        crate::grpc::decode::execute(v1::ExecuteRequest::default()),
        Err(Refusal::invalid("command", "required"))
    );
}

#[test]
fn unknown_fields_are_passed_over() {
    let mut bytes = frame(7, b"", SessionMember::Ping(v1::Ping {})).to_vec();
    bytes.extend([0xa0, 0x38, 1]);
    assert_eq!(request(bytes.into()).unwrap().command, Command::Ping);
}

fn any_command() -> impl Strategy<Value = SessionMember> {
    let room = prop_oneof![Just(room()), ".{0,8}"];
    let text = || ".{0,40}";
    prop_oneof![
        (room.clone(), text(), any::<Option<u64>>()).prop_map(|(room, body, reply_to)| {
            SessionMember::MessageSend(v1::MessageSend {
                room,
                content: super::text(body),
                reply_to,
                ..Default::default()
            })
        }),
        (room.clone(), any::<(u64, u64, u32)>(), any::<u32>(), any::<bool>()).prop_map(
            |(room, (epoch, seq, tag), rewind, presence)| {
                let since = Some(v1::Position { epoch, seq, tag });
                SessionMember::Join(v1::Join { room, since, rewind, presence })
            }
        ),
        (text(), any::<i32>(), any::<bool>()).prop_map(|(user, role, direct)| {
            SessionMember::ConversationCreate(v1::ConversationCreate {
                members: vec![v1::Member { user, role }],
                direct,
                ..Default::default()
            })
        }),
        (text(), any::<u32>(), prop::collection::vec(any::<i32>(), 0..4)).prop_map(
            |(cursor, limit, priorities)| {
                let filter = Some(v1::NotificationFilter { priorities, ..Default::default() });
                SessionMember::Notifications(v1::NotificationsGet { cursor, filter, limit })
            }
        ),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = request(bytes.into());
    }

    #[test]
    fn arbitrary_commands_give_a_command_or_a_refusal_of_theirs(command in any_command(), id in 1u32..) {
        match request(frame(id, b"", command)) {
            Ok(accepted) => prop_assert_eq!(accepted.command_id, id),
            Err(DecodeError::Refused { command_id, refusal }) => {
                prop_assert_eq!(command_id, id);
                prop_assert_eq!(refusal.violations.len(), 1);
            }
            Err(DecodeError::Broken) => prop_assert!(false, "the frame is well formed"),
        }
    }

    #[test]
    fn damaged_frames_never_panic(
        command in any_command(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = frame(7, b"01234567", command).to_vec();
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(keep.index(bytes.len() + 1));
        let _ = request(bytes.into());
    }
}
