//! The chain: each line bears its number and a seal over the seal before it and itself. Who has no key can change, take
//! out or reorder nothing unseen. Plain state.
//!
//! A line is a JSON object that begins with `{"seq":N,` and ends with `,"hash":"..."}`; the seal is an HMAC-SHA256 over
//! the 32 bytes of the seal before and the line's text up to `,"hash"`.

use std::io::Write;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::audit::Seal;

const SEQ: &str = "{\"seq\":";
const HASH: &str = ",\"hash\":\"";
const END: &str = "\"}";

/// What seals are made with: 32 bytes at least.
#[derive(Clone)]
pub struct SealKey(Hmac<Sha256>);

impl SealKey {
    /// Of these bytes; `None` where they are fewer than 32.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 32 {
            return None;
        }
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// The seal of a line without its end, after another.
    pub fn seal(&self, before: Seal, line: &[u8]) -> Seal {
        let mut mac = self.0.clone();
        mac.update(&before.0);
        mac.update(line);
        Seal(mac.finalize().into_bytes().into())
    }
}

/// Where a chain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The last line's number; 0 before the first.
    pub seq: u64,
    /// Its seal.
    pub seal: Seal,
}

impl Place {
    /// Writes the next line: `body` is a JSON object's text from behind its opening brace up to its closing one.
    pub fn append(&mut self, key: &SealKey, body: &[u8], into: &mut Vec<u8>) {
        let begin = into.len();
        // Writing to memory cannot fail.
        let _ = write!(into, "{SEQ}{},", self.seq + 1);
        into.extend_from_slice(body);
        let seal = key.seal(self.seal, into.get(begin..).unwrap_or_default());
        let _ = writeln!(into, "{HASH}{seal}{END}");
        *self = Self { seq: self.seq + 1, seal };
    }
}

/// A line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Its number.
    pub seq: u64,
    /// What is sealed.
    pub sealed: &'a str,
    /// The seal that it bears.
    pub seal: Seal,
}

/// Takes a line apart; `None` where it is none.
pub fn take_apart(line: &str) -> Option<Parts<'_>> {
    let (sealed, rest) = line.rsplit_once(HASH)?;
    let seal = Seal::parse(rest.strip_suffix(END)?)?;
    let (seq, _) = sealed.strip_prefix(SEQ)?.split_once(',')?;
    let is_number = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
    Some(Parts { seq: seq.parse().ok().filter(|_| is_number)?, sealed, seal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sealed_one_after_the_other() {
        let key = SealKey::new(&[7; 32]).unwrap();
        let (mut place, mut lines) = (Place::default(), Vec::new());
        for body in ["\"event\":\"a\"", "\"event\":\"b,\\\"hash\\\":\\\"\""] {
            place.append(&key, body.as_bytes(), &mut lines);
        }
        let text = String::from_utf8(lines).unwrap();
        let mut before = Seal::default();
        for (n, line) in text.lines().enumerate() {
            let parts = take_apart(line).unwrap();
            assert_eq!(parts.seq, n as u64 + 1);
            assert_eq!(parts.seal, key.seal(before, parts.sealed.as_bytes()));
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok());
            before = parts.seal;
        }
        assert_eq!(place, Place { seq: 2, seal: before });
        assert!(SealKey::new(&[7; 31]).is_none());
    }

    #[test]
    fn what_is_no_line_is_none() {
        let seal = Seal::default();
        for bad in [
            "",
            "{}",
            "{\"seq\":1,\"hash\":\"00\"}",
            "{\"seq\":+1,\"a\":1",
            &format!("{{\"seq\":x,{HASH}{seal}{END}"),
        ] {
            assert_eq!(take_apart(bad), None, "{bad}");
        }
    }
}
