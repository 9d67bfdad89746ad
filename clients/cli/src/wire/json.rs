//! Reads of a `SessionResponse` in canonical JSON what a benchmark checks: no allocation, no copy, and nothing of what
//! comes after it.

use serde::de::DeserializeOwned;

use super::WireError;
use super::scan::{Delivery, kind};

const MALFORMED: WireError = WireError::Malformed("a message that is not JSON");

/// Command id, kind, and the text from where the kind's value begins.
pub(super) fn response(text: &[u8]) -> Result<(u32, u32, &[u8]), WireError> {
    let mut command_id = 0;
    let mut members = Members::of(text)?;
    while let Some(name) = members.next()? {
        if name == b"commandId" {
            command_id = members.number()? as u32;
        } else {
            return Ok((command_id, kind::of(name), members.0));
        }
    }
    Ok((command_id, 0, &[]))
}

/// Decodes a body whole. What follows it is not read.
pub(super) fn decode<M: DeserializeOwned>(body: &[u8]) -> Result<M, WireError> {
    M::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|_| MALFORMED)
}

/// Place and text of a message or an event. Text is as it is written: a benchmark's own has nothing to escape.
pub(super) fn delivery(body: &[u8]) -> Result<Delivery<'_>, WireError> {
    let mut delivery = Delivery { seq: 0, content: &[] };
    let mut members = Members::of(body)?;
    while let Some(name) = members.next()? {
        match name {
            b"header" => {
                if let Some(mut header) = members.enter(b"seq")? {
                    delivery.seq = header.number()?;
                }
            }
            // What of the entry is checked comes before this member's end.
            b"content" | b"payload" => {
                if let Some(mut content) = members.enter(b"text")? {
                    delivery.content = content.string()?;
                }
                return Ok(delivery);
            }
            _ => {}
        }
        members.skip()?;
    }
    Ok(delivery)
}

/// What is left of an object. A value that is not taken must be skipped before the next name.
struct Members<'a>(&'a [u8]);

impl<'a> Members<'a> {
    fn of(text: &'a [u8]) -> Result<Self, WireError> {
        let mut members = Self(text);
        members.expect(b'{')?;
        Ok(members)
    }

    /// The next member's name; `None` at the object's end.
    fn next(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        if self.peek()? == b',' {
            self.0 = &self.0[1..];
        }
        if self.peek()? == b'}' {
            return Ok(None);
        }
        let name = self.string()?;
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// The object that comes next, from the value of this member on; `None` where it has no such member. Takes nothing.
    fn enter(&self, wanted: &[u8]) -> Result<Option<Self>, WireError> {
        let mut members = Self::of(self.0)?;
        while let Some(name) = members.next()? {
            if name == wanted {
                return Ok(Some(members));
            }
            members.skip()?;
        }
        Ok(None)
    }

    /// A whole number, in quotes or not: one of 64 bits is a string.
    fn number(&mut self) -> Result<u64, WireError> {
        let quoted = self.peek()? == b'"';
        let digits = if quoted { self.string()? } else { self.bare() };
        let digit = |number: u64, digit: &u8| {
            digit.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
        };
        if digits.is_empty() { Err(MALFORMED) } else { digits.iter().try_fold(0, digit).ok_or(MALFORMED) }
    }

    /// A string without its quotes, its escapes as they are written.
    fn string(&mut self) -> Result<&'a [u8], WireError> {
        self.expect(b'"')?;
        let mut end = 0;
        loop {
            let rest = self.0.get(end..).ok_or(MALFORMED)?;
            end += rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).ok_or(MALFORMED)?;
            if self.0[end] == b'"' {
                let (string, rest) = self.0.split_at(end);
                self.0 = &rest[1..];
                return Ok(string);
            }
            end += 2;
        }
    }

    /// A number or a word.
    fn bare(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(self.0.len());
        let (bare, rest) = self.0.split_at(end);
        self.0 = rest;
        bare
    }

    /// Goes past a value.
    fn skip(&mut self) -> Result<(), WireError> {
        let mut depth = 0_u32;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.0 = &self.0[1..];
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.0 = &self.0[1..];
                }
                b',' | b':' if depth > 0 => {
                    self.0 = &self.0[1..];
                    continue;
                }
                b'}' | b']' | b',' | b':' => return Err(MALFORMED),
                _ => drop(self.bare()),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Result<u8, WireError> {
        self.0.first().copied().ok_or(MALFORMED)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), WireError> {
        match self.0.split_first() {
            Some((byte, rest)) if *byte == wanted => {
                self.0 = rest;
                Ok(())
            }
            _ => Err(MALFORMED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"message":{"room":"a\"}:{\\","list":[1,{"seq":"9"},[]],"header":{"tag":4,"seq":"70000"},"number":"3","content":{"mediaType":"x","text":"hello"},"version":1}}"#;

    #[test]
    fn what_is_not_read_is_skipped() {
        let (command_id, kind, body) = response(MESSAGE.as_bytes()).unwrap();
        assert_eq!((command_id, kind), (0, kind::MESSAGE));
        assert_eq!(delivery(body).unwrap(), Delivery { seq: 70_000, content: b"hello" });
        assert_eq!(response(b"{}").unwrap(), (0, 0, &b""[..]));
    }

    #[test]
    fn cut_text_is_malformed_and_never_a_panic() {
        let whole = MESSAGE.find("hello\"").unwrap() + 6;
        for end in 0..whole {
            let read = response(&MESSAGE.as_bytes()[..end]).and_then(|(_, _, body)| delivery(body));
            assert!(read.is_err(), "cut at {end}");
        }
    }
}
