//! Where a log goes on: what its last file says, compared with what was noted.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::chain::Place;
use super::folder::{Folder, Growing, first_line, for_each_line};
use super::verify::{Finding, Verifier};
use super::{AuditError, Options};
use crate::domain::audit::{ChainHead, ChainId};

/// Where a log goes on.
pub(super) struct Opened {
    /// The folder, where lines go into one.
    pub(super) folder: Option<Folder>,
    /// Its last file; `None` where there is none.
    pub(super) file: Option<Growing>,
    /// The chain.
    pub(super) chain: ChainId,
    /// Its last line.
    pub(super) place: Place,
    /// Whether what is there is not what was left.
    pub(super) is_broken: bool,
}

/// Opens the log that `options` names.
pub(super) fn open(options: &Options, heads: &[ChainHead]) -> Result<Opened, AuditError> {
    let random = getrandom::u64().map_err(|_| AuditError::Random)?;
    let fresh = |chain| Opened { folder: None, file: None, chain, place: Place::default(), is_broken: false };
    let Some(path) = options.target.folder() else { return Ok(fresh(ChainId::of_run(random))) };
    let fail = |cause| AuditError::Folder { path: path.clone(), cause };
    let folder = Folder::open(path).map_err(fail)?;
    let files = folder.files().map_err(fail)?;
    let mut is_broken = false;
    for (n, file) in files.iter().enumerate().rev() {
        let mut verifier = Verifier::new(&options.key, &[]);
        let whole = for_each_line(file, |line| verifier.line(line)).map_err(fail)?;
        let (Some(chain), Some(place)) = (verifier.chain(), verifier.place()) else {
            // Begun and not filled, or nothing that is known.
            is_broken |= whole > 0;
            if whole == 0 {
                let first = file.file_name().and_then(first_line).unwrap_or_default();
                folder.file(first).and_then(|mut file| file.cut(0)).map_err(fail)?;
            }
            continue;
        };
        let report = verifier.report();
        let changed = report.findings.iter().filter(|f| matches!(f, Finding::Changed { .. })).count() as u64;
        if report.lines > 1 && changed == report.lines {
            return Err(AuditError::OtherKey(path.clone()));
        }
        is_broken |= report.findings.iter().any(|finding| !matches!(finding, Finding::Reported { .. }));
        let place = compare(chain, place, heads, &mut is_broken);
        let last = files.len() - 1 == n;
        let first = file.file_name().and_then(first_line).unwrap_or_default();
        let file = if last { Some(folder.file(first).map_err(fail)?) } else { None };
        let mut opened = Opened { folder: Some(folder), file, chain, place, is_broken };
        if let Some(file) = &mut opened.file {
            file.cut(whole).map_err(fail)?;
        }
        if is_broken {
            tracing::error!("the audit log is not as it was left: see `carillon admin audit verify`");
        }
        return Ok(opened);
    }
    let chain = ChainId::of_folder(number_of(path), random);
    // Where nothing is left of what was noted of this folder, somebody took it away.
    is_broken |= heads.iter().any(|head| head.chain.folder() == chain.folder());
    if is_broken {
        tracing::error!("the audit log is gone: see `carillon admin audit verify`");
    }
    Ok(Opened { folder: Some(folder), is_broken, ..fresh(chain) })
}

/// Where the chain goes on: no line's number is given twice, so behind whatever was noted.
fn compare(chain: ChainId, place: Place, heads: &[ChainHead], is_broken: &mut bool) -> Place {
    let noted = heads.iter().filter(|head| head.chain == chain).max_by_key(|head| head.seq);
    match noted {
        Some(head) if head.seq > place.seq || head.seq == place.seq && head.seal != place.seal => {
            *is_broken = true;
            Place { seq: head.seq, seal: head.seal }
        }
        _ => place,
    }
}

/// What stands for a folder in its chains' ids: a hash of its path.
fn number_of(folder: &Path) -> u32 {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hash.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
