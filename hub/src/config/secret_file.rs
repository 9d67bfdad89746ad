//! A secret that the hub makes for itself and finds again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Makes the secret, 32 random bytes in hexadecimal digits for its owner alone, unless it is there. It appears whole or
/// not at all: a crash leaves no half of it, and of two processes that start at once the second finds the first's.
pub(super) fn make(secret: &Path) -> io::Result<()> {
    if secret.exists() {
        return Ok(());
    }
    if let Some(folder) = secret.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut draft = secret.to_owned().into_os_string();
    draft.push(format!(".{}", std::process::id()));
    let draft = Draft(draft.into());
    let mut file = draft.create()?;
    writeln!(file, "{}", random_hex()?)?;
    file.sync_all()?;
    match fs::hard_link(&draft.0, secret) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// A file that is removed at the end, whatever happens.
struct Draft(PathBuf);

impl Draft {
    fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.0)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What is left is a name in the user's own data folder, readable by them alone.
        let _ = fs::remove_file(&self.0);
    }
}

/// 32 random bytes as 64 hexadecimal digits.
fn random_hex() -> io::Result<String> {
    let mut halves = [[0_u8; 16]; 2];
    getrandom::fill(halves.as_flattened_mut()).map_err(|error| io::Error::other(error.to_string()))?;
    let [first, second] = halves.map(u128::from_ne_bytes);
    Ok(format!("{first:032x}{second:032x}"))
}
