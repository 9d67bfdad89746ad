//! The places that `listen --since-file` keeps, as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use carillon_client::{Positions, RoomPlace, v1};
use serde::{Deserialize, Serialize};

/// What the file holds. A place that it has once is not forgotten where a run does not name its room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    rooms: BTreeMap<String, KeptRoom>,
    inbox: Option<KeptInbox>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptRoom {
    epoch: u64,
    seq: u64,
    tag: u32,
    /// The hub joined it by itself once. It is carried on without being named: what was missed of it comes, too.
    #[serde(default)]
    automatic: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptInbox {
    epoch: u64,
    own: u64,
    broadcast: u64,
}

impl Kept {
    /// What an earlier run stored; nothing when there is no file yet.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        serde_json::from_str(&text)
            .with_context(|| format!("{} holds no positions: remove it to start afresh", path.display()))
    }

    /// Stores it. A reader sees the old file or the new one, never a part.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let part = path.with_added_extension("part");
        let written = serde_json::to_string(self).map_err(io::Error::other);
        written
            .and_then(|text| fs::write(&part, text))
            .and_then(|()| fs::rename(&part, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Where a run that names these rooms carries on, with or without presence in them.
    pub(crate) fn resume(&self, named: &[String], presence: bool) -> Positions {
        let rooms = self.rooms.iter().filter_map(|(room, at)| {
            let is_named = named.contains(room);
            let position = Some(v1::Position { epoch: at.epoch, seq: at.seq, tag: at.tag });
            let place = RoomPlace { position, presence: presence && is_named };
            (is_named || at.automatic).then(|| (room.clone(), place))
        });
        let inbox =
            self.inbox.map(|at| v1::InboxPosition { epoch: at.epoch, own: at.own, broadcast: at.broadcast });
        Positions { rooms: rooms.collect(), inbox }
    }

    /// Takes over where a client is that was to follow these rooms.
    pub(crate) fn take_over(&mut self, positions: &Positions, named: &[String]) {
        for (room, place) in &positions.rooms {
            if let Some(position) = place.position {
                self.moves(room, position, named);
            }
        }
        if let Some(at) = positions.inbox {
            self.inbox = Some(KeptInbox { epoch: at.epoch, own: at.own, broadcast: at.broadcast });
        }
    }

    /// A room is followed up to here.
    pub(crate) fn moves(&mut self, room: &str, to: v1::Position, named: &[String]) {
        let automatic =
            self.rooms.get(room).is_some_and(|kept| kept.automatic) || !named.iter().any(|name| name == room);
        let kept = KeptRoom { epoch: to.epoch, seq: to.seq, tag: to.tag, automatic };
        self.rooms.insert(room.to_owned(), kept);
    }

    /// A room was left: one that nobody named is not to be joined again.
    pub(crate) fn left(&mut self, room: &str, named: &[String]) {
        if !named.iter().any(|name| name == room) {
            self.rooms.remove(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> v1::Position {
        v1::Position { epoch: 1, seq, tag: 3 }
    }

    fn rooms(positions: &Positions) -> Vec<(&str, u64, bool)> {
        let rooms = positions.rooms.iter();
        rooms.map(|(room, place)| (room.as_str(), place.position.unwrap().seq, place.presence)).collect()
    }

    #[test]
    fn places_are_read_as_written_and_a_missing_file_is_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("since.json");
        assert_eq!(Kept::read(&path).unwrap(), Kept::default());
        let mut kept = Kept::default();
        kept.moves("room:a", at(u64::MAX), &["room:a".to_owned()]);
        let inbox = Some(v1::InboxPosition { own: 4, broadcast: 5, epoch: 6 });
        kept.take_over(&Positions { inbox, ..Positions::default() }, &[]);
        kept.write(&path).unwrap();
        assert_eq!(Kept::read(&path).unwrap(), kept);
        assert_eq!(kept.resume(&[], false).inbox, inbox);
        let before = r#"{"rooms":{"room:a":{"epoch":1,"seq":2,"tag":3,"presence":true}},"inbox":null}"#;
        fs::write(&path, before).unwrap();
        assert_eq!(
            rooms(&Kept::read(&path).unwrap().resume(&["room:a".to_owned()], false)),
            [("room:a", 2, false)]
        );
        fs::write(&path, "{").unwrap();
        assert!(Kept::read(&path).is_err());
    }

    #[test]
    fn only_what_is_named_is_carried_on_and_nothing_is_forgotten() {
        let named = |rooms: &[&str]| rooms.iter().map(|&room| room.to_owned()).collect::<Vec<_>>();
        let (both, first) = (named(&["room:a", "room:b"]), named(&["room:a"]));
        let mut kept = Kept::default();
        for (room, seq) in [("room:a", 1), ("room:b", 2), ("org:dev", 3), ("user:bob", 4)] {
            kept.moves(room, at(seq), &both);
        }
        let carried = kept.resume(&first, true);
        assert_eq!(rooms(&carried), [("org:dev", 3, false), ("room:a", 1, true), ("user:bob", 4, false)]);
        kept.take_over(&carried, &first);
        kept.moves("room:a", at(5), &first);
        kept.left("user:bob", &first);
        kept.left("room:a", &first);
        assert_eq!(
            rooms(&kept.resume(&both, false)),
            [("org:dev", 3, false), ("room:a", 5, false), ("room:b", 2, false)]
        );
    }
}
