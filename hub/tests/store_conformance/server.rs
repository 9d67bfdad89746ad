//! A Redis server of a test's own: a child process on a unix socket in a folder that goes with it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    process: Child,
}

impl Server {
    /// Starts one, and waits until it can be reached.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket"])
            .arg(&socket)
            .args(["--dir"])
            .arg(folder.path())
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is there");
        let server = Self { folder, process };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not start");
            std::thread::yield_now();
        }
        server
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("redis.sock").display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
