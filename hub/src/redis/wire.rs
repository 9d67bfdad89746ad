//! Reading and writing little-endian numbers and texts with their lengths: what byte forms are made of.

use std::sync::Arc;

/// Bytes that are not the form that they should be: damaged, or of a version that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged: {0}")]
pub struct Malformed(pub &'static str);

/// Reads a byte form from its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.left
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Malformed("too short"))?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, left) = self.left.split_first_chunk().ok_or(Malformed("too short"))?;
        self.left = left;
        Ok(*taken)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    /// A number of two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A signed number of eight bytes.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_le_bytes)
    }

    /// Bytes after their length in two bytes.
    pub fn bytes16(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// Bytes after their length in four bytes.
    pub fn bytes32(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// A text after its length in two bytes.
    pub fn text16(&mut self) -> Result<&'a str, Malformed> {
        self.bytes16().and_then(text)
    }
}

/// UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("not UTF-8"))
}

/// UTF-8 that is shared.
pub(super) fn shared(bytes: &[u8]) -> Result<Arc<str>, Malformed> {
    text(bytes).map(Arc::from)
}

/// Writes bytes after their length in two bytes; what is longer than [`u16::MAX`] is cut, which no domain value is.
pub fn put_bytes16(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend(bytes.iter().take(length.into()));
}

/// Writes bytes after their length in four bytes.
pub fn put_bytes32(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend(bytes.iter().take(length as usize));
}
