//! A log that is written, harmed and gone over.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::domain::audit::ChainHead;
use crate::domain::error::ErrorCode;
use crate::domain::limits::AUDIT_STRANGERS;
use crate::telemetry::Metrics;

type Heads = Arc<Mutex<Vec<ChainHead>>>;

fn key() -> SealKey {
    SealKey::new(&[3; 32]).unwrap()
}

fn options(folder: &Path) -> Options {
    Options {
        target: Target::Folder(folder.to_owned()),
        key: key(),
        file_bytes: 1 << 30,
        files: 3,
        queue_bytes: 1 << 20,
        anchor_interval: Duration::from_hours(1),
        refuses: false,
    }
}

fn start(options: Options, heads: &Heads) -> Result<(Trail, AuditLog), AuditError> {
    let (noted, known) = (Arc::clone(heads), heads.lock().clone());
    let anchor: Anchor = Box::new(move |head| {
        noted.lock().push(head);
        Ok(())
    });
    let prepared = Prepared::new(options, &Metrics::new());
    let trail = prepared.trail();
    Ok((trail, prepared.start(&known, anchor)?))
}

fn source() -> Source {
    Source::call("request-1", crate::domain::peer::Peer::default())
}

/// Writes so many lines in one run.
fn write(options: Options, heads: &Heads, lines: usize) {
    let (trail, log) = start(options, heads).unwrap();
    for _ in 0..lines {
        trail.tell(
            "message_send",
            &source(),
            None,
            About { subject: Some("alice"), ..About::default() },
            Ok(()),
        );
    }
    log.close();
}

fn all_lines(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for file in files(folder).unwrap() {
        for_each_line(&file, |line| lines.push(line.to_owned())).unwrap();
    }
    lines
}

fn verify(lines: &[String], key: &SealKey, heads: &Heads) -> Report {
    let mut verifier = Verifier::new(key, &heads.lock());
    for line in lines {
        verifier.line(line);
    }
    verifier.finish(true)
}

/// A folder with a log of one run.
fn log_of(lines: usize) -> (TempDir, Heads) {
    let (folder, heads) = (tempfile::tempdir().unwrap(), Heads::default());
    write(options(folder.path()), &heads, lines);
    (folder, heads)
}

#[test]
fn strangers_fill_no_log_from_however_many_addresses() {
    let (folder, heads) = (tempfile::tempdir().unwrap(), Heads::default());
    let (trail, log) = start(options(folder.path()), &heads).unwrap();
    let most = AUDIT_STRANGERS.burst as usize;
    for number in 0..2 * most as u32 {
        let address = std::net::IpAddr::V4(number.into());
        let source = Source::call("", crate::domain::peer::Peer::new(Some(address), None, None));
        trail.tell_seldom(event::TURNED_AWAY, &source, None, ErrorCode::TooManyConnections, true);
    }
    log.close();
    // A few more have come to be allowed meanwhile.
    assert!((most..most * 3 / 2).contains(&all_lines(folder.path()).len()));
}

#[test]
fn a_log_goes_on_over_restarts_and_is_whole() {
    let (folder, heads) = log_of(5);
    write(options(folder.path()), &heads, 5);
    let lines = all_lines(folder.path());
    let report = verify(&lines, &key(), &heads);
    assert_eq!((report.findings, report.lines, report.first, report.last), (vec![], 11, 1, 11));
    assert_eq!(report.heads, 2);
    assert!(lines[1].contains("\"subject\":\"alice\"") && lines[0].contains("audit.file"));
}

#[test]
fn half_a_line_that_a_crash_left_goes() {
    let (folder, heads) = log_of(3);
    let file = files(folder.path()).unwrap().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"seq\":5,\"time\":\"20");
    fs::write(&file, bytes).unwrap();
    write(options(folder.path()), &heads, 2);
    let report = verify(&all_lines(folder.path()), &key(), &heads);
    assert_eq!((report.findings, report.last), (vec![], 6));
}

#[test]
fn files_follow_each_other_and_the_oldest_go_with_a_word() {
    let (folder, heads) = (tempfile::tempdir().unwrap(), Heads::default());
    for _ in 0..8 {
        write(Options { file_bytes: 500, ..options(folder.path()) }, &heads, 4);
    }
    let names = files(folder.path()).unwrap();
    assert_eq!(names.len(), 3);
    let lines = all_lines(folder.path());
    let report = verify(&lines, &key(), &heads);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.first > 1);
    // Who takes away one more than the hub did is found.
    fs::remove_file(&names[0]).unwrap();
    let report = verify(&all_lines(folder.path()), &key(), &heads);
    assert!(matches!(report.findings[..], [Finding::Missing { .. }]), "{:?}", report.findings);
}

#[test]
fn a_cut_end_is_found_also_after_the_hub_went_on() {
    let (folder, heads) = log_of(6);
    let file = files(folder.path()).unwrap().remove(0);
    fs::write(&file, all_lines(folder.path())[..4].join("\n") + "\n").unwrap();
    let report = verify(&all_lines(folder.path()), &key(), &heads);
    assert_eq!(report.findings, [Finding::CutOff { first: 5, last: 7 }]);
    write(options(folder.path()), &heads, 1);
    let report = verify(&all_lines(folder.path()), &key(), &heads);
    assert_eq!(report.findings, [Finding::Missing { first: 5, last: 7 }, Finding::Reported { seq: 8 }]);
}

