//! What a store's commit is to other nodes, as bytes: what scripts publish, and what a node publishes in their place.
//!
//! Little endian: version u8, kind u8, then the [`Head`], then by kind. `bus::envelope` reads it, with what nodes say to each
//! other besides.

use crate::domain::entry::Entry;
use crate::domain::inbox::Notice;
use crate::domain::marks::Marks;
use crate::domain::names::{RoomName, UserId, UserKey};
use crate::domain::position::{Epoch, Seq, Tag};
use crate::domain::time::Timestamp;

use super::wire::put_bytes16;
use super::{notice, record};

/// The version that is written.
pub const VERSION: u8 = 1;

/// Of what every node is to hear, its publisher too: no node has it.
pub const NOBODY: u64 = 0;

/// Who published, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The publisher's random id.
    pub node: u64,
    /// The epoch of the store when it was published.
    pub epoch: Epoch,
}

impl Head {
    /// Its bytes: the node, then the epoch.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (node, epoch) = bytes.split_at_mut(8);
        node.copy_from_slice(&self.node.to_le_bytes());
        epoch.copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes
    }

    /// The beginning of a message of a kind, with room for so many bytes after it.
    pub fn begin(self, kind: u8, room: usize) -> Vec<u8> {
        let mut to = Vec::with_capacity(18 + room);
        to.extend_from_slice(&[VERSION, kind]);
        to.extend_from_slice(&self.to_bytes());
        to
    }
}

/// An entry, with the tag of the one before it.
pub fn entry(head: Head, entry: &Entry, previous: Tag) -> Vec<u8> {
    let mut to = head.begin(1, 64);
    to.extend_from_slice(&entry.seq.0.to_le_bytes());
    to.extend_from_slice(&previous.0.to_le_bytes());
    to.extend_from_slice(&record::encode(entry));
    to
}

/// A user's marks in a room.
pub fn marks(head: Head, user: &UserId, marks: Marks) -> Vec<u8> {
    let mut to = head.begin(2, 64);
    put_bytes16(&mut to, user.as_str().as_bytes());
    for number in [marks.delivered.0, marks.read.0, marks.read_number] {
        to.extend_from_slice(&number.to_le_bytes());
    }
    to
}

/// A notification: in a user's own log, or in the tenant's.
pub fn notice(head: Head, seq: Seq, time: Timestamp, notice: &Notice, is_broadcast: bool) -> Vec<u8> {
    let mut to = head.begin(if is_broadcast { 4 } else { 3 }, 64);
    to.extend_from_slice(&seq.0.to_le_bytes());
    to.extend_from_slice(&time.millis().to_le_bytes());
    to.extend_from_slice(&notice::encode(notice));
    to
}

/// Whether a user is a member of a room from now on: on the user's channel.
pub fn member(head: Head, room: &RoomName, is_member: bool) -> Vec<u8> {
    let mut to = head.begin(10, 64);
    to.push(1);
    put_bytes16(&mut to, room.as_str().as_bytes());
    to.push(u8::from(is_member));
    to
}

/// A user's content was blanked: on the hub's channel.
pub fn erased(head: Head, user: &UserKey) -> Vec<u8> {
    let mut to = head.begin(7, 64);
    put_bytes16(&mut to, user.tenant.as_str().as_bytes());
    put_bytes16(&mut to, user.user.as_str().as_bytes());
    to
}

/// A log has got at least this far: whoever was not told that asks the store.
pub fn reached(head: Head, seq: Seq) -> Vec<u8> {
    let mut to = head.begin(12, 8);
    to.extend_from_slice(&seq.0.to_le_bytes());
    to
}

/// Tokens are good no more: the store says which.
pub fn revoked(head: Head) -> Vec<u8> {
    head.begin(6, 0)
}
