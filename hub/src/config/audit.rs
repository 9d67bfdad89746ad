//! `[audit]`: the audit log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::{Broken, duration, number, require};
use super::{HiddenText, secret_file, span};
use crate::audit::{Options, SealKey, Target};
use crate::domain::limits;

/// Where audit lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditTo {
    /// Nowhere.
    Off,
    /// Into files.
    File,
    /// To standard output.
    Stdout,
}

/// What becomes of new sessions and calls while lines cannot be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAuditFailure {
    /// They come in; lines that find no room are counted, and the log says so later.
    #[default]
    Warn,
    /// They are refused with `UNAVAILABLE`.
    Refuse,
}

/// The settings of the audit log.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// Where lines go; by mode where unset.
    pub to: Option<AuditTo>,
    /// The folder of the files; `audit` in the data folder where unset.
    pub folder: Option<PathBuf>,
    /// What lines are sealed with, 32 bytes at least.
    pub key: Option<HiddenText>,
    /// A file that holds the key; `audit-key` in the data folder where neither is set, made where it is missing.
    pub key_file: Option<PathBuf>,
    /// A file that has so many bytes is followed by another.
    pub file_bytes: usize,
    /// So many files are kept.
    pub files: usize,
    /// Bytes of lines that may wait to be written.
    pub queue_bytes: usize,
    /// Where the chain stands is noted in the store this often.
    #[serde(with = "span")]
    pub anchor_interval: Duration,
    /// What becomes of new sessions and calls while lines cannot be kept.
    pub on_failure: OnAuditFailure,
}

impl Default for AuditSection {
    fn default() -> Self {
        Self {
            to: None,
            folder: None,
            key: None,
            key_file: None,
            file_bytes: limits::AUDIT_FILE_BYTES,
            files: limits::AUDIT_FILES,
            queue_bytes: limits::AUDIT_QUEUE_BYTES,
            anchor_interval: limits::AUDIT_ANCHOR_INTERVAL,
            on_failure: OnAuditFailure::Warn,
        }
    }
}

impl AuditSection {
    /// How the log is kept that goes to `to`; makes the key where none is named and the data folder has none.
    pub(super) fn options(&self, to: AuditTo, data: &Path) -> Result<Option<Options>, Broken> {
        let target = match to {
            AuditTo::Off => return Ok(None),
            AuditTo::File => Target::Folder(self.folder.clone().unwrap_or_else(|| data.join("audit"))),
            AuditTo::Stdout => Target::Output,
        };
        Ok(Some(Options {
            target,
            key: self.seal_key(data)?,
            file_bytes: self.file_bytes as u64,
            files: self.files,
            queue_bytes: self.queue_bytes,
            anchor_interval: self.anchor_interval,
            refuses: self.on_failure == OnAuditFailure::Refuse,
        }))
    }

    fn seal_key(&self, data: &Path) -> Result<SealKey, Broken> {
        let (name, bytes) = if let Some(key) = &self.key {
            ("audit.key", key.as_str().as_bytes().to_vec())
        } else {
            let path = self.key_file.clone().unwrap_or_else(|| data.join("audit-key"));
            let unusable = |what: &str, cause: std::io::Error| {
                Broken::new("audit.key_file", format!("{} {what}: {cause}", path.display()))
            };
            if self.key_file.is_none() {
                secret_file::make(&path).map_err(|cause| unusable("cannot be made", cause))?;
            }
            let bytes = std::fs::read(&path).map_err(|cause| unusable("cannot be read", cause))?;
            ("audit.key_file", bytes.trim_ascii().to_vec())
        };
        SealKey::new(&bytes).ok_or_else(|| Broken::new(name, "at least 32 bytes"))
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        let one = "at most one of audit.key and audit.key_file";
        require(self.key.is_none() || self.key_file.is_none(), "audit.key", one)?;
        let is_long = |key: &HiddenText| key.as_str().len() >= 32;
        require(self.key.as_ref().is_none_or(is_long), "audit.key", "at least 32 bytes")?;
        number("audit.file_bytes", self.file_bytes, &(65_536..=1 << 40))?;
        number("audit.files", self.files, &(2..=100_000))?;
        number("audit.queue_bytes", self.queue_bytes, &(65_536..=1 << 30))?;
        let interval = Duration::from_millis(100)..=Duration::from_hours(1);
        duration("audit.anchor_interval", self.anchor_interval, &interval)
    }
}
