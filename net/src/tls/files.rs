//! What is made of files, and made again when they change.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::TlsError;

type Build<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, TlsError> + Send + Sync>;

/// Something that is made of files, and made anew when [`Watched::look`] finds other content in them.
pub(super) struct Watched<T> {
    files: Vec<PathBuf>,
    build: Build<T>,
    current: Mutex<Current<T>>,
}

struct Current<T> {
    /// What the files held. It stays in memory beside what was made of it, which holds the same.
    contents: Vec<Vec<u8>>,
    value: Arc<T>,
    /// What was last said to be wrong, so that it is said once.
    complaint: Option<String>,
}

impl<T> Watched<T> {
    /// Makes it of these files, whose contents `build` gets in the same order.
    pub(super) fn new(files: Vec<PathBuf>, build: Build<T>) -> Result<Self, TlsError> {
        let contents = read(&files)?;
        let value = Arc::new(build(&contents)?);
        let current = Mutex::new(Current { contents, value, complaint: None });
        Ok(Self { files, build, current })
    }

    /// What is in use.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.lock().value)
    }

    /// Reads the files again. What is wrong is logged once, and what was in use stays: a certificate and its key are two
    /// files, which nobody can replace at once. Blocks on the file system.
    pub(super) fn look(&self) {
        let read = read(&self.files);
        if let Ok(contents) = &read
            && self.current.lock().contents == *contents
        {
            self.current.lock().complaint = None;
            return;
        }
        let made = read.and_then(|contents| Ok(((self.build)(&contents)?, contents)));
        let mut current = self.current.lock();
        match made {
            Ok((value, contents)) => {
                *current = Current { contents, value: Arc::new(value), complaint: None };
                tracing::info!(files = ?self.files, "certificates were renewed");
            }
            Err(error) => {
                let complaint = error.to_string();
                if current.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(%error, "certificates cannot be renewed, the ones before stay in use");
                    current.complaint = Some(complaint);
                }
            }
        }
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, TlsError> {
    let read =
        files.iter().map(|path| fs::read(path).map_err(|cause| TlsError::File { path: path.clone(), cause }));
    read.collect()
}
