//! Where data goes: standard output, as text or as JSON lines. All else (hints, progress) goes to standard error.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// Text or JSON lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// One thing: as an object on a line, or as text.
    pub(crate) fn data(self, value: &Value, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json { line(&value.to_string()) } else { line(&text()) }
    }

    /// For people at a terminal only: not with `--json`, and not into a file.
    pub(crate) fn hint(self, text: &str) {
        if !self.json && io::stderr().is_terminal() {
            // Nothing depends on a hint.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }
}

/// Writes one line as it is. Complete in the reader's hands when this returns.
pub(crate) fn line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
