//! Frames that cost the sender nothing and us something: pings, settings, resets, empty data. HTTP/2 lets a client send as
//! many as it likes; here a connection with too many of them ends. Plain state over the bytes as they come in.

use crate::domain::limits::{FRAMES_CONTROL, FRAMES_EMPTY, FRAMES_RESET, FRAMES_WINDOW};
use crate::domain::rate::{Bucket, Rate};
use crate::domain::time::Moment;

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, before the first frame.
const PREFACE: usize = 24;
/// Length (3 bytes), type, flags, stream (4 bytes): RFC 9113, section 4.1.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;

/// A connection has sent too many frames of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} frames")]
pub(super) struct Flood(&'static str);

/// Counts a connection's frames by kind.
#[derive(Debug)]
pub(super) struct FrameMeter {
    /// Bytes to pass over: the rest of the preface or of a frame's payload.
    skip: usize,
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    gathered: usize,
    resets: Kind,
    empty: Kind,
    windows: Kind,
    control: Kind,
}

/// Frames of a kind: so many of them take one from the bucket.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    rate: Rate,
    per: u8,
    counted: u8,
    bucket: Bucket,
}

impl Kind {
    fn new(name: &'static str, rate: Rate, per: u8) -> Self {
        Self { name, rate, per, counted: 0, bucket: Bucket::default() }
    }

    fn count(&mut self, now: Moment) -> Result<(), Flood> {
        self.counted += 1;
        if self.counted < self.per {
            return Ok(());
        }
        self.counted = 0;
        self.bucket.take(self.rate, now).map_err(|_| Flood(self.name))
    }
}

impl Default for FrameMeter {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            gathered: 0,
            resets: Kind::new("RST_STREAM", FRAMES_RESET, 1),
            empty: Kind::new("empty DATA", FRAMES_EMPTY, 1),
            windows: Kind::new("WINDOW_UPDATE", FRAMES_WINDOW, 50),
            control: Kind::new("control", FRAMES_CONTROL, 10),
        }
    }
}

impl FrameMeter {
    /// Takes what came in at `now`, cut anywhere.
    pub(super) fn take(&mut self, mut bytes: &[u8], now: Moment) -> Result<(), Flood> {
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            let wanted = (HEAD - self.gathered).min(bytes.len());
            if wanted == 0 {
                return Ok(());
            }
            let (part, rest) = bytes.split_at(wanted);
            if let Some(room) = self.head.get_mut(self.gathered..self.gathered + wanted) {
                room.copy_from_slice(part);
            }
            self.gathered += wanted;
            bytes = rest;
            if self.gathered == HEAD {
                self.gathered = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                self.skip = length;
                self.count(length, kind, flags, now)?;
            }
        }
    }

    fn count(&mut self, length: usize, kind: u8, flags: u8, now: Moment) -> Result<(), Flood> {
        match kind {
            // No client of ours pads, and only padding makes data of nothing look like more.
            DATA if (length == 0 && flags & END_STREAM == 0) || flags & PADDED != 0 => self.empty.count(now),
            // Streams have limits of their own.
            DATA | HEADERS => Ok(()),
            RST_STREAM => self.resets.count(now),
            WINDOW_UPDATE => self.windows.count(now),
            // PRIORITY, SETTINGS, PING, GOAWAY, CONTINUATION and what nobody knows.
            _ => self.control.count(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = (length as u32).to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + length, 0xff);
        frame
    }

    /// How many of these frames are taken at one moment before the flood is seen.
    fn taken(kind: u8, flags: u8, length: usize, most: u32) -> u32 {
        let mut meter = FrameMeter::default();
        meter.take(&[0; PREFACE], Moment(1)).unwrap();
        let frame = frame(kind, flags, length);
        (0..most).take_while(|_| meter.take(&frame, Moment(1)).is_ok()).count() as u32
    }

    #[test]
    fn each_kind_has_its_limit() {
        let ping = 6;
        assert_eq!(taken(ping, 0, 8, 1_000_000), FRAMES_CONTROL.burst * 10 + 9);
        assert_eq!(taken(RST_STREAM, 0, 4, 1_000_000), FRAMES_RESET.burst);
        assert_eq!(taken(WINDOW_UPDATE, 0, 4, 1_000_000), FRAMES_WINDOW.burst * 50 + 49);
        assert_eq!(taken(DATA, 0, 0, 1_000_000), FRAMES_EMPTY.burst);
        assert_eq!(taken(DATA, PADDED, 200, 1_000_000), FRAMES_EMPTY.burst);
        for (kind, flags, length) in [(DATA, 0, 5), (DATA, END_STREAM, 0), (HEADERS, 4, 60)] {
            assert_eq!(taken(kind, flags, length, 300_000), 300_000, "{kind} {flags} {length}");
        }
    }

    #[test]
    fn what_comes_slowly_enough_goes_on() {
        let mut meter = FrameMeter::default();
        meter.take(&[0; PREFACE], Moment(1)).unwrap();
        let reset = frame(RST_STREAM, 0, 4);
        for n in 0..10 * u64::from(FRAMES_RESET.burst) {
            let at = Moment(1 + n * FRAMES_RESET.every.as_millis() as u64);
            assert_eq!(meter.take(&reset, at), Ok(()), "{n}");
        }
    }

    proptest! {
        /// However the bytes are cut, the same frames are counted.
        #[test]
        fn cuts_do_not_matter(
            frames in prop::collection::vec((0_u8..12, any::<u8>(), 0_usize..40), 1..60),
            cuts in prop::collection::vec(1_usize..30, 1..200),
        ) {
            let mut bytes = vec![0; PREFACE];
            for (kind, flags, length) in &frames {
                bytes.extend(frame(*kind, *flags, *length));
            }
            let mut whole = FrameMeter::default();
            whole.take(&bytes, Moment(1)).unwrap();
            let mut cut = FrameMeter::default();
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (part, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                cut.take(part, Moment(1)).unwrap();
                rest = after;
            }
            prop_assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
        }
    }
}
