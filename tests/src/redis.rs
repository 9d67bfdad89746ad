//! Redis servers of a test's own: child processes in a folder that goes with them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A server on a socket of this machine, which keeps what it is given through its end: each write reaches the disk before
/// it is answered.
pub struct Redis {
    folder: TempDir,
    process: Option<Child>,
}

impl Redis {
    /// Starts one, and waits until it can be reached.
    pub fn start() -> Self {
        let mut server = Self { folder: TempDir::new().expect("a temporary folder"), process: None };
        server.restart();
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts it again, with what it kept.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Command::new("redis-server");
        command.arg("--dir").arg(self.folder.path()).args(["--port", "0", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--unixsocket"]).arg(self.socket());
        let mut process = command.stdout(Stdio::piped()).spawn().expect("redis-server is installed");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let is_ready = |line: String| line.contains("eady to accept connections");
        assert!(lines.by_ref().map_while(Result::ok).any(is_ready), "redis-server does not start");
        // What it says from now on is read, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    /// Ends it as a failing machine would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
    }

    /// Lets it stand still, or go on.
    pub fn stands_still(&self, still: bool) {
        let process = self.process.as_ref().expect("it runs");
        crate::command::send_signal(process.id(), if still { "STOP" } else { "CONT" });
    }

    fn kept(&self) -> [PathBuf; 2] {
        ["appendonlydir", "backup"].map(|name| self.folder.path().join(name))
    }

    /// Keeps a copy of what it has kept so far. Nothing may be written meanwhile.
    pub fn back_up(&self) {
        let [kept, backup] = self.kept();
        std::fs::create_dir(&backup).expect("a folder");
        for file in std::fs::read_dir(kept).expect("it keeps a log") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), backup.join(file.file_name())).expect("it can be copied");
        }
    }

    /// Has only what the copy has, as a replica that takes over without the last writes. It does not run.
    pub fn go_back(&self) {
        assert!(self.process.is_none(), "it runs");
        let [kept, backup] = self.kept();
        std::fs::remove_dir_all(&kept).expect("it kept a log");
        std::fs::rename(backup, kept).expect("there is a copy");
    }

    /// Does a command, and gives the first line of the answer.
    pub fn command(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("it can be reached");
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("it reads");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("it answers");
        answer.trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
