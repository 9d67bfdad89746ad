//! Idempotency keys that no other run has used.

use prost::bytes::Bytes;

/// The keys of one run.
pub(super) struct Keys([u8; 8]);

impl Keys {
    /// With a random beginning.
    pub(super) fn new() -> std::io::Result<Self> {
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(std::io::Error::other)?;
        Ok(Self(run))
    }

    /// The key of the run's send number `number`.
    pub(super) fn key(&self, number: u64) -> Bytes {
        Bytes::copy_from_slice(&[self.0, number.to_be_bytes()].concat())
    }
}
