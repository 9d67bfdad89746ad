//! A disk that keeps apart what was synced and what was only written, and loses power when it is told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a disk writes as one.
const SECTOR: usize = 512;

/// A disk. All its files are in memory.
pub(crate) struct Disk {
    pub(crate) files: Mutex<HashMap<String, Arc<Mutex<DiskFile>>>>,
    /// Operations until the power goes; it is off at 0.
    left: AtomicU64,
    /// Whether it lies: syncs do nothing.
    pub(crate) ignores_syncs: bool,
}

/// A file of a disk.
#[derive(Default)]
pub(crate) struct DiskFile {
    /// As it reads.
    pub(crate) now: Vec<u8>,
    /// As it is after a loss of power, at least.
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// Random bits that a seed decides.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

impl Disk {
    pub(crate) fn new(ignores_syncs: bool) -> Self {
        Self { files: Mutex::default(), left: AtomicU64::new(u64::MAX), ignores_syncs }
    }

    /// Loses power after so many operations that change something.
    pub(crate) fn lose_power_after(&self, operations: u64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// Counts an operation; false where the power is off.
    pub(crate) fn operate(&self) -> bool {
        let count = |left: u64| if left == u64::MAX { Some(left) } else { left.checked_sub(1) };
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count).is_ok_and(|before| before > 1)
    }

    /// Power is back: of what was not synced some is there, as the random bits will.
    pub(crate) fn restore_power(&self, random: &mut Random) {
        for file in self.files.lock().values() {
            file.lock().lose(random);
        }
        self.left.store(u64::MAX, Ordering::SeqCst);
    }
}

impl DiskFile {
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        let change = Change::Write { at, bytes: bytes.to_vec() };
        change.apply(&mut self.now);
        self.unsynced.push(change);
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        Change::Truncate(length).apply(&mut self.now);
        self.unsynced.push(Change::Truncate(length));
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.synced);
        }
    }

    fn lose(&mut self, random: &mut Random) {
        let mode = random.below(3);
        for change in std::mem::take(&mut self.unsynced) {
            match (mode, change) {
                (0, _) => {}
                (1, change) => {
                    if random.below(2) == 0 {
                        change.apply(&mut self.synced);
                    }
                }
                (_, Change::Truncate(length)) => Change::Truncate(length).apply(&mut self.synced),
                (_, Change::Write { at, bytes }) => {
                    for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                        if random.below(2) == 0 {
                            let torn = Change::Write { at: at + index * SECTOR, bytes: sector.to_vec() };
                            torn.apply(&mut self.synced);
                        }
                    }
                }
            }
        }
        self.now.clone_from(&self.synced);
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
            Self::Truncate(length) => content.truncate(*length),
        }
    }
}
