//! A Redis server of a test's own: a child process on a unix socket in a folder that goes with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    process: Child,
    sync: &'static str,
}

const SOCKET: &str = "redis.sock";

fn run(socket: &Path, sync: &str) -> Child {
    // One that was left by a server that was killed would look as if it were there.
    let _ = std::fs::remove_file(socket);
    let process = Command::new("redis-server")
        .args(["--port", "0", "--unixsocket"])
        .arg(socket)
        .arg("--dir")
        .arg(socket.parent().unwrap())
        .args(["--save", "", "--appendonly", "yes", "--appendfsync", sync])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is there");
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not start");
        std::thread::yield_now();
    }
    process
}

impl Server {
    /// Starts one whose log reaches the disk every second, and waits until it can be reached.
    pub(crate) fn start() -> Self {
        Self::syncing("everysec")
    }

    /// Starts one whose `appendfsync` is this.
    pub(crate) fn syncing(sync: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = run(&folder.path().join(SOCKET), sync);
        Self { folder, process, sync }
    }

    /// Ends it without warning, and starts it again.
    #[allow(dead_code)] // The conformance suite has no need of it.
    pub(crate) fn kill_and_restart(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.process = run(&self.folder.path().join(SOCKET), self.sync);
    }

    /// Its process.
    #[allow(dead_code)]
    pub(crate) fn process(&self) -> i32 {
        self.process.id() as i32
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join(SOCKET).display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
