//! The write-ahead log as a file, looked at before the engine does: which pages of the database it holds. What the engine
//! would take as torn (a wrong checksum) ends it here too. The format is SQLite's (<https://sqlite.org/walformat.html>).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

/// The page size of our databases.
pub(super) const PAGE: usize = 4_096;
/// What a log begins with; the last bit says in which order the checksum takes bytes.
const MAGIC: u32 = 0x377f_0682;
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The database by the last commit in its log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Logged {
    /// Pages that it has.
    pub(super) pages: u32,
    /// Those past a given one that are in the log.
    pub(super) held: BTreeSet<u32>,
}

/// Reads a log; `None` where there is no commit in it. Of the pages that it holds those past `beyond` are told.
pub(super) fn read(path: &Path, beyond: u64) -> io::Result<Option<Logged>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut log = BufReader::with_capacity(64 * PAGE, file);
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let mut sum = Checksum { is_big_endian: number(&header, 0) & 1 == 1, sums: (0, 0) };
    sum.add(&header[..24]);
    if number(&header, 0) & !1 != MAGIC || number(&header, 8) as usize != PAGE || !sum.is_at(&header, 24) {
        return Ok(None);
    }
    let salts = header[16..24].to_vec();
    let (mut last, mut held) = (None, BTreeSet::new());
    let mut frame = vec![0; FRAME_HEADER + PAGE];
    while fill(&mut log, &mut frame)? {
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME_HEADER..]);
        if frame[8..16] != salts || !sum.is_at(&frame, 16) {
            break;
        }
        let (page, pages) = (number(&frame, 0), number(&frame, 4));
        if u64::from(page) > beyond {
            held.insert(page);
        }
        if pages > 0 {
            last = Some(Logged { pages, held: held.clone() });
        }
    }
    Ok(last)
}

/// Fills a buffer; false where the file ends before.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |four| u32::from_be_bytes(*four))
}

/// Goes on from one part of the log to the next.
struct Checksum {
    is_big_endian: bool,
    sums: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let word = |four: &[u8; 4]| {
            if self.is_big_endian { u32::from_be_bytes(*four) } else { u32::from_le_bytes(*four) }
        };
        let (mut first, mut second) = self.sums;
        for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
            first = first.wrapping_add(word(&pair[0])).wrapping_add(second);
            second = second.wrapping_add(word(&pair[1])).wrapping_add(first);
        }
        self.sums = (first, second);
    }

    /// Whether it is what stands there.
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        (number(bytes, at), number(bytes, at + 4)) == self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn a_log_is_read_as_the_engine_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, log) = (folder.path().join("a.db"), folder.path().join("a.db-wal"));
        assert_eq!(read(&log, 0).unwrap(), None);
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x)").unwrap();
        let pages =
            |db: &Connection| db.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0)).unwrap();
        for _ in 0..5 {
            db.execute("INSERT INTO t SELECT randomblob(3000) FROM t UNION ALL SELECT randomblob(9000)", [])
                .unwrap();
            let logged = read(&log, 2).unwrap().unwrap();
            assert_eq!(logged.pages, pages(&db));
            assert_eq!(logged.held, (3..=logged.pages).collect());
        }
        // A commit of which the end is missing is none.
        let (before, bytes) = (read(&log, 2).unwrap().unwrap(), std::fs::read(&log).unwrap());
        db.execute("INSERT INTO t VALUES(randomblob(20000))", []).unwrap();
        let mut torn = std::fs::read(&log).unwrap();
        let last = torn.len() - 10;
        torn[last] ^= 1;
        let copy = folder.path().join("torn");
        for torn in [torn, bytes] {
            std::fs::write(&copy, torn).unwrap();
            assert_eq!(read(&copy, 2).unwrap().as_ref(), Some(&before));
        }
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        assert_eq!(read(&log, 0).unwrap(), None);
    }
}
