//! Where a caller is, as far as the hub may believe it.

use std::fmt;
use std::net::IpAddr;

use super::limits::PEER_TEXT_BYTES;

/// Where a session was opened from. Personal data: administrators see it, and nothing logs it; its `Debug` is empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What the client says that it is, as its `user-agent`; at most [`PEER_TEXT_BYTES`].
    pub agent: Option<Box<str>>,
    /// The page's origin, where it is one; at most [`PEER_TEXT_BYTES`].
    pub origin: Option<Box<str>>,
}

impl Peer {
    /// Of this address and these texts, cut where they are too long.
    pub fn new(address: Option<IpAddr>, agent: Option<&str>, origin: Option<&str>) -> Self {
        Self {
            address: address.map(|address| address.to_canonical()),
            agent: agent.map(cut),
            origin: origin.map(cut),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}

fn cut(text: &str) -> Box<str> {
    let mut end = text.len().min(PEER_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_nothing_is_shown_to_a_log() {
        let long = "ä".repeat(PEER_TEXT_BYTES);
        let peer = Peer::new(Some("::ffff:192.0.2.1".parse().unwrap()), Some(&long), None);
        assert_eq!(peer.agent.as_deref().map(str::len), Some(PEER_TEXT_BYTES));
        assert_eq!(peer.address, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(format!("{peer:?}"), "Peer { .. }");
    }
}
