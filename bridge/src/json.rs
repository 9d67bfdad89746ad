//! From the canonical JSON of a message to the message, and what to say where that fails.

use carillon_proto::v1;
use serde::de::DeserializeOwned;

/// Longest field name that an error repeats.
const FIELD_BYTES: usize = 64;

/// Why a text gave no message.
#[derive(Debug, PartialEq)]
pub(crate) enum JsonError {
    /// It is no JSON.
    Broken,
    /// It is JSON, but not of this message.
    Refused(v1::Violation),
}

/// Reads a message. Unknown fields are refused with their name.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(text).map_err(|error| {
        if error.classify() == serde_json::error::Category::Data {
            JsonError::Refused(violation(&error.to_string()))
        } else {
            JsonError::Broken
        }
    })
}

/// What serde says, as a field and a rule. Of the input only a field's name is repeated, and only where it is one.
fn violation(said: &str) -> v1::Violation {
    let named = said.split('`').nth(1).filter(|name| {
        !name.is_empty()
            && name.len() <= FIELD_BYTES
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
    });
    let (field, rule) = match named {
        Some(name) if said.starts_with("unknown field") => (name, "no such field"),
        Some(name) if said.starts_with("duplicate field") => (name, "given twice"),
        Some(name) if said.starts_with("unknown variant") => (name, "no such value"),
        Some(name) if said.starts_with("more than one member") => (name, "one member alone"),
        _ => ("command", "the canonical JSON of the message"),
    };
    v1::Violation { field: field.to_owned(), rule: rule.to_owned() }
}

/// The id of a command whose frame could not be read; `None` where it has none that could be answered.
pub(crate) fn command_id(text: &[u8]) -> Option<u32> {
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    let id = match value.get("commandId").or_else(|| value.get("command_id"))? {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    };
    id.and_then(|id| u32::try_from(id).ok()).filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use carillon_proto::v1::SessionRequest;
    use carillon_proto::v1::session_request::Command;

    use super::*;

    #[test]
    fn numbers_may_be_text_and_names_either_kind() {
        for text in [
            r#"{"commandId": 3, "markRead": {"room": "room:a", "upTo": "9007199254740993"}}"#,
            r#"{"command_id": "3", "mark_read": {"room": "room:a", "up_to": 9007199254740993}}"#,
        ] {
            let request: SessionRequest = parse(text.as_bytes()).unwrap();
            assert_eq!(request.command_id, 3);
            let Some(Command::MarkRead(mark)) = request.command else { panic!("{text}") };
            assert_eq!(mark.up_to, 9_007_199_254_740_993);
        }
    }

    #[test]
    fn unknown_fields_are_named() {
        for (text, field, rule) in [
            (
                r#"{"commandId": 3, "messageSend": {"room": "a:b", "colour": "red"}}"#,
                "colour",
                "no such field",
            ),
            (r#"{"commandId": 3, "shout": {}}"#, "shout", "no such field"),
            (r#"{"commandId": 3, "commandId": 3}"#, "commandId", "given twice"),
            (r#"{"commandId": 3, "ping": {}, "rooms": {}}"#, "command", "one member alone"),
            (
                r#"{"commandId": 3, "messageSend": {"room": "a:b", "content": {"text": "a", "data": "YQ=="}}}"#,
                "body",
                "one member alone",
            ),
            (
                r#"{"commandId": 3, "history": {"room": "a:b", "before": 1, "after": 2}}"#,
                "bound",
                "one member alone",
            ),
            (r#"{"commandId": 3, "messageSend": 7}"#, "command", "the canonical JSON of the message"),
            (r#"{"commandId": 3, "<script>": {}}"#, "command", "the canonical JSON of the message"),
            // The field, and not what the caller wrote there.
            (r#"{"commandId": 3, "presenceSet": {"status": "ONLINE"}}"#, "status", "no such value"),
            (
                r#"{"commandId": 3, "notifications": {"filter": {"priorities": ["LOUD"]}}}"#,
                "priorities",
                "no such value",
            ),
        ] {
            let Err(JsonError::Refused(violation)) = parse::<SessionRequest>(text.as_bytes()) else {
                panic!("{text}")
            };
            assert_eq!((&*violation.field, &*violation.rule), (field, rule), "{text}");
            assert_eq!(command_id(text.as_bytes()), Some(3));
        }
    }

    /// What they mean is for the hub to say, as in a binary frame.
    #[test]
    fn enums_may_be_numbers_that_are_not_known_here() {
        let text = br#"{"commandId": 3, "presenceSet": {"status": 99}}"#;
        let Some(Command::PresenceSet(set)) = parse::<SessionRequest>(text).unwrap().command else {
            panic!()
        };
        assert_eq!(set.status, 99);
    }

    #[test]
    fn what_is_no_json_is_broken() {
        for text in ["", "{", "hello", "{\"commandId\": 1} more"] {
            assert_eq!(parse::<SessionRequest>(text.as_bytes()), Err(JsonError::Broken), "{text}");
        }
    }

    #[test]
    fn ids_that_cannot_be_answered_are_none() {
        for text in [
            "{}",
            r#"{"commandId": 0}"#,
            r#"{"commandId": -1}"#,
            r#"{"commandId": 4294967296}"#,
            r#"{"commandId": {}}"#,
            "[1]",
        ] {
            assert_eq!(command_id(text.as_bytes()), None, "{text}");
        }
    }
}
