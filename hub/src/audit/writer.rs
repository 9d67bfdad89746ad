//! The thread that writes the log: numbers and seals lines, writes them, begins new files, and notes now and then in the
//! store where the chain stands.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::chain::Place;
use super::entry::event;
use super::folder::{Folder, Growing, first_line};
use super::line::Line;
use super::opening::{Opened, open};
use super::output::Output;
use super::trail::{Queue, Trail, Waiting};
use super::{AuditError, Options};
use crate::domain::audit::{ChainHead, ChainId};
use crate::domain::time::Timestamp;
use crate::telemetry::Metrics;

/// What notes a head outside of the log. Blocks until it is durable.
pub type Anchor = Box<dyn Fn(ChainHead) -> Result<(), crate::store::StoreError> + Send>;

/// After a failure the writer tries again this much later.
const RETRY: Duration = Duration::from_secs(1);

/// A log that is about to be written: lines may be put into its trail, and wait.
pub struct Prepared {
    options: Options,
    queue: Arc<Queue>,
}

impl Prepared {
    /// As `options` say.
    pub fn new(options: Options, metrics: &Metrics) -> Self {
        let queue = Arc::new(Queue::new(options.queue_bytes, options.refuses, metrics.clone()));
        Self { options, queue }
    }

    /// Where lines are put.
    pub fn trail(&self) -> Trail {
        Trail::new(Arc::clone(&self.queue))
    }

    /// Begins where the log ended. `heads` is what was noted of chains before; `anchor` notes new ones.
    pub fn start(self, heads: &[ChainHead], anchor: Anchor) -> Result<AuditLog, AuditError> {
        let Self { options, queue } = self;
        let opened = open(&options, heads)?;
        let writer = Writer::new(options, opened, anchor, Arc::clone(&queue))?;
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run())?;
        Ok(AuditLog { queue, thread })
    }
}

/// A log that is being written.
pub struct AuditLog {
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl AuditLog {
    /// Takes no more lines, and ends when those that wait are written and noted. Blocks.
    pub fn close(self) {
        self.queue.close();
        if self.thread.join().is_err() {
            tracing::error!("the audit log's thread panicked");
        }
    }
}

/// Where lines go.
enum Sink {
    Folder(Folder, Growing),
    Output(Output),
}

struct Writer {
    options: Options,
    sink: Sink,
    chain: ChainId,
    place: Place,
    queue: Arc<Queue>,
    anchor: Anchor,
    anchored: u64,
    /// Whether that could not be noted the last time.
    anchor_fails: bool,
    /// The last line that is written.
    written: u64,
    /// Sealed lines that are not written yet.
    pending: Vec<u8>,
}

impl Writer {
    fn new(options: Options, opened: Opened, anchor: Anchor, queue: Arc<Queue>) -> io::Result<Self> {
        let Opened { folder, file, chain, place, is_broken } = opened;
        let is_new = file.as_ref().is_none_or(|file| file.len() == 0);
        let sink = match (folder, file) {
            (Some(folder), Some(file)) => Sink::Folder(folder, file),
            (Some(folder), None) => {
                let file = folder.file(place.seq + 1)?;
                folder.sync()?;
                Sink::Folder(folder, file)
            }
            (None, _) => Sink::Output(Output::open()?),
        };
        let pending = Vec::new();
        let mut writer = Self {
            options,
            sink,
            chain,
            place,
            queue,
            anchor,
            anchored: 0,
            anchor_fails: false,
            written: place.seq,
            pending,
        };
        if is_new {
            writer.begin_file();
        }
        if is_broken {
            writer.seal(event::BROKEN, |_| {});
        }
        Ok(writer)
    }

    fn run(mut self) {
        let mut due = Instant::now() + self.options.anchor_interval;
        loop {
            let Waiting { bodies, lost, closed } = self.queue.take(due);
            self.rotate();
            for body in bodies.split(|byte| *byte == b'\n').filter(|body| !body.is_empty()) {
                self.place.append(&self.options.key, body, &mut self.pending);
            }
            if lost > 0 {
                self.seal(event::LOST, |line| line.number("count", lost));
            }
            if !self.write() {
                return;
            }
            if closed || Instant::now() >= due {
                if !closed {
                    // It is in what is taken next.
                    self.queue.tell_left_out(false);
                }
                self.note();
                due = Instant::now() + self.options.anchor_interval;
            }
            if closed {
                return;
            }
        }
    }

