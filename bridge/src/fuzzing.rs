//! The decoders that strangers reach, for the fuzzer: they must take any bytes, and what they took must mean the same when
//! it is written and read again.

use carillon_proto::v1::{ExecuteRequest, SessionRequest};

use crate::events::Positions;
use crate::json;

/// A frame in JSON, of a session or a posted command.
pub fn json_frame(bytes: &[u8]) {
    let _ = json::command_id(bytes);
    if let Ok(request) = json::parse::<SessionRequest>(bytes)
        && let Ok(text) = serde_json::to_vec(&request)
    {
        assert_eq!(
            json::parse::<SessionRequest>(&text).as_ref(),
            Ok(&request),
            "it is written as it was read"
        );
    }
    let _ = json::parse::<ExecuteRequest>(bytes);
}

/// What an event stream comes back with.
pub fn last_event_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let asked = ["room:lobby".to_owned(), format!("room:{}", "x".repeat(200))];
    if let Some(positions) = Positions::parse(text, &asked) {
        let again = Positions::parse(&positions.id(), &asked);
        assert_eq!(again.as_ref(), Some(&positions), "it is written as it was read");
    }
}
