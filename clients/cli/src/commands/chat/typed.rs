//! What a line that was typed means.

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing.
    Empty,
    /// A message.
    Say(String),
    /// New text for one's message, the last where none is named.
    Edit(Option<u64>, String),
    /// A message to delete, one's last where none is named.
    Delete(Option<u64>),
    /// A reaction to a message, the last where none is named.
    React(Option<u64>, String),
    /// List the members.
    Members,
    /// List who is present.
    Who,
    /// Leave.
    Quit,
    /// Say what can be typed.
    Help,
    /// None of these, and why.
    Wrong(&'static str),
}

/// For `/help`.
pub(super) const HELP: &str = "\
/edit [#N] TEXT   replace your message N, or your last one
/delete [#N]      delete message N, or your last one
/react [#N] KEY   react to message N, or to the last one
/members  /who    who belongs here, and who is here now
/quit             leave; so do Ctrl-D and Ctrl-C
//TEXT            a message that begins with a slash";

impl Typed {
    /// Reads a line.
    pub(super) fn parse(line: &str) -> Self {
        let line = line.trim_end();
        let Some(command) = line.strip_prefix('/') else {
            return if line.is_empty() { Self::Empty } else { Self::Say(line.to_owned()) };
        };
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let (seq, rest) = target(rest.trim());
        match (name, rest) {
            ("edit", "") => Self::Wrong("what shall it say: /edit [#N] TEXT"),
            ("edit", text) => Self::Edit(seq, text.to_owned()),
            ("delete", "") => Self::Delete(seq),
            ("delete", _) => Self::Wrong("which message: /delete [#N]"),
            ("react", "") => Self::Wrong("with what: /react [#N] KEY"),
            ("react", key) => Self::React(seq, key.to_owned()),
            ("members", _) => Self::Members,
            ("who", _) => Self::Who,
            ("quit" | "exit" | "q", _) => Self::Quit,
            ("help" | "?", _) => Self::Help,
            _ => Self::Wrong("no such command: /help lists them"),
        }
    }
}

/// `#7 rest` names message 7.
fn target(text: &str) -> (Option<u64>, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match first.strip_prefix('#').and_then(|number| number.parse().ok()) {
        Some(seq) => (Some(seq), rest.trim()),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_they_say() {
        for (line, typed) in [
            ("", Typed::Empty),
            ("hello there ", Typed::Say("hello there".into())),
            ("//etc", Typed::Say("/etc".into())),
            ("/edit #7 better words", Typed::Edit(Some(7), "better words".into())),
            ("/edit better", Typed::Edit(None, "better".into())),
            ("/delete #7", Typed::Delete(Some(7))),
            ("/delete", Typed::Delete(None)),
            ("/react 👍", Typed::React(None, "👍".into())),
            ("/react #3 👍", Typed::React(Some(3), "👍".into())),
            ("/who", Typed::Who),
            ("/quit", Typed::Quit),
        ] {
            assert_eq!(Typed::parse(line), typed, "{line}");
        }
        for line in ["/edit", "/edit #7", "/delete it", "/react", "/dance"] {
            assert!(matches!(Typed::parse(line), Typed::Wrong(_)), "{line}");
        }
    }
}
