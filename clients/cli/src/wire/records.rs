//! Splits a byte stream into records that begin with their length, wherever the network cut the stream.

use std::marker::PhantomData;

use super::WireError;

/// What kind of record: how long its head is and what the head says of the whole.
pub(super) trait Form {
    /// Bytes of the head, or of its beginning where that says how long the whole head is.
    const HEAD: usize;
    /// Largest record accepted, head included, bytes.
    const LIMIT: usize;
    /// Bytes of the whole head. `head` has [`Self::HEAD`] bytes.
    fn head(_head: &[u8]) -> usize {
        Self::HEAD
    }
    /// Bytes of the whole record, head included. `head` has as many bytes as [`Self::head`] says.
    fn length(head: &[u8]) -> usize;
}

/// A gRPC message: a flag, then the length in four bytes, big-endian.
pub(super) struct Grpc;

impl Form for Grpc {
    const HEAD: usize = 5;
    /// A page of history of the largest messages stays below this.
    const LIMIT: usize = 16 << 20;

    fn length(head: &[u8]) -> usize {
        Self::HEAD + head[1..Self::HEAD].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    }
}

/// The records of one stream. Holds bytes only while a record is incomplete.
pub(super) struct Records<F> {
    partial: Vec<u8>,
    form: PhantomData<F>,
}

impl<F: Form> Records<F> {
    pub(super) fn new() -> Self {
        Self { partial: Vec::new(), form: PhantomData }
    }

    /// Takes what arrived and hands every record that it completes to `take`, in order.
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        if !self.partial.is_empty() {
            input = self.top_up(F::HEAD, input);
            let Some(head) = self.partial.get(..F::HEAD).map(F::head) else { return Ok(()) };
            input = self.top_up(head, input);
            let Some(length) = Self::length(&self.partial)? else { return Ok(()) };
            input = self.top_up(length, input);
            if self.partial.len() < length {
                return Ok(());
            }
            let mut record = std::mem::take(&mut self.partial);
            take(&record)?;
            record.clear();
            self.partial = record;
        }
        while let Some(length) = Self::length(input)?.filter(|length| *length <= input.len()) {
            let (record, rest) = input.split_at(length);
            take(record)?;
            input = rest;
        }
        self.partial.extend_from_slice(input);
        Ok(())
    }

    /// Fills the partial record up to `length` bytes; gives back what of `input` lies beyond.
    fn top_up<'a>(&mut self, length: usize, input: &'a [u8]) -> &'a [u8] {
        let missing = length.saturating_sub(self.partial.len()).min(input.len());
        let (mine, rest) = input.split_at(missing);
        self.partial.extend_from_slice(mine);
        rest
    }

    /// The length of the record that begins here, once its head is there.
    fn length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
        let head = bytes.get(..F::HEAD).and_then(|beginning| bytes.get(..F::head(beginning)));
        match head.map(F::length) {
            Some(length) if length > F::LIMIT => Err(WireError::Malformed("a record beyond its limit")),
            length => Ok(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0], &length[..], message].concat()
    }

    #[test]
    fn records_are_the_same_wherever_the_stream_is_cut() {
        let messages = [&b""[..], b"a", b"some more", &[7; 300]];
        let stream: Vec<u8> = messages.iter().flat_map(|message| prefixed(message)).collect();
        for first in 0..stream.len() {
            for second in [first, first + 1, first + 6, stream.len()] {
                let second = second.min(stream.len());
                let mut records = Records::<Grpc>::new();
                let mut seen = Vec::new();
                for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
                    let take = |record: &[u8]| {
                        seen.push(record[Grpc::HEAD..].to_vec());
                        Ok(())
                    };
                    records.feed(piece, take).unwrap();
                }
                assert_eq!(seen, messages);
                assert!(records.partial.is_empty());
            }
        }
    }

    #[test]
    fn length_beyond_the_limit_is_refused_before_it_is_buffered() {
        let mut records = Records::<Grpc>::new();
        let failure = records.feed(&[0, 255, 255, 255, 255], |_| Ok(()));
        assert!(matches!(failure, Err(WireError::Malformed(_))));
    }
}
