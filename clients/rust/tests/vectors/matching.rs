//! What a vector expects, and what came.

use serde_json::Value;

/// Whether all that is expected is there. `null` expects that there is nothing; lists are of one length.
pub fn matches(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            expected.iter().all(|(name, value)| matches(value, actual.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected.iter().zip(actual).all(|(one, other)| matches(one, other))
        }
        (expected, actual) => expected == actual,
    }
}

pub fn bytes(hex: &str) -> Vec<u8> {
    assert_eq!(hex.len() % 2, 0, "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[test]
fn nothing_is_matched_by_less() {
    let matches = |expected: &str, actual: &str| {
        matches(&serde_json::from_str(expected).unwrap(), &serde_json::from_str(actual).unwrap())
    };
    assert!(matches(r#"{"a": {"b": 1}, "c": null}"#, r#"{"a": {"b": 1, "x": 2}, "y": 3}"#));
    for (expected, actual) in [
        (r#"{"a": 1}"#, "{}"),
        (r#"{"a": null}"#, r#"{"a": 0}"#),
        ("[1]", "[1, 2]"),
        ("[{}]", "[]"),
        (r#""1""#, "1"),
        ("{}", "[]"),
    ] {
        assert!(!matches(expected, actual), "{expected} {actual}");
    }
}
