//! A file is one idea.

use crate::files::{self, TextFile};

/// No file of code is longer.
const LONGEST: usize = 500;
/// Past this, there is a second idea to look for.
const LONG: usize = 400;
/// Rust files are no longer than this on average.
const MEAN: usize = 200;

fn lines(file: &TextFile) -> usize {
    file.text.lines().count()
}

#[test]
fn a_file_of_code_is_one_idea_long() {
    let files = files::all();
    let code = files.iter().filter(|file| {
        ["rs", "proto", "py", "sh", "ts", "toml"].contains(&file.extension()) || file.path == "tests/run"
    });
    let too_long = code.filter(|file| lines(file) > LONGEST);
    let too_long: Vec<_> = too_long.map(|file| format!("{}: {} lines", file.path, lines(file))).collect();
    files::none("no file has more than 500 lines", &too_long);
}

#[test]
fn files_are_short_on_average() {
    let files = files::all();
    let rust: Vec<_> = files.iter().filter(|file| file.extension() == "rs").collect();
    let sum: usize = rust.iter().copied().map(lines).sum();
    let mean = sum / rust.len().max(1);
    let long = rust.iter().filter(|file| lines(file) > LONG).count();
    println!("{} Rust files, {sum} lines, {mean} on average, {long} with more than {LONG}", rust.len());
    assert!(mean <= MEAN, "Rust files have {mean} lines on average, more than {MEAN}");
}
