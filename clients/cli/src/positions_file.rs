//! The positions that `listen --since-file` keeps, as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use carillon_client::{Positions, RoomPlace, v1};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    rooms: BTreeMap<String, StoredRoom>,
    inbox: Option<StoredInbox>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredRoom {
    epoch: u64,
    seq: u64,
    tag: u32,
    presence: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredInbox {
    epoch: u64,
    own: u64,
    broadcast: u64,
}

/// What an earlier run stored; nothing when there is no file yet.
pub(crate) fn read(path: &Path) -> anyhow::Result<Positions> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Positions::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let stored: Stored = serde_json::from_str(&text)
        .with_context(|| format!("{} holds no positions: remove it to start afresh", path.display()))?;
    let rooms = stored.rooms.into_iter().map(|(room, at)| {
        let position = Some(v1::Position { epoch: at.epoch, seq: at.seq, tag: at.tag });
        (room, RoomPlace { position, presence: at.presence })
    });
    let inbox =
        stored.inbox.map(|at| v1::InboxPosition { epoch: at.epoch, own: at.own, broadcast: at.broadcast });
    Ok(Positions { rooms: rooms.collect(), inbox })
}

/// Stores positions. A reader sees the old file or the new one, never a part.
pub(crate) fn write(path: &Path, positions: &Positions) -> anyhow::Result<()> {
    let rooms = positions.rooms.iter().filter_map(|(room, place)| {
        let at = place.position?;
        let stored = StoredRoom { epoch: at.epoch, seq: at.seq, tag: at.tag, presence: place.presence };
        Some((room.clone(), stored))
    });
    let inbox =
        positions.inbox.map(|at| StoredInbox { epoch: at.epoch, own: at.own, broadcast: at.broadcast });
    let stored = Stored { rooms: rooms.collect(), inbox };
    let part = path.with_added_extension("part");
    let written = serde_json::to_string(&stored).map_err(io::Error::other);
    written
        .and_then(|text| fs::write(&part, text))
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_written_and_a_missing_file_is_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("since.json");
        assert_eq!(read(&path).unwrap(), Positions::default());
        let place =
            RoomPlace { position: Some(v1::Position { epoch: 1, seq: u64::MAX, tag: 3 }), presence: true };
        let inbox = Some(v1::InboxPosition { own: 4, broadcast: 5, epoch: 6 });
        let positions = Positions { rooms: [("conversation:1".to_owned(), place)].into(), inbox };
        write(&path, &positions).unwrap();
        assert_eq!(read(&path).unwrap(), positions);
        fs::write(&path, "{").unwrap();
        assert!(read(&path).is_err());
    }
}
