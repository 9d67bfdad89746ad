//! The `carillon` command as people and scripts run it: arguments and standard input in; an exit code, data and errors
//! out.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// A command that runs for longer hangs, and is killed.
const LONGEST: Duration = Duration::from_secs(60);

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Ran {
    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// The lines of standard output as the objects that they are.
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        self.out.lines().map(parse).collect()
    }

    /// The only one.
    pub fn object(&self) -> Value {
        match &self.objects()[..] {
            [object] => object.clone(),
            _ => panic!("not one object: {self:?}"),
        }
    }

    /// It must have succeeded, without a word on standard error.
    #[expect(clippy::return_self_not_must_use, reason = "often that is all")]
    pub fn good(self) -> Self {
        assert!(self.code == Some(0) && self.err.is_empty(), "{self:?}");
        self
    }

    /// It must have failed with exit code 1, an error that says this, and no data.
    #[expect(clippy::return_self_not_must_use, reason = "often that is all")]
    pub fn fails(self, with: &str) -> Self {
        let says = self.err.starts_with("error: ") && self.err.contains(with);
        assert!(self.code == Some(1) && says && self.out.is_empty(), "expected {with:?} of {self:?}");
        self
    }
}

/// A command that is to be run, with none of the variables that `carillon` reads.
pub struct Carillon {
    command: Command,
    input: Vec<u8>,
}

/// `carillon` with these arguments.
pub fn carillon<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Carillon {
    let mut command = Command::new(binary());
    command.args(arguments);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARILLON")) {
        command.env_remove(name);
    }
    Carillon { command, input: Vec::new() }
}

impl Carillon {
    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// With a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// In this folder.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// With this on standard input, which then ends.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Ran {
        self.start().ended()
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let input = std::mem::take(&mut self.input);
        let mut running = self.start_typing();
        let mut stdin = running.stdin.take().expect("nobody has taken it");
        // One who has read enough closes the pipe.
        running.feeding = Some(std::thread::spawn(move || drop(stdin.write_all(&input))));
        running
    }

    /// Starts it with a standard input that the test types into: see [`Running::types`].
    pub fn start_typing(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the carillon command is built: cargo build -p carillon");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let said = Arc::default();
        let erring = std::thread::spawn({
            let said = Arc::clone(&said);
            move || listen(stderr, &said)
        });
        let (alive, ended) = std::sync::mpsc::sync_channel(0);
        let process = child.id();
        std::thread::spawn(move || {
            if ended.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                send_signal(process, "KILL");
            }
        });
        Running {
            stdin: child.stdin.take(),
            child,
            out: Some(out),
            feeding: None,
            said,
            erring: Some(erring),
            _alive: alive,
        }
    }
}

/// What a command has said on standard error.
#[derive(Default)]
struct Said {
    /// And whether there comes no more.
    text: Mutex<(String, bool)>,
    more: Condvar,
}

fn listen(mut stderr: impl BufRead, said: &Said) {
    let mut ended = false;
    while !ended {
        let mut line = String::new();
        ended = stderr.read_line(&mut line).expect("text") == 0;
        let mut text = said.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.0.push_str(&line);
        text.1 = ended;
        said.more.notify_all();
    }
}

/// A command that runs.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Option<BufReader<ChildStdout>>,
    feeding: Option<JoinHandle<()>>,
    said: Arc<Said>,
    erring: Option<JoinHandle<()>>,
    /// While this is there, the command may yet be killed for taking too long.
    _alive: SyncSender<()>,
}

impl Running {
    /// The next line that it prints; the test ends with the command where there is none.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().expect("it is read").read_line(&mut line).expect("text");
        assert!(line.ends_with('\n'), "it ended");
        line.trim_end().to_owned()
    }

    /// Takes lines up to one that holds this.
    pub fn says(&mut self, what: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Waits until it has said this on standard error.
    pub fn warns(&self, what: &str) {
        let mut text = self.said.text.lock().unwrap_or_else(PoisonError::into_inner);
        while !text.0.contains(what) {
            assert!(!text.1, "it ended, and had said {:?}", text.0);
            text = self.said.more.wait(text).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Types this.
    pub fn types(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it was started for typing");
        stdin.write_all(text.as_bytes()).expect("it reads");
    }

    /// Waits for its end, with no more to type.
    pub fn ended(mut self) -> Ran {
        drop(self.stdin.take());
        self.ends()
    }

    /// Reads nothing more of what it prints: its next line goes nowhere.
    pub fn is_read_no_more(&mut self) {
        self.out = None;
    }

    /// Sends it a signal, as `INT`, and waits for its end.
    pub fn signalled(self, signal: &str) -> Ran {
        send_signal(self.child.id(), signal);
        self.ends()
    }

    /// The same of one whose output is there and is not taken.
    pub fn signalled_unread(mut self, signal: &str) -> Ran {
        let unread = self.out.take();
        let ran = self.signalled(signal);
        drop(unread);
        ran
    }

    fn ends(mut self) -> Ran {
        let mut out = String::new();
        if let Some(mut rest) = self.out.take() {
            rest.read_to_string(&mut out).expect("text");
        }
        let status = self.child.wait().expect("it is ours");
        if let Some(feeding) = self.feeding.take() {
            feeding.join().expect("standard input is written");
        }
        let erring = self.erring.take().expect("it ends once");
        erring.join().expect("standard error is read");
        let err = std::mem::take(&mut self.said.text.lock().unwrap_or_else(PoisonError::into_inner).0);
        Ran { code: status.code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One whose test failed would run on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that the test started.
pub(crate) fn send_signal(process: u32, signal: &str) {
    let sent = Command::new("kill").arg(format!("-{signal}")).arg(process.to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "it runs");
}

/// The command, built beside this test: `target/PROFILE/deps/test` is next to `target/PROFILE/carillon`.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
    profile.join("carillon")
}
