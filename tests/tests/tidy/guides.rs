//! Guides name settings and metrics that there are.

use std::collections::BTreeSet;

use carillon_hub::telemetry::names;

use crate::files::{self, TextFile};

/// Where the settings are listed; a test of the hub holds the list to the code.
const REFERENCE: &str = "docs/configuration.md";
/// What ends in one of these after a point is a file.
const FILES: [&str; 5] = ["md", "proto", "py", "rs", "toml"];
/// Tables in which users choose the names.
const OWN_NAMES: [&str; 1] = ["namespace.token_roles"];
/// What is written like a setting and is an action of rooms, or an event of the audit log.
const OTHERS: [&str; 3] = ["bridge.turned_away", "presence.read", "session.resumed"];

/// All settings, and the sections that lead to them.
struct Settings(BTreeSet<String>);

impl Settings {
    fn read(files: &[TextFile]) -> Self {
        let reference = files.iter().find(|file| file.path == REFERENCE).expect("the reference of settings");
        let rows = reference.text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let mut names = BTreeSet::new();
        for setting in rows {
            let ends = setting.match_indices('.').map(|(end, _)| end).chain([setting.len()]);
            names.extend(ends.map(|end| setting[..end].to_owned()));
        }
        Self(names)
    }

    /// Whether this is written like a setting: it begins with a section's name.
    fn is_like_one(&self, name: &str) -> bool {
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let mut parts = name.split('.');
        parts.next().is_some_and(|section| self.0.contains(section))
            && parts.clone().next().is_some()
            && parts.clone().all(plain)
            && !parts.any(|part| FILES.contains(&part))
    }

    /// Whether there is one. In some tables names are the user's own.
    fn has(&self, name: &str) -> bool {
        let is_own = |(table, _): (&str, &str)| OWN_NAMES.contains(&table) && self.0.contains(table);
        self.0.contains(name) || OTHERS.contains(&name) || name.rsplit_once('.').is_some_and(is_own)
    }

    /// The names in a document that are written like settings and are none.
    fn unknown<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        let variables = text.split(|c: char| !c.is_ascii_uppercase() && c != '_').filter_map(|word| {
            let name = word.strip_prefix("CARILLON__")?;
            Some(name.replace("__", ".").to_lowercase())
        });
        let quoted = quoted(text).map(str::to_owned).filter(|name| self.is_like_one(name));
        let written = quoted.chain(in_toml(text)).chain(variables);
        written.filter(|name| !self.has(name))
    }
}

/// What stands between backticks, up to a `=`.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    let spans = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.map(|span| span.split(" =").next().unwrap_or(span))
}

/// The settings of the blocks of TOML.
fn in_toml(text: &str) -> impl Iterator<Item = String> {
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(|block| {
        let mut section = String::new();
        let mut names = Vec::new();
        for line in block.lines() {
            if let Some(header) = line.strip_prefix('[') {
                section = format!("{}.", header.trim_matches(['[', ']']));
            } else if let Some((key, _)) = line.split_once('=').filter(|(key, _)| !key.starts_with('#')) {
                names.push(format!("{section}{}", key.trim()));
            }
        }
        names
    })
}

fn guides(files: &[TextFile]) -> impl Iterator<Item = &TextFile> {
    files.iter().filter(|file| file.extension() == "md")
}

#[test]
fn settings_in_guides_are_settings() {
    let files = files::all();
    let settings = Settings::read(&files);
    assert!(settings.has("session.frame_bytes") && settings.has("grpc.tls"));
    let found = guides(&files).flat_map(|guide| {
        let unknown = settings.unknown(&guide.text);
        unknown.map(|name| format!("{}: {name}", guide.path)).collect::<Vec<_>>()
    });
    files::none("no such setting", &found.collect::<Vec<_>>());
}

#[test]
fn settings_are_looked_for_wherever_they_are_written() {
    let settings = Settings::read(&files::all());
    for (text, wrong) in [
        ("`session.frame_bits`", "session.frame_bits"),
        ("`grpc.insecure = true` and `grpc.secure = true`", "grpc.secure"),
        ("```toml\n[grpc.tls]\ncertificate = \"x\"\nkeys = \"y\"\n```", "grpc.tls.keys"),
        ("```toml\nmode = \"x\"\nmood = \"y\"\n```", "mood"),
        ("`CARILLON__STORE__READER=2`, CARILLON__STORE__READERS", "store.reader"),
    ] {
        assert_eq!(settings.unknown(text).collect::<Vec<_>>(), [wrong], "{text}");
    }
    let right = "`session.proto`, `limits.roomsPerSession`, `store.*`, `hello.token`, `grpc.tls`, `bridge`";
    assert_eq!(settings.unknown(right).count(), 0);
}

#[test]
fn metrics_in_guides_are_metrics() {
    let files = files::all();
    let known: BTreeSet<_> = names::ALL.iter().map(|family| family.name).collect();
    let is_metric = |name: &&str| name.starts_with("carillon_") || name.starts_with("process_");
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let mut seen = 0;
    let mut found = Vec::new();
    for guide in guides(&files).filter(|guide| guide.path.starts_with("docs/")) {
        // Names of crates stand in paths, which have other characters around them.
        for name in quoted(&guide.text).flat_map(|span| span.split(word)).filter(is_metric) {
            seen += 1;
            if !known.contains(name) && !name.ends_with("_hub") {
                found.push(format!("{}: {name}", guide.path));
            }
        }
    }
    assert!(seen > 20, "the guide to tuning says what to watch");
    files::none("no such metric", &found);
}
