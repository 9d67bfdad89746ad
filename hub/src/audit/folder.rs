//! The folder of audit files: `audit-N.jsonl`, N the number of its first line with 20 digits, so that names sort. The
//! last one grows; when it is full the next begins, and past so many the oldest goes.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const LOCK: &str = "lock";

/// The folder, which is one process's.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens it, made where it is missing, for its owner alone. `WouldBlock` where another process has it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = options().open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::WouldBlock, "another process writes to it"))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Its files in order.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        files(&self.path)
    }

    /// Opens the file whose first line is `first`, or makes it.
    pub(super) fn file(&self, first: u64) -> io::Result<Growing> {
        Growing::open(&self.path.join(format!("{PREFIX}{first:020}{SUFFIX}")))
    }

    /// Makes new and removed names last.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options
}

/// The audit files of a folder, in order.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names: Vec<OsString> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if first_line(&name).is_some() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The number of a file's first line, from its name.
pub(super) fn first_line(name: &std::ffi::OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let is_ours = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_ours)
}

/// Goes over the whole lines of a file; what follows the last line's end is left out. How many bytes they were.
pub fn for_each_line(file: &Path, mut take: impl FnMut(&str)) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(file)?);
    let (mut line, mut bytes) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        let Some(whole) = line.strip_suffix(b"\n") else { return Ok(bytes) };
        bytes += read as u64;
        take(&String::from_utf8_lossy(whole));
    }
}

/// A file that lines are added to, whole or not at all.
#[derive(Debug)]
pub(super) struct Growing {
    file: File,
    /// Bytes of whole lines.
    whole: u64,
}

impl Growing {
    fn open(path: &Path) -> io::Result<Self> {
        let file = options().open(path)?;
        let whole = file.metadata()?.len();
        Ok(Self { file, whole })
    }

    /// Bytes that it holds.
    pub(super) fn len(&self) -> u64 {
        self.whole
    }

    /// Takes off what follows the last whole line: half a line that a crash left.
    pub(super) fn cut(&mut self, whole: u64) -> io::Result<()> {
        self.file.set_len(whole)?;
        self.whole = whole;
        Ok(())
    }

    /// Adds lines. Where that fails none of them is there.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        // An earlier attempt may have left a part.
        self.file.set_len(self.whole)?;
        self.file.write_all(lines)?;
        self.whole += lines.len() as u64;
        Ok(())
    }

    /// Makes what was added outlast a power failure.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
