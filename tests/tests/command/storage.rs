//! A database that cannot be used is refused with a word that says so, and nothing in its folder is changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use carillon_tests::command::{Ran, carillon};
use carillon_tests::process::HubProcess;

/// Where SQLite keeps `user_version`, which is the version of the schema.
const VERSION_AT: usize = 60;

/// A folder of a hub that has stopped, with some messages.
fn used_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    hub.carillon("alice", &["send", "room:a"]).input("one\ntwo\nthree\n").run().good();
    hub.stops();
    folder
}

/// Everything in a folder but the lock.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let files = files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
    files.filter(|(name, _)| name != "carillon.lock").collect()
}

fn serves(folder: &Path) -> Ran {
    let serve =
        ["serve", "--dev", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bridge", "127.0.0.1:0"];
    carillon(serve).arg("--data").arg(folder).run()
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_is() {
    let whole = fs::read(used_folder().path().join("carillon.db")).unwrap();
    let mut torn = whole.clone();
    torn[100..1_000].fill(0xff);
    for bytes in [b"just some text".to_vec(), torn, whole[..whole.len() / 2].to_vec()] {
        let folder = used_folder();
        fs::write(folder.path().join("carillon.db"), bytes).unwrap();
        let before = contents(folder.path());
        let refused = serves(folder.path()).fails("carillon.db");
        assert!(refused.err.contains("the hub did not start"), "{refused:?}");
        assert!(contents(folder.path()) == before, "something was changed");
    }
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    let folder = used_folder();
    let database = folder.path().join("carillon.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[VERSION_AT..VERSION_AT + 4].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&database, bytes).unwrap();
    let before = contents(folder.path());
    let refused = serves(folder.path()).fails("carillon.db");
    assert!(refused.err.contains("99") && refused.err.contains("newer"), "{refused:?}");
    assert!(contents(folder.path()) == before, "something was changed");
}

/// What people write to each other is not for other users of the machine.
#[test]
fn data_is_for_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let hub = HubProcess::start(&folder);
    hub.carillon("alice", &["send", "room:a", "hello"]).run().good();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&folder), 0, "the folder");
    for file in fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
        let is_plain = ["carillon.lock", "carillon.watermark"].iter().any(|name| file.ends_with(name));
        assert!(is_plain || mode(&file) == 0, "{}", file.display());
    }
    hub.stops();
}

/// The epoch in which a room's log is, as a client that joins is told.
fn epoch(hub: &HubProcess) -> u64 {
    let places = tempfile::tempdir().unwrap();
    let file = places.path().join("places");
    let listen =
        ["listen", "room:a", "--rewind", "1", "--count", "1", "--since-file", file.to_str().unwrap()];
    hub.carillon("alice", &listen).run().good();
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    kept["rooms"]["room:a"]["epoch"].as_u64().unwrap()
}

/// A hub that was killed goes on where it was; one whose folder was put back from a copy, or that is told so, does not.
#[test]
fn what_was_restored_begins_a_new_epoch() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, copy) = (parent.path().join("data"), parent.path().join("copy"));
    let mut hub = HubProcess::start(&folder);
    hub.carillon("alice", &["send", "room:a", "one"]).run().good();
    let first = epoch(&hub);
    hub.is_killed_and_starts_again(|| ());
    assert_eq!(epoch(&hub), first, "after a kill");
    hub.stops();
    fs::create_dir(&copy).unwrap();
    for (name, bytes) in contents(&folder) {
        fs::write(copy.join(name), bytes).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(&copy, &folder).unwrap();
    let hub = HubProcess::start(&folder);
    let restored = epoch(&hub);
    assert_ne!(restored, first, "the folder is a copy");
    let renew =
        |folder: &Path| carillon(["store", "renew-epoch", "--dev", "--json", "--data"]).arg(folder).run();
    renew(&folder).fails("in use by another process");
    hub.stops();
    let renewed = renew(&folder).good().object()["epoch"].as_u64().unwrap();
    assert_ne!(renewed, restored);
    assert_eq!(epoch(&HubProcess::start(&folder)), renewed);
    renew(&parent.path().join("nothing")).fails("carillon.db");
}

/// What was acknowledged is on the disk and is recovered; but whoever watches over the process is told.
#[test]
fn a_store_that_cannot_be_closed_is_said_with_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    hub.carillon("alice", &["send", "room:a", "one"]).run().good();
    // No file may grow past this, as on a disk that is full.
    hub.writes_no_file_past(4_096);
    assert_eq!(hub.ends(), Some(1));
    let hub = HubProcess::start(folder.path());
    assert_eq!(hub.carillon("alice", &["history", "room:a", "--json"]).run().good().lines().len(), 1);
    hub.stops();
}
