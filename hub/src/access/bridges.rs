//! Which bridges are believed: a bridge says where its clients are, and anyone could say so.

use std::fmt;

use sha2::{Digest, Sha256};

/// What proves that a call comes from a bridge. The default believes nobody.
#[derive(Clone, Default)]
pub struct Bridges {
    /// The key's hash: what is compared tells nothing of the key by the time that it takes.
    key: Option<[u8; 32]>,
    certificates: Vec<String>,
}

impl Bridges {
    /// Those that show this key, or a verified certificate that bears one of these names.
    pub fn new(key: Option<&[u8]>, certificates: Vec<String>) -> Self {
        Self { key: key.map(hash), certificates }
    }

    /// Whether this is the key.
    pub fn know_key(&self, shown: &[u8]) -> bool {
        self.key.is_some_and(|key| key == hash(shown))
    }

    /// Whether a verified certificate with these names is a bridge's.
    pub fn know_certificate(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.certificates.contains(name))
    }
}

impl fmt::Debug for Bridges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridges").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_known_by_its_key_or_by_a_name_that_is_listed() {
        let bridges = Bridges::new(Some(b"the key"), vec!["bridge.internal".to_owned()]);
        assert!(bridges.know_key(b"the key"));
        assert!(!bridges.know_key(b"the key ") && !bridges.know_key(b""));
        assert!(bridges.know_certificate(&["other".to_owned(), "bridge.internal".to_owned()]));
        assert!(!bridges.know_certificate(&["*.internal".to_owned()]) && !bridges.know_certificate(&[]));
    }

    #[test]
    fn without_settings_nobody_is() {
        let nobody = Bridges::default();
        assert!(!nobody.know_key(b"") && !nobody.know_certificate(&[String::new()]));
    }
}
