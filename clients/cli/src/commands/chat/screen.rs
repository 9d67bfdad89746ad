//! Where lines come from and go to: an editor at a terminal, plain lines otherwise.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc as blocking;
use std::time::{Duration, Instant};

use anyhow::Context;
use carillon_client::Event;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Editor, ExternalPrinter, Helper};
use serde_json::json;
use tokio::sync::mpsc;

use crate::output::{self, Output};
use crate::render::json;
use crate::stdin;

/// Keys pressed are told of at most this often: typing expires at the hub after 6 s.
const TYPING_EVERY: Duration = Duration::from_secs(3);
const PROMPT: &str = "> ";

/// What the user did.
#[derive(Debug)]
pub(super) enum Input {
    /// A line is complete. At a terminal the editor waits for [`Screen::next_line`].
    Line(String),
    /// Keys were pressed.
    Typing,
    /// The end of the input, Ctrl-C or Ctrl-D.
    End,
}

/// Input and output of one chat.
pub(super) struct Screen {
    source: Source,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    output: Output,
}

enum Source {
    Terminal {
        inputs: mpsc::Receiver<Input>,
        /// Tells the editor to read one more line. Dropped: it ends, and the terminal is as it was.
        more: Option<blocking::SyncSender<()>>,
    },
    Plain(mpsc::Receiver<io::Result<String>>),
}

impl Screen {
    /// An editor where both ends are a terminal.
    pub(super) fn open(output: Output) -> anyhow::Result<Self> {
        if output.is_json() || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(Self { source: Source::Plain(stdin::lines()), printer: None, output });
        }
        let (sender, inputs) = mpsc::channel(8);
        let mut editor = Editor::<Keys, DefaultHistory>::new().context("cannot use this terminal")?;
        editor.set_helper(Some(Keys { inputs: sender.clone(), last: std::cell::Cell::new(None) }));
        let printer = editor.create_external_printer().context("cannot use this terminal")?;
        let (more, wanted) = blocking::sync_channel(1);
        std::thread::spawn(move || edit(&mut editor, &sender, &wanted));
        let mut screen = Self {
            source: Source::Terminal { inputs, more: Some(more) },
            printer: Some(Box::new(printer)),
            output,
        };
        screen.next_line();
        Ok(screen)
    }

    /// What the user does next. Cancelling it loses nothing.
    pub(super) async fn input(&mut self) -> anyhow::Result<Input> {
        match &mut self.source {
            Source::Terminal { inputs, .. } => Ok(inputs.recv().await.unwrap_or(Input::End)),
            Source::Plain(lines) => match lines.recv().await {
                Some(line) => Ok(Input::Line(line.context("cannot read standard input")?)),
                None => Ok(Input::End),
            },
        }
    }

    /// Lets the editor read one more line.
    pub(super) fn next_line(&mut self) {
        if let Source::Terminal { more: Some(more), .. } = &self.source {
            let _ = more.try_send(());
        }
    }

    /// Whether a person sits at it.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.source, Source::Terminal { .. })
    }

    /// Shows an event, as the line that it is worth or as an object.
    pub(super) fn show_event(&mut self, event: &Event, line: Option<String>) -> anyhow::Result<()> {
        if self.output.is_json() {
            return Ok(output::line(&json::event(event).to_string())?);
        }
        line.map_or(Ok(()), |line| self.show(&line))
    }

    /// Shows a line, above the one that is being edited.
    pub(super) fn show(&mut self, line: &str) -> anyhow::Result<()> {
        match &mut self.printer {
            Some(printer) => Ok(printer.print(format!("{line}\n"))?),
            None => Ok(self.output.data(&json!({"type": "note", "text": line}), || line.to_owned())?),
        }
    }
}

/// Reads a line for each that is wanted.
fn edit(
    editor: &mut Editor<Keys, DefaultHistory>,
    inputs: &mpsc::Sender<Input>,
    wanted: &blocking::Receiver<()>,
) {
    while wanted.recv().is_ok() {
        let input = match editor.readline(PROMPT) {
            Ok(line) => {
                take_back(editor, &line);
                let _ = editor.add_history_entry(&line);
                Input::Line(line)
            }
            Err(ReadlineError::Signal(_)) => Input::Line(String::new()),
            Err(_end_or_broken) => Input::End,
        };
        if inputs.blocking_send(input).is_err() {
            return;
        }
    }
}

/// Removes what was typed from the screen: it comes back as everybody sees it, with its place and time.
fn take_back(editor: &mut Editor<Keys, DefaultHistory>, line: &str) {
    let columns = editor.dimensions().map_or(0, |(columns, _)| usize::from(columns));
    let fits = line.chars().count() + PROMPT.len() < columns;
    if fits && !line.starts_with('/') {
        // One line up, and clear it (ECMA-48: CUU, EL).
        let _ = write!(io::stdout(), "\u{1b}[1A\u{1b}[2K").and_then(|()| io::stdout().flush());
    }
}

/// Notices that keys are pressed.
struct Keys {
    inputs: mpsc::Sender<Input>,
    last: std::cell::Cell<Option<Instant>>,
}

impl Hinter for Keys {
    type Hint = String;

    fn hint(&self, line: &str, _pos: usize, _context: &rustyline::Context<'_>) -> Option<String> {
        let is_message = !line.is_empty() && !line.starts_with('/');
        if is_message && self.last.get().is_none_or(|last| last.elapsed() >= TYPING_EVERY) {
            self.last.set(Some(Instant::now()));
            // It does not matter when it is not told.
            let _ = self.inputs.try_send(Input::Typing);
        }
        None
    }
}

impl rustyline::completion::Completer for Keys {
    type Candidate = String;
}
impl Highlighter for Keys {}
impl Validator for Keys {}
impl Helper for Keys {}
