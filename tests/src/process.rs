//! The `carillon` command as a process of its own, for tests that kill it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use carillon_client::ClientOptions;
use serde_json::Value;

use crate::command::{Carillon, binary, carillon, send_signal};

/// A hub's process. Dropping it kills it.
pub struct HubProcess {
    child: Child,
    data: PathBuf,
    address: String,
    bridge: String,
    /// What it is told of the Redis that it shares with others.
    redis: Vec<String>,
    /// Seconds that its clock is ahead of this machine's.
    ahead: i32,
    tokens: Value,
}

impl HubProcess {
    /// Starts `carillon serve --dev` over a data folder, on a free port.
    pub fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0", &[])
    }

    /// The same, as one of the nodes that share a Redis. Nodes with one data folder know each other's tokens.
    pub fn node(data: &Path, redis: &str) -> Self {
        Self::start_at(data, "127.0.0.1:0", &["--redis", redis])
    }

    /// The same, where the Redis is one of a cluster's servers.
    pub fn node_of_cluster(data: &Path, redis: &str) -> Self {
        Self::start_at(data, "127.0.0.1:0", &["--redis", redis, "--redis-cluster"])
    }

    /// A node whose clock is ahead of this machine's by so many seconds, or behind.
    pub fn node_of_another_time(data: &Path, redis: &str, ahead: i32) -> Self {
        Self::start_by(data, "127.0.0.1:0", &["--redis", redis], ahead)
    }

    fn start_at(data: &Path, grpc: &str, redis: &[&str]) -> Self {
        Self::start_by(data, grpc, redis, 0)
    }

    fn start_by(data: &Path, grpc: &str, redis: &[&str], ahead: i32) -> Self {
        // Of a write past the limit the process is told, rather than killed.
        let mut command = Command::new("sh");
        if ahead != 0 {
            command.env("LD_PRELOAD", library_of_another_time());
            command.env("FAKETIME", format!("{ahead:+}s")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(binary());
        command.args(["serve", "--dev", "--json", "--grpc", grpc, "--http", "127.0.0.1:0"]);
        command
            .args(["--bridge", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.args(redis);
        let mut child = command.spawn().expect("the carillon command is built: cargo build -p carillon");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the hub says when it serves");
        let ready: Value = serde_json::from_str(&line).expect("one line of JSON");
        let at =
            |port: &str| ready[port].as_str().expect("an address").trim_start_matches("http://").to_owned();
        let redis = redis.iter().map(|&word| word.to_owned()).collect();
        let (data, tokens) = (data.to_owned(), ready["tokens"].clone());
        Self { child, data, address: at("grpc"), bridge: at("bridge"), redis, ahead, tokens }
    }

    /// Kills it as a power switch would, as far as a process can tell, and starts another on the same port. `between` is
    /// asked when it is dead and the other one not yet there.
    pub fn is_killed_and_starts_again<T>(&mut self, between: impl FnOnce() -> T) -> T {
        self.is_killed();
        let known = between();
        self.starts_again();
        known
    }

    /// Stops as on SIGTERM, in order, and starts another on the same port.
    pub fn is_replaced(&mut self) {
        send_signal(self.child.id(), "TERM");
        assert_eq!(self.child.wait().expect("it is ours").code(), Some(0));
        self.starts_again();
    }

    fn starts_again(&mut self) {
        let redis: Vec<_> = self.redis.iter().map(String::as_str).collect();
        let again = Self::start_by(&self.data, &self.address, &redis, self.ahead);
        *self = again;
    }

    /// Kills it as a power switch would.
    pub fn is_killed(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
        self.leaves_no_time();
    }

    /// The library of another time keeps it in shared memory, which a process that is killed leaves behind.
    fn leaves_no_time(&self) {
        if self.ahead != 0 {
            let process = self.child.id();
            for name in [format!("faketime_shm_{process}"), format!("sem.faketime_sem_{process}")] {
                let _ = std::fs::remove_file(Path::new("/dev/shm").join(name));
            }
        }
    }

    /// `carillon` with these arguments, as one of those for whom there are development tokens.
    pub fn carillon(&self, name: &str, arguments: &[&str]) -> Carillon {
        carillon(arguments).arg("--as").arg(name).arg("--data").arg(&self.data)
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it serves browsers.
    pub fn bridge(&self) -> SocketAddr {
        self.bridge.parse().expect("an address")
    }

    /// The development token of this name.
    pub fn token(&self, name: &str) -> &str {
        self.tokens[name].as_str().expect("a token of that name")
    }

    /// Stops as on SIGTERM, and leaves its data behind; in order.
    pub fn stops(self) {
        assert_eq!(self.ends(), Some(0));
    }

    /// Stops as on SIGTERM. Gives the exit code.
    pub fn ends(mut self) -> Option<i32> {
        send_signal(self.child.id(), "TERM");
        self.child.wait().expect("it is ours").code()
    }

    /// From now on its writes fail past so many bytes of a file.
    pub fn writes_no_file_past(&self, bytes: u64) {
        let limited = Command::new("prlimit")
            .arg(format!("--pid={}", self.child.id()))
            .arg(format!("--fsize={bytes}"))
            .status();
        assert!(limited.is_ok_and(|status| status.success()), "it runs");
    }

    /// How a client of alice, bob or the service connects.
    pub fn options(&self, name: &str) -> ClientOptions {
        ClientOptions::new(format!("http://{}", self.address)).token(self.token(name))
    }
}

/// What gives a process another clock, where Debian has it.
fn library_of_another_time() -> PathBuf {
    let here = std::fs::read_dir("/usr/lib").expect("libraries").flatten();
    let mut found = here.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|library| library.exists()).expect("libfaketime is installed")
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.leaves_no_time();
    }
}
