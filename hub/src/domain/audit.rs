//! What the audit log's chain is known by.

use std::fmt;

use super::time::Timestamp;

/// A chain of audit lines: those of one folder, or of one run where they go to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub u64);

impl ChainId {
    const OF_FOLDER: u64 = 1 << 63;

    /// A new chain of a run that writes to standard output.
    pub fn of_run(random: u64) -> Self {
        Self(random & !Self::OF_FOLDER)
    }

    /// A new chain of the folder that this number stands for.
    pub fn of_folder(folder: u32, random: u64) -> Self {
        Self(Self::OF_FOLDER | u64::from(folder >> 1) << 32 | random & 0xffff_ffff)
    }

    /// What stands for its folder; `None` where it is none's. Two folders seldom have the same.
    pub fn folder(self) -> Option<u32> {
        let folder = (self.0 >> 32) as u32 & (u32::MAX >> 1);
        (self.0 & Self::OF_FOLDER != 0).then_some(folder)
    }

    /// Reads 16 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An audit line's seal: an HMAC-SHA256 over the seal before it and the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal(pub [u8; 32]);

impl Seal {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut seal = [0; 32];
        for (byte, digits) in seal.iter_mut().zip(text.as_chunks::<2>().0) {
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        Some(Self(seal))
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (digits, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *digits =
                [byte >> 4, byte & 15].map(|half| DIGITS.get(usize::from(half)).copied().unwrap_or(b'?'));
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Where a chain stood: kept apart from the lines, so that a cut or rewritten log is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Which chain.
    pub chain: ChainId,
    /// Its last line's number, from 1.
    pub seq: u64,
    /// Its last line's seal.
    pub seal: Seal,
    /// When.
    pub time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        let seal = Seal(std::array::from_fn(|n| n as u8 * 7));
        assert_eq!(Seal::parse(&seal.to_string()), Some(seal));
        assert_eq!(ChainId::parse(&ChainId(0xab).to_string()), Some(ChainId(0xab)));
        for bad in ["", "0", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
            assert_eq!(Seal::parse(bad), None);
        }
        for bad in ["", "0", "+00000000000000a", "g000000000000000"] {
            assert_eq!(ChainId::parse(bad), None);
        }
    }
}
