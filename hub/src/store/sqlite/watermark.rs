//! The file beside the database by which one that was restored, copied or replaced is recognised when it is opened.
//!
//! It says how far the database has got, in which file that is, and which file it is itself. So it does not speak for the
//! database where either was copied, over the old file or beside it: a copy over another file leaves that file's
//! identity, and this one, which is made anew every time, has another. A file is known by its inode and, where the file
//! system tells it, the time at which it was made; not by its device, whose number is another one after a restart. Both
//! stay as they are when a folder is renamed or its disk is mounted elsewhere.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::domain::position::Epoch;

/// Its name, in the database's folder.
pub(super) const NAME: &str = "carillon.watermark";

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    inode: u64,
    /// When it was made, in nanoseconds since 1970; 0 where the file system does not tell.
    made: u128,
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Self { inode: metadata.ino(), made: made.map_or(0, |made| made.as_nanos()) }
    }

    /// Whether both may be the same file. A kernel may tell what the one before did not.
    fn is(self, other: Self) -> bool {
        self.inode == other.inode && (self.made == other.made || self.made == 0 || other.made == 0)
    }
}

/// What a watermark says.
struct Said {
    epoch: Epoch,
    committed: i64,
    /// The database's file, and its own; `None` as versions before wrote it.
    files: Option<(FileId, FileId)>,
}

impl Said {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let epoch = Epoch(words.next()?.parse().ok()?);
        let committed = words.next()?.parse().ok()?;
        let mut file =
            || Some(FileId { inode: words.next()?.parse().ok()?, made: words.next()?.parse().ok()? });
        let files = file().and_then(|database| Some((database, file()?)));
        Some(Self { epoch, committed, files })
    }
}

/// The watermark of a database. What it says is never ahead of the database, so a database that is behind it is an older
/// one.
#[derive(Debug)]
pub(super) struct Watermark {
    path: PathBuf,
    database: FileId,
    /// The epoch and row that were written last.
    written: Option<(Epoch, i64)>,
}

impl Watermark {
    /// That of the database `file` in `folder`. On a file system of an engine's own, `file` is none of the system's.
    pub(super) fn new(folder: &Path, file: &Path) -> Self {
        let database =
            std::fs::metadata(file).map_or(FileId { inode: 0, made: 0 }, |metadata| FileId::of(&metadata));
        Self { path: folder.join(NAME), database, written: None }
    }

    /// Whether this database, in this epoch and with this row as its last, is the one that was here before. The error says
    /// why not.
    pub(super) fn knows(&self, epoch: Epoch, committed: i64) -> Result<(), &'static str> {
        let said = self.read().ok_or("nothing beside it says that it was here")?;
        let itself = std::fs::metadata(&self.path).map(|found| FileId::of(&found));
        if said.files.as_ref().is_some_and(|(database, _)| !database.is(self.database)) {
            Err("it is in another file")
        } else if said.files.is_some_and(|(_, said)| !itself.is_ok_and(|itself| said.is(itself))) {
            Err("its folder is a copy")
        } else if said.epoch != epoch {
            Err("it is of another epoch")
        } else if said.committed > committed {
            Err("it is older than it was")
        } else {
            Ok(())
        }
    }

    fn read(&self) -> Option<Said> {
        Said::parse(&std::fs::read_to_string(&self.path).ok()?)
    }

    /// Says that the database has got so far in this epoch.
    pub(super) fn begin(&mut self, epoch: Epoch, committed: i64) {
        match self.put(epoch, committed) {
            Ok(()) => self.written = Some((epoch, committed)),
            // The one before stays: at worst the next opening takes the database for a restored one.
            Err(error) => tracing::warn!(%error, "writing the watermark failed"),
        }
    }

    /// Says that it has got so far, where that is further than before.
    pub(super) fn write(&mut self, committed: i64) {
        match self.written {
            Some((epoch, before)) if committed > before => self.begin(epoch, committed),
            _ => {}
        }
    }

    /// Synced before it takes its place: none that was cut off is ever read.
    fn put(&self, epoch: Epoch, committed: i64) -> io::Result<()> {
        let next = self.path.with_extension("watermark.next");
        let mut file = File::create(&next)?;
        let itself = FileId::of(&file.metadata()?);
        let FileId { inode, made } = self.database;
        writeln!(file, "{} {committed} {inode} {made} {} {}", epoch.0, itself.inode, itself.made)?;
        file.sync_data()?;
        std::fs::rename(&next, &self.path)
    }
}
