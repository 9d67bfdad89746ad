//! What was acknowledged survives a loss of power at any moment. A kill does not show that: the system's cache lives on.
//!
//! `CARILLON_POWER_LOSS_SEED` replays one seed; `CARILLON_POWER_LOSS_SEEDS` says how many to try.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.
#![allow(unsafe_code)] // A file system for SQLite is written against its C interface.

mod disk;
mod lanes;
mod models;
mod story;
mod vfs;

use disk::{Disk, Random};
use story::{Story, lives};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Lives through all seeds.
fn survive(lives: impl Fn(u64) -> Result<(u64, u64), String>) {
    let seeds = match number("CARILLON_POWER_LOSS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CARILLON_POWER_LOSS_SEEDS").unwrap_or(8),
    };
    let (mut acknowledged, mut losses) = (0, 0);
    for seed in seeds {
        match lives(seed) {
            Ok((acked, lost)) => (acknowledged, losses) = (acknowledged + acked, losses + lost),
            Err(violation) => panic!("CARILLON_POWER_LOSS_SEED={seed}: {violation}"),
        }
    }
    assert!(losses > 0 && acknowledged > 0);
    println!("{acknowledged} acknowledged outcomes survived {losses} losses of power");
}

#[test]
fn acknowledged_messages_and_deletions_survive() {
    survive(|seed| lives(&mut Story::new(false, seed)));
}

#[test]
fn everything_else_that_is_acknowledged_survives() {
    survive(|seed| lanes::lives(false, seed));
}

/// The test would see a loss: on a disk that lies about syncing there is one.
#[test]
fn a_disk_that_lies_is_noticed() {
    let noticed = (0..10).any(|seed| lives(&mut Story::new(true, seed)).is_err());
    assert!(noticed);
    assert!((0..10).any(|seed| lanes::lives(true, seed).is_err()));
}

#[test]
fn the_disk_keeps_what_was_synced() {
    let disk = Disk::new(false);
    let file = std::sync::Arc::clone(disk.files.lock().entry("a".to_owned()).or_default());
    for seed in 0..100 {
        file.lock().write(0, &[1; 2_000]);
        file.lock().sync();
        file.lock().write(1_000, &[2; 2_000]);
        file.lock().truncate(2_500);
        disk.restore_power(&mut Random(seed));
        assert_eq!(file.lock().now[..1_000], [1; 1_000]);
        file.lock().truncate(0);
    }
}
