//! A ticket that every node can redeem, where nodes share where it is kept. What is kept is sealed with a key that is made of
//! the ticket, under a name that is made of it too: whoever reads what is kept can neither open it nor name the ticket.

use std::fmt::Write as _;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

use super::MARK;
use crate::domain::error::{ErrorCode, Refusal};

/// Hexadecimal digits of a ticket's place, and of its secret.
const PLACE_DIGITS: usize = 4;
const SECRET_DIGITS: usize = 32;
/// Bytes of a name.
const NAME_BYTES: usize = 16;

/// A ticket: where it is kept, and 16 random bytes, which nobody has but its bearer.
pub struct SharedTicket {
    place: u16,
    secret: hmac::Key,
    text: String,
}

impl SharedTicket {
    /// A new one that is kept at a place.
    pub fn new(place: u16) -> Result<Self, Refusal> {
        let mut random = [0; SECRET_DIGITS / 2];
        getrandom::fill(&mut random).map_err(|_| ErrorCode::Internal)?;
        let mut text = format!("{MARK}{place:0PLACE_DIGITS$x}");
        write_hexadecimal(&mut text, &random);
        Ok(Self { place, secret: hmac::Key::new(hmac::HMAC_SHA256, &random), text })
    }

    /// A ticket that somebody shows; `None` where no ticket that is kept for all nodes has this form.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(MARK)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != PLACE_DIGITS + SECRET_DIGITS || !digits.bytes().all(is_digit) {
            return None;
        }
        let (place, secret) = digits.split_at_checked(PLACE_DIGITS)?;
        let place = u16::from_str_radix(place, 16).ok()?;
        let secret = u128::from_str_radix(secret, 16).ok()?.to_be_bytes();
        Some(Self { place, secret: hmac::Key::new(hmac::HMAC_SHA256, &secret), text: text.to_owned() })
    }

    /// What its bearer shows.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it is kept.
    pub fn place(&self) -> u16 {
        self.place
    }

    /// By what it is found there.
    pub fn name(&self) -> String {
        let mut name = String::new();
        let tag = hmac::sign(&self.secret, b"carillon ticket: name");
        write_hexadecimal(&mut name, tag.as_ref().get(..NAME_BYTES).unwrap_or_default());
        name
    }

    /// Seals the token that it speaks for.
    pub fn seal(&self, token: &str) -> Result<Vec<u8>, Refusal> {
        let mut sealed = token.as_bytes().to_vec();
        let done = self.sealing_key().map(|key| {
            key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed).map_err(|_| ErrorCode::Internal)
        });
        done.ok_or(ErrorCode::Internal)??;
        Ok(sealed)
    }

    /// Opens it; `None` where it was not sealed for this ticket.
    pub fn open(&self, mut sealed: Vec<u8>) -> Option<String> {
        let opened = self.sealing_key()?.open_in_place(nonce(), Aad::empty(), &mut sealed).ok()?;
        std::str::from_utf8(opened).ok().map(str::to_owned)
    }

    /// `None` never: the digest has as many bytes as the key.
    fn sealing_key(&self) -> Option<LessSafeKey> {
        let bytes = hmac::sign(&self.secret, b"carillon ticket: key");
        UnboundKey::new(&AES_256_GCM, bytes.as_ref()).ok().map(LessSafeKey::new)
    }
}

/// Always the same: a ticket's key seals one token and nothing else.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn write_hexadecimal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to memory cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_the_ticket_opens_what_is_kept() {
        let ticket = SharedTicket::new(0x3a).unwrap();
        let sealed = ticket.seal("head.claims.signature").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"claims"));
        let shown = SharedTicket::parse(ticket.text()).unwrap();
        assert_eq!((shown.place(), shown.name()), (ticket.place(), ticket.name()));
        assert_eq!(shown.open(sealed.clone()).as_deref(), Some("head.claims.signature"));
        let other = SharedTicket::new(0x3a).unwrap();
        assert_ne!(other.name(), ticket.name());
        assert_eq!(other.open(sealed.clone()), None);
        let mut changed = sealed;
        changed[0] ^= 1;
        assert_eq!(shown.open(changed), None);
        assert_eq!(shown.open(Vec::new()), None);
        // What it is found by tells nothing of it but its place.
        let (place, name) = (ticket.place(), ticket.name());
        let secret = ticket.text().strip_prefix("ticket_003a").unwrap();
        assert!(place == 0x3a && name.len() == 32 && secret.len() == 32 && name != secret);
    }

    #[test]
    fn other_texts_are_no_such_tickets() {
        let good = SharedTicket::new(1_023).unwrap().text().to_owned();
        assert!(SharedTicket::parse(&good).is_some());
        let changed = [
            good.to_uppercase(),
            format!("{good}0"),
            good[..good.len() - 1].to_owned(),
            format!("{}+", &good[..good.len() - 1]),
            good.replace("ticket_", "ticket_+"),
            format!("ticket_{}", "0".repeat(32)),
            String::new(),
        ];
        for text in changed {
            assert!(SharedTicket::parse(&text).is_none(), "{text}");
        }
    }
}
