//! The frames of HTTP/2 (RFC 9113) that a gRPC stream needs, as bytes.

use super::records::Form;

/// Bytes of a frame's header.
const HEADER: usize = 9;
/// Largest payload of a frame, either way: the protocol's default, which we never raise.
pub(super) const MAX_PAYLOAD: usize = 16_384;
/// Both windows before SETTINGS or `WINDOW_UPDATE` say otherwise.
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
/// What the server may send on one stream before we return credit, bytes.
pub(super) const STREAM_WINDOW: u32 = 2 << 20;
/// The same for the whole connection.
pub(super) const CONNECTION_WINDOW: u32 = 8 << 20;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

/// ACK of SETTINGS and PING, `END_STREAM` of DATA and HEADERS.
pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

const SETTING_HEADER_TABLE_SIZE: u16 = 1;
const SETTING_ENABLE_PUSH: u16 = 2;
pub(super) const SETTING_INITIAL_WINDOW_SIZE: u16 = 4;

/// One whole frame as it arrived.
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// `record` is one that [`Http2`] delimits.
    pub(super) fn parse(record: &'a [u8]) -> Self {
        let stream = u32::from_be_bytes([record[5] & 0x7f, record[6], record[7], record[8]]);
        Self { kind: record[3], flags: record[4], stream, payload: &record[HEADER..] }
    }

    /// The payload of DATA without its padding; `None` when the padding is longer than the payload.
    pub(super) fn data(&self) -> Option<&'a [u8]> {
        if self.flags & PADDED == 0 {
            return Some(self.payload);
        }
        let (padding, rest) = self.payload.split_first()?;
        rest.len().checked_sub(usize::from(*padding)).map(|length| &rest[..length])
    }

    /// The four bytes at `offset` as a number; 0 where they are missing.
    pub(super) fn number(&self, offset: usize) -> u32 {
        let bytes = self.payload.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    }

    /// Identifier and value of each parameter of SETTINGS.
    pub(super) fn settings(&self) -> impl Iterator<Item = (u16, u32)> + use<'a> {
        self.payload.chunks_exact(6).map(|setting| {
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            (u16::from_be_bytes([setting[0], setting[1]]), value)
        })
    }
}

/// Frames as records.
pub(super) struct Http2;

impl Form for Http2 {
    const HEAD: usize = HEADER;
    const LIMIT: usize = HEADER + MAX_PAYLOAD;

    fn length(head: &[u8]) -> usize {
        HEADER + head[..3].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    }
}

/// Appends a frame. `payload` is at most [`MAX_PAYLOAD`] long.
pub(super) fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends `WINDOW_UPDATE`; stream 0 is the connection.
pub(super) fn put_window_update(out: &mut Vec<u8>, stream: u32, credit: u32) {
    put_frame(out, WINDOW_UPDATE, 0, stream, &credit.to_be_bytes());
}

/// Appends what a client says first: preface, settings, and the connection's window.
pub(super) fn put_preface(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let mut settings = Vec::new();
    for (setting, value) in [
        (SETTING_HEADER_TABLE_SIZE, 0),
        (SETTING_ENABLE_PUSH, 0),
        (SETTING_INITIAL_WINDOW_SIZE, STREAM_WINDOW),
    ] {
        settings.extend_from_slice(&setting.to_be_bytes());
        settings.extend_from_slice(&value.to_be_bytes());
    }
    put_frame(out, SETTINGS, 0, 0, &settings);
    put_window_update(out, 0, CONNECTION_WINDOW - DEFAULT_WINDOW);
}

/// Appends the headers that open a gRPC call: indexed fields of HPACK's static table (RFC 7541, appendix A) and literals
/// without indexing, so that the block depends on nothing before it.
pub(super) fn put_call(out: &mut Vec<u8>, stream: u32, authority: &str, path: &str) {
    const METHOD_POST: u8 = 0x83;
    const SCHEME_HTTP: u8 = 0x86;
    const AUTHORITY: u8 = 0x01;
    const PATH: u8 = 0x04;
    const NEW_NAME: u8 = 0x00;
    let mut block = vec![METHOD_POST, SCHEME_HTTP, PATH];
    put_string(&mut block, path);
    block.push(AUTHORITY);
    put_string(&mut block, authority);
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
        block.push(NEW_NAME);
        put_string(&mut block, name);
        put_string(&mut block, value);
    }
    put_frame(out, HEADERS, END_HEADERS, stream, &block);
}

/// An HPACK string without Huffman coding. Ours are shorter than 127 bytes, which makes the length one byte; an
/// authority that is longer is cut, for it serves no routing here.
fn put_string(block: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(126)];
    block.push(bytes.len() as u8);
    block.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_comes_back_as_it_was_put() {
        let mut out = Vec::new();
        put_frame(&mut out, DATA, END_STREAM, 7, b"abc");
        assert_eq!(Http2::length(&out), out.len());
        let frame = Frame::parse(&out);
        assert_eq!((frame.kind, frame.flags, frame.stream), (DATA, END_STREAM, 7));
        assert_eq!(frame.data(), Some(&b"abc"[..]));
    }

    #[test]
    fn padding_is_cut_off() {
        let mut out = Vec::new();
        put_frame(&mut out, DATA, PADDED, 1, &[2, b'x', 0, 0]);
        assert_eq!(Frame::parse(&out).data(), Some(&b"x"[..]));
        let mut out = Vec::new();
        put_frame(&mut out, DATA, PADDED, 1, &[9, b'x', 0, 0]);
        assert_eq!(Frame::parse(&out).data(), None);
    }
}
