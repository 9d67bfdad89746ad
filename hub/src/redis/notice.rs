//! The byte form of a notification's notice.

use std::sync::Arc;

use crate::domain::inbox::{Notice, NotificationKind, Priority};
use crate::domain::names::{NotificationId, UserId};
use crate::domain::time::Timestamp;

use super::record::{decode_pairs, encode_pairs, put_content, take_content};
use super::wire::{Malformed, Reader, put_bytes16};

/// Where the priority stands: scripts count by it.
pub const PRIORITY: usize = 0;

/// The byte form of a notice: priority u8, expires i64 (0: never), id, kind, title, sender (each after its length in two
/// bytes), body, data.
pub fn encode(notice: &Notice) -> Vec<u8> {
    let mut to = Vec::with_capacity(128);
    to.push(notice.priority as u8);
    to.extend_from_slice(&notice.expires.map_or(0, Timestamp::millis).to_le_bytes());
    for text in [notice.id.as_str(), notice.kind.as_str(), &notice.title, notice.sender.as_str()] {
        put_bytes16(&mut to, text.as_bytes());
    }
    put_content(&mut to, notice.body.as_ref());
    to.extend_from_slice(&encode_pairs(&notice.data));
    to
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Arc<Notice>, Malformed> {
    let mut from = Reader::new(bytes);
    let priority = Priority::from_number(from.u8()?).ok_or(Malformed("priority"))?;
    let expires = from.i64()?;
    let id = NotificationId::parse(from.text16()?).map_err(|_| Malformed("notification id"))?;
    let kind = NotificationKind::parse(from.text16()?).map_err(|_| Malformed("notification kind"))?;
    let title = from.text16()?.into();
    let sender = UserId::parse(from.text16()?).map_err(|_| Malformed("sender"))?;
    let body = take_content(&mut from)?;
    let data = decode_pairs(from.rest())?;
    let expires = (expires != 0).then_some(Timestamp(expires));
    Ok(Arc::new(Notice { id, kind, title, body, priority, data, sender, expires }))
}
