//! Idempotency keys and fingerprints.

use carillon_proto::v1::execute_request::Command as ExecuteMember;

use super::*;
use crate::domain::error::Violation;
use crate::domain::names::IdempotencyKey;
use crate::grpc::decode::execute;

const KEY: &[u8] = b"attempt-1";

#[test]
fn a_retry_has_the_same_fingerprint_under_another_id() {
    let first = request(frame(7, KEY, SessionMember::MessageSend(send()))).unwrap();
    let again = request(frame(8, KEY, SessionMember::MessageSend(send()))).unwrap();
    assert_eq!(first.key, Some(IdempotencyKey::parse(KEY.into()).unwrap()));
    assert_eq!((first.key, first.fingerprint), (again.key, again.fingerprint));
    let other = v1::MessageSend { content: text("other"), ..send() };
    let other = request(frame(9, KEY, SessionMember::MessageSend(other))).unwrap();
    assert_ne!(first.fingerprint, other.fingerprint);
}

#[test]
fn the_same_command_through_execute_has_the_same_fingerprint() {
    let session = request(frame(7, KEY, SessionMember::MessageSend(send()))).unwrap();
    let (idempotency, command) = execute(v1::ExecuteRequest {
        idempotency_key: KEY.into(),
        command: Some(ExecuteMember::MessageSend(send())),
    })
    .unwrap();
    assert_eq!(idempotency.unwrap().fingerprint, session.fingerprint);
    assert_eq!(Command::Stateless(command), session.command);
}

#[test]
fn fingerprints_stay_what_they_are() {
    // Remembered in the store for a day: a new version of the hub must find the same.
    let request = request(frame(7, KEY, SessionMember::MessageSend(send()))).unwrap();
    assert_eq!(request.fingerprint, 7_658_984_823_332_133_293);
}

#[test]
fn commands_of_the_same_fields_differ() {
    let [read, delivered] = [
        SessionMember::MarkRead(v1::MarkRead { room: room(), up_to: 1 }),
        SessionMember::MarkDelivered(v1::MarkDelivered { room: room(), up_to: 1 }),
    ]
    .map(|command| request(frame(7, KEY, command)).unwrap().fingerprint);
    assert_ne!(read, delivered);
}

#[test]
fn without_a_key_nothing_is_hashed() {
    let request = request(frame(7, b"", SessionMember::MessageSend(send()))).unwrap();
    assert_eq!((request.key, request.fingerprint), (None, 0));
}

#[test]
fn a_key_is_of_8_to_64_bytes() {
    for length in [1, 7, 65] {
        let key: &'static [u8] = vec![b'k'; length].leak();
        let refusal = request(frame(7, key, SessionMember::Ping(v1::Ping {}))).unwrap_err().refusal();
        let violation = Violation { field: "idempotency_key", rule: "8 to 64 bytes" };
        assert_eq!(refusal.violations, [violation], "{length}");
    }
    for key in [&[0; 8][..], &[255; 64]] {
        assert!(request(frame(7, key, SessionMember::Ping(v1::Ping {}))).is_ok());
    }
}
