//! What must not be written.

use crate::files::{self, TextFile};

/// This folder names what it forbids.
const OURSELVES: &str = "tests/tests/tidy/";

/// Work put off, and tests that do not run.
const PUT_OFF: [&str; 7] =
    ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "#[ignore", "pytest.mark.skip"];

/// Channels without a bound.
const UNBOUNDED: [&str; 4] =
    ["unbounded_channel", "channel::unbounded", "mpsc::unbounded", "sync::mpsc::channel"];

/// Paths that one machine has.
const MACHINE_PATHS: [&str; 4] = ["/home/", "/root/", "/Users/", "/work/"];

/// Waits for a time to pass: a test waits for what it wants to see, or drives the time.
const SLEEPS: [&str; 5] = ["sleep(", "sleep_until(", "sleep_ms(", "sleep 0", "sleep 1"];

/// Tests that may, and why.
const SLEEPERS: [(&str, &str); 1] = [("tests/redis/src/proxy.rs", "to be late is what it is for")];

fn holding<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    file: &TextFile,
    words: &[&str],
) -> Vec<String> {
    let hits = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    hits.map(|(number, line)| format!("{}: {}", file.at(number), line.trim())).collect()
}

fn everywhere(words: &[&str]) -> Vec<String> {
    let files = files::all();
    let files = files.iter().filter(|file| !file.path.starts_with(OURSELVES) && file.path != "Cargo.lock");
    files
        .flat_map(|file| holding(file.text.lines().enumerate().map(|(at, line)| (at + 1, line)), file, words))
        .collect()
}

#[test]
fn nothing_is_put_off() {
    files::none("finish it or leave it out", &everywhere(&PUT_OFF));
}

#[test]
fn nothing_depends_on_one_machine() {
    files::none("a path that only one machine has", &everywhere(&MACHINE_PATHS));
}

#[test]
fn every_channel_has_a_bound() {
    let files = files::all();
    let rust = files.iter().filter(|file| file.extension() == "rs");
    let found: Vec<_> = rust.flat_map(|file| holding(file.production(), file, &UNBOUNDED)).collect();
    files::none("a channel without a bound", &found);
}

#[test]
fn tests_do_not_sleep() {
    let files = files::all();
    let may = |file: &&TextFile| {
        !file.path.starts_with(OURSELVES) && SLEEPERS.iter().all(|(path, _)| *path != file.path)
    };
    let code = files.iter().filter(|file| ["rs", "py", "sh"].contains(&file.extension())).filter(may);
    let found: Vec<_> = code.flat_map(|file| holding(file.tests(), file, &SLEEPS)).collect();
    files::none("a test that waits for time to pass", &found);
}

#[test]
fn those_who_may_sleep_still_do() {
    let files = files::all();
    let idle = SLEEPERS.iter().filter(|(path, _)| {
        let file = files.iter().find(|file| file.path == *path);
        file.is_none_or(|file| holding(file.tests(), file, &SLEEPS).is_empty())
    });
    let idle: Vec<_> = idle.map(|(path, why)| format!("{path} ({why})")).collect();
    files::none("allowed to sleep, and does not", &idle);
}
