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

    fn start_at(data: &Path, grpc: &str, redis: &[&str]) -> Self {
        // Of a write past the limit the process is told, rather than killed.
        let mut command = Command::new("sh");
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
        Self { child, data, address: at("grpc"), bridge: at("bridge"), redis, tokens }
    }

    /// Kills it as a power switch would, as far as a process can tell, and starts another on the same port. `between` is
    /// asked when it is dead and the other one not yet there.
    pub fn is_killed_and_starts_again<T>(&mut self, between: impl FnOnce() -> T) -> T {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
        let known = between();
        let redis: Vec<_> = self.redis.iter().map(String::as_str).collect();
        let again = Self::start_at(&self.data, &self.address, &redis);
        *self = again;
        known
    }

    /// Kills it as a power switch would.
    pub fn is_killed(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
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

impl Drop for HubProcess {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
