//! Documents name what there is.

use std::collections::BTreeSet;

use crate::files::{self, TextFile};

/// The links of a document to files of the project, as written.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.map(|target| target.split_once('#').map_or(target, |(file, _)| file))
}

/// A link from a document, as a path from the root.
fn resolve(document: &str, link: &str) -> String {
    let mut path: Vec<_> = document.split('/').collect();
    path.pop();
    for step in link.split('/') {
        match step {
            ".." => _ = path.pop(),
            "." | "" => {}
            name => path.push(name),
        }
    }
    path.join("/")
}

fn documents(files: &[TextFile]) -> impl Iterator<Item = &TextFile> {
    files.iter().filter(|file| file.extension() == "md")
}

#[test]
fn every_link_leads_somewhere() {
    let files = files::all();
    let mut dead = Vec::new();
    for document in documents(&files) {
        for link in links(&document.text) {
            let target = resolve(&document.path, link);
            if !files::root().join(&target).exists() {
                dead.push(format!("{}: {link}", document.path));
            }
        }
    }
    files::none("a link to nothing", &dead);
}

#[test]
fn every_page_and_decision_is_linked() {
    let files = files::all();
    let linked: BTreeSet<_> = documents(&files)
        .flat_map(|document| links(&document.text).map(|link| resolve(&document.path, link)))
        .collect();
    let pages = documents(&files).filter(|page| page.path.starts_with("docs/"));
    let lost: Vec<_> = pages.map(|page| page.path.clone()).filter(|path| !linked.contains(path)).collect();
    files::none("a page that nothing links to", &lost);
}

#[test]
fn decisions_say_context_choice_and_consequences() {
    let files = files::all();
    let mut numbers = BTreeSet::new();
    let mut found = Vec::new();
    let named = |page: &'_ TextFile| page.path.strip_prefix("docs/decisions/").map(str::to_owned);
    for (decision, name) in documents(&files).filter_map(|page| Some((page, named(page)?))) {
        if name == "README.md" {
            continue;
        }
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || number.parse::<u16>().is_err() || !numbers.insert(number.to_owned()) {
            found.push(format!("{name}: begins with four digits that no other has"));
        }
        for heading in ["# ", "## Context", "## Choice", "## Consequences"] {
            if !decision.text.lines().any(|line| line.starts_with(heading)) {
                found.push(format!("{name}: has no «{heading}»"));
            }
        }
    }
    files::none("decisions are of one form", &found);
}

/// The tests that the map of requirements names: `file::test`, in backticks.
fn named_tests(map: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = map.split('`').skip(1).step_by(2);
    quoted.filter_map(|name| name.split_once("::")).filter(|(file, _)| file.contains('.'))
}

#[test]
fn tests_that_prove_requirements_exist() {
    let files = files::all();
    let map = files.iter().find(|file| file.path == "docs/requirements.md").expect("the map of requirements");
    let mut found = Vec::new();
    for (path, test) in named_tests(&map.text) {
        let file = files.iter().find(|file| file.path == path);
        let there = file.is_some_and(|file| {
            let functions = ["fn", "def"].iter().any(|word| {
                ["(", "<"].iter().any(|after| file.text.contains(&format!("{word} {test}{after}")))
            });
            // In JavaScript a test's name is a sentence.
            functions || file.text.contains(&format!("test(\"{test}\""))
        });
        if !there {
            found.push(format!("{path}::{test}"));
        }
    }
    files::none("docs/requirements.md names a test that is not there", &found);
}

#[test]
fn each_requirement_is_mapped_once() {
    let files = files::all();
    let map = files.iter().find(|file| file.path == "docs/requirements.md").expect("the map of requirements");
    let mut seen = BTreeSet::new();
    let rows = map.text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| id "));
    let ids = rows.filter_map(|row| row.split('|').nth(1)).flat_map(str::split_whitespace);
    let twice: Vec<_> = ids.filter(|id| !seen.insert(*id)).map(str::to_owned).collect();
    files::none("mapped twice", &twice);
}
