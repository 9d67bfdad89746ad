//! HTTP/2 frames as bytes, right or wrong (RFC 9113).

/// What a connection begins with: the preface and empty settings.
pub(super) fn opening() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_HEADERS: u8 = 4;

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call of this path, in HPACK without a table or Huffman codes (RFC 7541). `more` are others.
pub(super) fn call(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // :method POST and :scheme http, from the static table.
    let mut block = vec![0x83, 0x86];
    // Names from the static table: :path and :authority.
    literal(&mut block, Some(4), "", path);
    literal(&mut block, Some(1), "", "hub");
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")].iter().chain(more) {
        literal(&mut block, None, name, value);
    }
    block
}

/// A header that no table learns.
fn literal(block: &mut Vec<u8>, index: Option<u8>, name: &str, value: &str) {
    block.push(index.unwrap_or(0));
    if index.is_none() {
        text(block, name);
    }
    text(block, value);
}

fn text(block: &mut Vec<u8>, text: &str) {
    // An integer of seven bits, continued where it is longer.
    let length = text.len();
    if length < 127 {
        block.push(length as u8);
    } else {
        block.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(text.as_bytes());
}