#[test]
fn a_log_that_is_gone_is_found() {
    let (folder, heads) = log_of(6);
    fs::remove_file(files(folder.path()).unwrap().remove(0)).unwrap();
    write(options(folder.path()), &heads, 1);
    let report = verify(&all_lines(folder.path()), &key(), &heads);
    let gone = heads.lock()[0].chain;
    assert_eq!(report.findings, [Finding::Reported { seq: 2 }, Finding::ChainGone { chain: gone }]);
    // A new key has a new folder, of which nothing was noted.
    let other = tempfile::tempdir().unwrap();
    let new_key = SealKey::new(&[5; 32]).unwrap();
    write(Options { key: new_key.clone(), ..options(other.path()) }, &heads, 1);
    assert_eq!(verify(&all_lines(other.path()), &new_key, &heads).findings, []);
}

#[test]
fn a_file_that_was_only_begun_is_begun_again() {
    let (folder, heads) = log_of(3);
    fs::write(folder.path().join(format!("audit-{:020}.jsonl", 5)), "{\"seq\":5,\"time\":\"20").unwrap();
    write(options(folder.path()), &heads, 2);
    let report = verify(&all_lines(folder.path()), &key(), &heads);
    assert_eq!((report.findings, report.last), (vec![], 7));
}

#[test]
fn who_has_the_key_and_rewrites_is_found_by_what_was_noted() {
    let (folder, heads) = log_of(6);
    let lines = all_lines(folder.path());
    let (mut place, mut forged) = (Place::default(), Vec::new());
    for line in &lines {
        let parts = take_apart(line).unwrap();
        let body = parts.sealed.split_once(',').unwrap().1.replace("alice", "mallory");
        place.append(&key(), body.as_bytes(), &mut forged);
    }
    let forged: Vec<_> = String::from_utf8(forged).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(verify(&forged, &key(), &Heads::default()).findings, []);
    assert_eq!(verify(&forged, &key(), &heads).findings, [Finding::Rewritten { seq: 7 }]);
}

#[test]
fn another_key_or_another_process_is_refused() {
    let (folder, heads) = log_of(3);
    let other = Options { key: SealKey::new(&[4; 32]).unwrap(), ..options(folder.path()) };
    assert!(matches!(start(other, &heads), Err(AuditError::OtherKey(_))));
    let (_, first) = start(options(folder.path()), &heads).unwrap();
    assert!(matches!(start(options(folder.path()), &heads), Err(AuditError::Folder { .. })));
    first.close();
}

#[test]
fn what_finds_no_room_is_counted_and_said() {
    let (folder, heads) = (tempfile::tempdir().unwrap(), Heads::default());
    let (trail, log) =
        start(Options { queue_bytes: 10, refuses: true, ..options(folder.path()) }, &heads).unwrap();
    assert!(trail.admits());
    for _ in 0..3 {
        trail.tell("message_send", &source(), None, About::default(), Ok(()));
    }
    assert!(!trail.admits());
    log.close();
    let report = verify(&all_lines(folder.path()), &key(), &heads);
    assert_eq!((report.lost, report.findings), (3, vec![]));
}

/// A harm to lines that are not about the log itself.
#[derive(Clone, Debug)]
enum Harm {
    Remove(prop::sample::Index),
    Change(prop::sample::Index, prop::sample::Index),
    Swap(prop::sample::Index),
    Repeat(prop::sample::Index),
    Cut(prop::sample::Index),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is done to a log without its key is found.
    #[test]
    fn any_harm_is_found(harm in prop_oneof![
        any::<prop::sample::Index>().prop_map(Harm::Remove),
        any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(line, at)| Harm::Change(line, at)),
        any::<prop::sample::Index>().prop_map(Harm::Swap),
        any::<prop::sample::Index>().prop_map(Harm::Repeat),
        any::<prop::sample::Index>().prop_map(Harm::Cut),
    ]) {
        let (folder, heads) = log_of(8);
        let mut lines = all_lines(folder.path());
        match harm {
            Harm::Remove(line) => drop(lines.remove(line.index(lines.len()))),
            Harm::Change(line, at) => {
                let line = line.index(lines.len());
                let mut bytes = lines[line].clone().into_bytes();
                let at = at.index(bytes.len());
                bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
                lines[line] = String::from_utf8(bytes).unwrap();
            }
            Harm::Swap(line) => {
                let line = line.index(lines.len() - 1);
                lines.swap(line, line + 1);
            }
            Harm::Repeat(line) => {
                let line = line.index(lines.len());
                lines.insert(line, lines[line].clone());
            }
            Harm::Cut(line) => lines.truncate(line.index(lines.len())),
        }
        let report = verify(&lines, &key(), &heads);
        prop_assert!(!report.findings.is_empty(), "{lines:?}");
    }
}
