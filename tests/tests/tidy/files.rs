//! The project's text files, and which parts of them are tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what is made or fetched.
const SKIPPED: [&str; 10] = [
    ".git",
    "target",
    "node_modules",
    "carillon-data",
    ".venv",
    "__pycache__",
    ".pytest_cache",
    "gen",
    "dist",
    "assets",
];

/// A text file of the project.
pub(crate) struct TextFile {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
    /// Whether all of it is test code.
    pub(crate) is_test: bool,
}

impl TextFile {
    /// The extension; empty where there is none.
    pub(crate) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
    }

    /// The lines that are no test code, numbered from 1.
    pub(crate) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test { 0 } else { first_test_line(&self.text) };
        self.text.lines().take(end).enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines of test code, numbered from 1.
    pub(crate) fn tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let begin = if self.is_test { 0 } else { first_test_line(&self.text) };
        self.text.lines().enumerate().skip(begin).map(|(index, line)| (index + 1, line))
    }

    /// `path:line`, for messages.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a folder of the root").to_owned()
}

/// All text files, in order of their paths.
pub(crate) fn all() -> Vec<TextFile> {
    let mut files = Vec::new();
    read(&root(), "", &mut files);
    let test_modules: Vec<String> = files.iter().flat_map(test_modules).collect();
    for file in &mut files {
        file.is_test =
            is_test_path(&file.path) || test_modules.iter().any(|prefix| is_in(&file.path, prefix));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// Fails with all of `found`, if anything.
#[track_caller]
pub(crate) fn none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn read(folder: &Path, prefix: &str, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let entry = entry.expect("an entry of the folder");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let path = format!("{prefix}{name}");
        if entry.file_type().expect("its type").is_dir() {
            if !SKIPPED.contains(&&*name) {
                read(&entry.path(), &format!("{path}/"), files);
            }
        } else if let Ok(text) = fs::read_to_string(entry.path())
            && name != ".git"
        {
            files.push(TextFile { path, text, is_test: false });
        }
    }
}

fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The paths, without extension, of the modules that a file declares for tests alone.
fn test_modules(file: &TextFile) -> Vec<String> {
    let folder = module_folder(&file.path);
    let lines: Vec<_> = file.text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter_map(|pair| match pair {
        ["#[cfg(test)]", module] => module.rsplit_once("mod ")?.1.strip_suffix(';'),
        _ => None,
    });
    declared.map(|name| format!("{folder}{name}")).collect()
}

/// Where the modules are that a file declares.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" | "main.rs" => format!("{folder}/"),
        name => format!("{folder}/{}/", name.trim_end_matches(".rs")),
    }
}

/// The index of the first line of an inline test module, or how many lines there are.
fn first_test_line(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let inline = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
    lines.windows(2).position(inline).unwrap_or(lines.len())
}
