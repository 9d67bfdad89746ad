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

/// What `sync` is for a server that keeps nothing on disk.
const NOTHING: &str = "nothing";

const SOCKET: &str = "redis.sock";
/// Where a server keeps its log.
const LOG: &str = "appendonlydir";

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn run(socket: &Path, sync: &str) -> Child {
    // One that was left by a server that was killed would look as if it were there.
    let _ = std::fs::remove_file(socket);
    let process = Command::new("redis-server")
        .args(["--port", "0", "--unixsocket"])
        .arg(socket)
        .arg("--dir")
        .arg(socket.parent().unwrap())
        .args(["--save", ""])
        .args(["--appendonly", if sync == NOTHING { "no" } else { "yes" }])
        .args(["--appendfsync", if sync == NOTHING { "no" } else { sync }])
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

    /// Starts one that keeps nothing on disk.
    #[allow(dead_code)] // The conformance suite has no need of it.
    pub(crate) fn forgetful() -> Self {
        Self::syncing(NOTHING)
    }

    /// Copies its log as it is now.
    #[allow(dead_code)]
    pub(crate) fn copy_of_its_log(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_files(&self.folder.path().join(LOG), copy.path());
        copy
    }

    /// Ends it without warning, and starts it again with a log that was copied; `first` is done before it is where it was.
    #[allow(dead_code)]
    pub(crate) fn restart_from(&mut self, log: &tempfile::TempDir, first: impl FnOnce(&Server)) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        std::fs::remove_file(self.folder.path().join(SOCKET)).unwrap();
        let aside = tempfile::tempdir().unwrap();
        std::fs::create_dir(aside.path().join(LOG)).unwrap();
        copy_files(log.path(), &aside.path().join(LOG));
        let process = run(&aside.path().join(SOCKET), self.sync);
        let other = Server { folder: aside, process, sync: self.sync };
        first(&other);
        let own = self.folder.path().join(LOG);
        std::fs::remove_dir_all(&own).unwrap();
        std::fs::create_dir(&own).unwrap();
        // Its log is written when it ends in order.
        let mut other = other;
        other.end_in_order();
        copy_files(&other.folder.path().join(LOG), &own);
        self.process = run(&self.folder.path().join(SOCKET), self.sync);
    }

    /// Ends it without warning, and starts it again.
    #[allow(dead_code)] // The conformance suite has no need of it.
    pub(crate) fn kill_and_restart(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.process = run(&self.folder.path().join(SOCKET), self.sync);
    }

    fn end_in_order(&mut self) {
        let ended = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(ended.unwrap().success());
        self.process.wait().unwrap();
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
