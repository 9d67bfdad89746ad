//! A line's text, member by member: nothing is made for it but the line itself.

use std::cell::RefCell;
use std::fmt::{Display, Write as _};
use std::io::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::time::Timestamp;

/// The inside of a JSON object, as [`Place::append`](super::chain::Place::append) takes it.
#[derive(Debug, Default)]
pub(super) struct Line(Vec<u8>);

impl Line {
    /// Of something that happened at `time`.
    pub(super) fn at(time: Timestamp) -> Self {
        let mut line = Self(Vec::with_capacity(512));
        line.0.extend_from_slice(b"\"time\":\"");
        write_time(time, &mut line.0);
        line.0.push(b'"');
        line
    }

    /// A member that is a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.value(value);
    }

    /// A member that is a list of texts.
    pub(super) fn texts<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        self.name(name);
        let mut before = b'[';
        for value in values {
            self.0.push(before);
            before = b',';
            self.value(value);
        }
        if before == b'[' {
            self.0.push(before);
        }
        self.0.push(b']');
    }

    fn value(&mut self, value: &str) {
        let is_plain = value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        if is_plain {
            self.0.push(b'"');
            self.0.extend_from_slice(value.as_bytes());
            self.0.push(b'"');
        } else {
            // A text, into memory: it cannot fail.
            let _ = serde_json::to_writer(&mut self.0, value);
        }
    }

    /// A member that is shown as letters and digits.
    pub(super) fn shown(&mut self, name: &str, value: impl Display) {
        self.name(name);
        let _ = write!(self.0, "\"{value}\"");
    }

    /// A member that is a number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    /// Members that were made before.
    pub(super) fn made(&mut self, members: &[u8]) {
        if !self.0.is_empty() && !members.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(members);
    }

    fn name(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// The text.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// `2026-11-25T18:59:00.123Z`.
pub(super) fn write_time(time: Timestamp, into: &mut Vec<u8>) {
    thread_local! {
        /// The second that was last written by this thread, without its `Z`.
        static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let (second, millis) = (time.millis().div_euclid(1_000), time.millis().rem_euclid(1_000));
    LAST.with_borrow_mut(|(last, text)| {
        if *last != second {
            let at = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            text.clear();
            let shown = at.format(&Rfc3339).unwrap_or_default();
            let _ = text.write_str(shown.trim_end_matches('Z'));
            *last = second;
        }
        into.extend_from_slice(text.as_bytes());
    });
    let _ = write!(into, ".{millis:03}Z");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_inside_of_an_object() {
        let mut line = Line::at(Timestamp(1_795_651_200_007));
        line.text("plain", "room:lobby");
        line.text("odd", "a \"quoted\"\n\u{7f} é \\");
        line.shown("address", "::1");
        line.number("count", 7);
        let text = format!("{{{}}}", String::from_utf8(line.into_bytes()).unwrap());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["time"], "2026-11-26T00:00:00.007Z");
        assert_eq!(value["odd"], "a \"quoted\"\n\u{7f} é \\");
        assert_eq!((&value["plain"], &value["count"]), (&"room:lobby".into(), &7.into()));
    }

    #[test]
    fn times_are_of_their_second() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (999, "1970-01-01T00:00:00.999Z"),
            (1_000, "1970-01-01T00:00:01.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            let mut written = Vec::new();
            write_time(Timestamp(millis), &mut written);
            assert_eq!(String::from_utf8(written).unwrap(), text);
        }
    }
}
