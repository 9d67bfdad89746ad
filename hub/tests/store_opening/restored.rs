//! A database that was restored, copied or replaced begins a new epoch; one that is where it was keeps its own.

use std::path::Path;

use carillon_hub::domain::position::Epoch;
use carillon_hub::store::Store;
use carillon_hub::store::sqlite::{OpenError, SqliteStore};
use futures::executor::block_on;

use super::{engine, options, send, used_folder};

/// Opens the store, lets it commit so many messages, and closes it. Gives its epoch.
fn used(folder: &Path, messages: u32) -> Epoch {
    let store = SqliteStore::open(&options(folder)).unwrap();
    for turn in 0..messages {
        block_on(store.commit(send(&turn.to_string()))).unwrap();
    }
    block_on(store.close());
    store.epoch()
}

/// Copies all files of a folder into another, over those that are there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn an_older_back_up_gets_a_new_epoch() {
    let folder = used_folder();
    let database = folder.path().join("carillon.db");
    let back_up = std::fs::read(&database).unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let epoch = store.epoch();
    block_on(store.commit(send("later"))).unwrap();
    block_on(store.close());
    drop(store);
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    assert_eq!(store.epoch(), epoch, "the same database");
    block_on(store.close());
    drop(store);
    std::fs::write(&database, back_up).unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let restored = store.epoch();
    assert_ne!(restored, epoch);
    drop(store);
    assert_eq!(SqliteStore::open(&options(folder.path())).unwrap().epoch(), restored, "once");
}

#[test]
fn an_epoch_can_be_forced() {
    let folder = used_folder();
    let before = SqliteStore::open(&options(folder.path())).unwrap().epoch();
    let renewed = SqliteStore::renew_epoch(&options(folder.path())).unwrap();
    assert_ne!(renewed, before);
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    assert_eq!(store.epoch(), renewed);
    assert!(matches!(SqliteStore::renew_epoch(&options(folder.path())), Err(OpenError::InUse(_))));
}

/// The file that recognises an older database is part of the folder, and as old.
#[test]
fn a_folder_that_was_restored_gets_a_new_epoch() {
    for is_copied_over in [false, true] {
        let folder = used_folder();
        let back_up = tempfile::tempdir().unwrap();
        copy(folder.path(), back_up.path());
        let epoch = used(folder.path(), 10);
        if !is_copied_over {
            std::fs::remove_dir_all(folder.path()).unwrap();
        }
        copy(back_up.path(), folder.path());
        let restored = used(folder.path(), 20);
        assert_ne!(restored, epoch, "copied over what was there: {is_copied_over}");
        assert_eq!(used(folder.path(), 0), restored, "once");
    }
}

#[test]
fn a_database_that_was_restored_alone_gets_a_new_epoch() {
    let folder = used_folder();
    let epoch = used(folder.path(), 0);
    let elsewhere = tempfile::tempdir().unwrap();
    let back_up = elsewhere.path().join("carillon.db");
    engine(folder.path()).execute("VACUUM INTO ?1", [back_up.to_str().unwrap()]).unwrap();
    let restored = used(elsewhere.path(), 0);
    assert_ne!(restored, epoch, "into an empty folder");
    // As far as the one that was there, and yet another one.
    std::fs::remove_file(&back_up).unwrap();
    engine(folder.path()).execute("VACUUM INTO ?1", [back_up.to_str().unwrap()]).unwrap();
    std::fs::rename(&back_up, folder.path().join("carillon.db")).unwrap();
    assert_ne!(used(folder.path(), 0), epoch, "in place of the one that was there");
}

#[test]
fn a_folder_that_is_renamed_keeps_its_epoch() {
    let parent = tempfile::tempdir().unwrap();
    let (before, after) = (parent.path().join("before"), parent.path().join("after"));
    let epoch = used(&before, 10);
    std::fs::rename(&before, &after).unwrap();
    assert_eq!(used(&after, 10), epoch);
    // Files that an administrator touched are the same files.
    for name in ["carillon.db", "carillon.watermark"] {
        let file = std::fs::File::options().write(true).open(after.join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    assert_eq!(used(&after, 0), epoch);
}
