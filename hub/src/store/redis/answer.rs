//! Taking an answer apart.

use redis::Value;

use crate::redis::Malformed;
use crate::store::StoreError;

/// An answer's parts, taken in order.
#[derive(Debug)]
pub(super) struct Answer(std::vec::IntoIter<Value>);

impl Answer {
    /// Of an answer that is a list, or one value.
    pub(super) fn new(value: Value) -> Self {
        Self(match value {
            Value::Array(parts) | Value::Set(parts) => parts.into_iter(),
            Value::Nil => Vec::new().into_iter(),
            other => vec![other].into_iter(),
        })
    }

    /// How many parts are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn next(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or_else(|| damaged("an answer that ends early"))
    }

    /// A number.
    pub(super) fn number(&mut self) -> Result<i64, StoreError> {
        number(&self.next()?)
    }

    /// A number that is not negative.
    pub(super) fn count(&mut self) -> Result<u64, StoreError> {
        self.number().map(i64::cast_unsigned)
    }

    /// Bytes; `None` where there is nothing.
    pub(super) fn bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        bytes(self.next()?)
    }

    /// Bytes that must be there.
    pub(super) fn some_bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.bytes()?.ok_or_else(|| damaged("something that was there is gone"))
    }

    /// A list.
    pub(super) fn list(&mut self) -> Result<Answer, StoreError> {
        self.next().map(Self::new)
    }

    /// All that is left, as numbers.
    pub(super) fn numbers(self) -> Result<Vec<i64>, StoreError> {
        self.0.map(|value| number(&value)).collect()
    }

    /// All that is left, as bytes.
    pub(super) fn all_bytes(self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.map(|value| bytes(value).map(Option::unwrap_or_default)).collect()
    }
}

/// A number, whichever way it is written.
pub(super) fn number(value: &Value) -> Result<i64, StoreError> {
    let parsed = match value {
        Value::Int(number) => return Ok(*number),
        Value::BulkString(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        Value::SimpleString(text) => text.parse().ok(),
        Value::Nil => Some(0),
        _ => None,
    };
    parsed.ok_or_else(|| damaged("an answer that is no number"))
}

/// Bytes; `None` where there is nothing.
pub(super) fn bytes(value: Value) -> Result<Option<Vec<u8>>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::Nil => Ok(None),
        _ => Err(damaged("an answer that is no text")),
    }
}

/// What is there is not what was written.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Engine(what.into())
}

impl From<Malformed> for StoreError {
    fn from(malformed: Malformed) -> Self {
        Self::Engine(malformed.to_string().into())
    }
}