    /// Seals a line of the log about itself.
    fn seal(&mut self, event: &str, more: impl FnOnce(&mut Line)) {
        let mut line = Line::at(Timestamp::now());
        line.text("event", event);
        line.text("outcome", "ok");
        more(&mut line);
        self.place.append(&self.options.key, &line.into_bytes(), &mut self.pending);
    }

    fn begin_file(&mut self) {
        let (chain, prev) = (self.chain, self.place.seal);
        self.seal(event::FILE, |line| {
            line.shown("chain", chain);
            line.shown("prev", prev);
        });
    }

    /// Writes what is sealed, trying until it works. `false` where it did not and nobody will come any more.
    fn write(&mut self) -> bool {
        let mut failed = false;
        while !self.pending.is_empty() {
            let written = match &mut self.sink {
                Sink::Folder(_, file) => file.append(&self.pending),
                Sink::Output(output) => output.append(&mut self.pending),
            };
            match written {
                Ok(()) => {
                    self.queue.written(self.place.seq - self.written);
                    self.written = self.place.seq;
                    self.pending.clear();
                    self.pending.shrink_to(1 << 20);
                }
                Err(error) => {
                    if !failed {
                        tracing::error!(%error, "the audit log cannot be written");
                        self.queue.set_failing(true);
                    }
                    failed = true;
                    if self.queue.rest(RETRY) {
                        return false;
                    }
                }
            }
        }
        if failed {
            tracing::info!("the audit log is written again");
        }
        // A log whose end nobody would miss is not kept.
        self.queue.set_failing(self.anchor_fails);
        true
    }

    /// Begins a new file where this one is full, and removes the oldest ones past as many as are kept.
    fn rotate(&mut self) {
        let Sink::Folder(folder, file) = &mut self.sink else { return };
        if file.len() < self.options.file_bytes {
            return;
        }
        // Until there is room for another, this one grows.
        let next = file.sync().and_then(|()| folder.file(self.place.seq + 1));
        match next.and_then(|next| folder.sync().map(|()| next)) {
            Ok(next) => *file = next,
            Err(error) => return tracing::error!(%error, "no new audit file can be made"),
        }
        let files = folder.files().unwrap_or_default();
        self.begin_file();
        let surplus = files.len().saturating_sub(self.options.files);
        self.remove(files.split_at(surplus.min(files.len())));
    }

    /// Says in the log that files are removed, and then does so: after a crash in between there is more than is said.
    fn remove(&mut self, (old, kept): (&[PathBuf], &[PathBuf])) {
        let first = kept.first().and_then(|file| first_line(file.file_name()?));
        let Some(first) = first.filter(|_| !old.is_empty()) else { return };
        self.seal(event::REMOVED, |line| line.number("through", first - 1));
        if self.write() {
            for file in old {
                if let Err(error) = fs::remove_file(file) {
                    tracing::error!(%error, "an old audit file cannot be removed");
                }
            }
        }
    }

    /// Notes where the chain stands, once it is on the disk.
    fn note(&mut self) {
        if self.place.seq == self.anchored {
            return;
        }
        let synced = match &self.sink {
            Sink::Folder(_, file) => file.sync(),
            Sink::Output(_) => Ok(()),
        };
        let head = ChainHead {
            chain: self.chain,
            seq: self.place.seq,
            seal: self.place.seal,
            time: Timestamp::now(),
        };
        let noted = synced.map_err(|error| error.to_string());
        match noted.and_then(|()| (self.anchor)(head).map_err(|error| error.to_string())) {
            Ok(()) => {
                self.anchored = self.place.seq;
                self.anchor_fails = false;
            }
            Err(error) => {
                tracing::error!(error, "where the audit log stands could not be noted");
                self.anchor_fails = true;
            }
        }
    }
}
