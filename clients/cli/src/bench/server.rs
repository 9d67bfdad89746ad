//! A server process that the benchmark starts, measures and ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use serde::de::DeserializeOwned;

use super::clock::PATIENCE;
use super::process::Process;
use super::target::TargetError;

/// A running process. Dropping it kills it, by its id.
pub(super) struct Server {
    child: Child,
    reader: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts `command` and waits for the line of JSON in which it says that it is ready. What it logs goes to `log`.
    pub(super) fn start<R: DeserializeOwned>(
        command: &mut Command,
        log: &Path,
    ) -> Result<(Self, R), TargetError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| TargetError::Start { program: program.clone(), source };
        let stderr = File::create(log).map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn();
        let mut server = Self { child: child.map_err(failed)?, reader: None };
        let output = server.child.stdout.take();
        let (sender, receiver) = mpsc::sync_channel(1);
        // Reads to the end: a server that writes more must not wait for a reader.
        let reader = move || {
            let mut last = String::new();
            let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines());
            for line in lines.map_while(Result::ok) {
                last.clone_from(&line);
                // Only the first is waited for.
                let _ = sender.try_send(line);
            }
            last
        };
        let reader = std::thread::Builder::new().name("server-output".to_owned()).spawn(reader);
        server.reader = Some(reader.map_err(failed)?);
        let ready = receiver.recv_timeout(PATIENCE).ok();
        let ready = ready.and_then(|line| serde_json::from_str(&line).ok());
        match ready {
            Some(ready) => Ok((server, ready)),
            None => Err(TargetError::NotReady { program, log: last_lines(log) }),
        }
    }

    /// Kills it now; gives the last whole line that it wrote.
    pub(super) fn kill(mut self) -> Option<String> {
        let reader = self.reader.take();
        drop(self);
        reader.and_then(|reader| reader.join().ok())
    }

    /// The process to measure.
    pub(super) fn process(&self) -> Process {
        Process::new(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_lines(log: &Path) -> String {
    const LINES: usize = 10;
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn ready_line_is_read_and_the_process_ends_with_its_handle() {
        let folder = tempfile::tempdir().unwrap();
        // One write: both lines are there before the process can be killed.
        let script = r#"printf '{"grpc":"a"}\nsecond\n'; exec sleep 600"#;
        let (server, ready): (_, serde_json::Value) =
            Server::start(&mut shell(script), &folder.path().join("log")).unwrap();
        assert_eq!(ready["grpc"], "a");
        let process = server.process();
        process.resident().unwrap();
        assert_eq!(server.kill().as_deref(), Some("second"));
        assert!(process.resident().is_err());
    }

    #[test]
    fn failure_shows_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let started: Result<(Server, serde_json::Value), _> =
            Server::start(&mut shell("echo no port >&2"), &folder.path().join("log"));
        assert!(matches!(started, Err(TargetError::NotReady { log, .. }) if log == "no port"));
    }
}
