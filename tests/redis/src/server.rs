//! One server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use redis::{Client, FromRedisValue};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::proxy::Target;

/// Where a server keeps its log.
const LOG: &str = "appendonlydir";

/// Milliseconds after which servers of a cluster give up one that they do not hear.
const NODE_TIMEOUT: &str = "1000";

/// What a server keeps of what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing, once it has ended.
    Nothing,
    /// Its log reaches the disk every second.
    EverySecond,
    /// Each write reaches the disk before it is answered.
    Always,
}

impl Keeps {
    fn settings(self) -> [&'static str; 4] {
        let (is_logged, sync) = match self {
            Self::Nothing => ("no", "no"),
            Self::EverySecond => ("yes", "everysec"),
            Self::Always => ("yes", "always"),
        };
        ["--appendonly", is_logged, "--appendfsync", sync]
    }
}

enum At {
    /// A socket in the folder.
    Socket,
    /// A port besides, by which replicas find it.
    Alone(u16),
    /// A port of a server of a cluster, and its port for the others.
    Port(u16, u16),
}

/// What a server had kept at a time.
pub struct Backup(TempDir);

/// A server. Dropping it ends it.
pub struct Server {
    folder: TempDir,
    at: At,
    keeps: Keeps,
    /// Settings besides, as on a command line.
    more: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// Starts one, and waits until it can be reached.
    pub fn start(keeps: Keeps) -> Self {
        Self::start_at(At::Socket, keeps)
    }

    /// The same with settings besides, as on a command line.
    pub fn start_with(keeps: Keeps, more: &[&str]) -> Self {
        let mut server = Self::new(At::Socket, keeps);
        server.more = more.iter().map(|&word| word.to_owned()).collect();
        server.restart();
        server
    }

    /// Starts another one over what one had kept.
    pub fn start_over(backup: &Backup, keeps: Keeps) -> Self {
        let mut server = Self::new(At::Socket, keeps);
        server.go_back(backup);
        server.restart();
        server
    }

    /// Starts one that others may replicate, or that replicates another.
    pub fn start_for_replication(keeps: Keeps) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let at = At::Alone(free.local_addr().expect("it is bound").port());
        drop(free);
        Self::start_at(at, keeps)
    }

    /// Starts one that is to be part of a cluster; where there are settings of TLS it has a port for that besides, and speaks
    /// so to the others.
    pub(crate) fn start_for_cluster(keeps: Keeps, tls: &[&str]) -> Self {
        // Held until all are there, so that they are not the same.
        let free = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
        let [port, bus, secure] = free.each_ref().map(|free| free.local_addr().expect("it is bound").port());
        drop(free);
        let mut server = Self::new(At::Port(port, bus), keeps);
        if !tls.is_empty() {
            let secure = secure.to_string();
            let speaks = ["--tls-port", &secure, "--tls-cluster", "yes", "--tls-replication", "yes"];
            server.more = speaks.iter().chain(tls).map(|&word| word.to_owned()).collect();
        }
        let others = server.more.len();
        // Two that meet give each other up after that time, and nobody has them meet again: on a machine that is busy they may
        // need longer. [`Self::is_in_its_cluster`] sets it.
        server.more.extend(["--cluster-node-timeout", "60000"].map(str::to_owned));
        server.restart();
        server.more.truncate(others);
        server
    }

    /// Its cluster is whole: from now on it gives up others as soon as tests of failover want it.
    pub(crate) fn is_in_its_cluster(&self) {
        self.command::<()>(&format!("CONFIG SET cluster-node-timeout {NODE_TIMEOUT}"));
    }

    fn start_at(at: At, keeps: Keeps) -> Self {
        let mut server = Self::new(at, keeps);
        server.restart();
        server
    }

    fn new(at: At, keeps: Keeps) -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
            at,
            keeps,
            more: Vec::new(),
            process: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The socket of one that is not of a cluster.
    pub fn socket(&self) -> PathBuf {
        self.path("redis.sock")
    }

    /// Becomes another one's replica, and waits until it has what that has.
    pub fn replicate(&self, master: &Self) {
        let At::Alone(port) = master.at else { panic!("it has no port") };
        self.command::<()>(&format!("REPLICAOF 127.0.0.1 {port}"));
        let is_up = || self.command::<String>("INFO replication").contains("master_link_status:up");
        crate::cluster::until("a replica has all", is_up);
    }

    /// Where it is.
    pub fn url(&self) -> String {
        match self.at {
            At::Socket => format!("unix://{}", self.socket().display()),
            At::Alone(port) | At::Port(port, _) => format!("redis://127.0.0.1:{port}"),
        }
    }

    pub(crate) fn target(&self) -> Target {
        match self.at {
            At::Socket => Target::Unix(self.socket()),
            At::Alone(port) | At::Port(port, _) => Target::Tcp(([127, 0, 0, 1], port).into()),
        }
    }

    /// Its port within TLS, where it has one.
    pub(crate) fn secure_port(&self) -> Option<u16> {
        let of_tls = self.more.windows(2).find(|words| words[0] == "--tls-port")?;
        of_tls[1].parse().ok()
    }

    /// Whether it is for a cluster.
    pub fn is_of_cluster(&self) -> bool {
        matches!(self.at, At::Port(..))
    }

    /// The ports of one that is for a cluster: its own, and the one for the others.
    pub(crate) fn ports(&self) -> (u16, u16) {
        match self.at {
            At::Port(port, bus) => (port, bus),
            At::Socket | At::Alone(_) => panic!("it is of no cluster"),
        }
    }

    /// Starts it again, with what it kept.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Command::new("redis-server");
        command.arg("--dir").arg(self.folder.path()).args(["--save", ""]).args(self.keeps.settings());
        match &self.at {
            At::Socket => {
                command.args(["--port", "0", "--unixsocket"]).arg(self.socket());
            }
            At::Alone(port) => {
                command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
                command.args(["--repl-diskless-sync-delay", "0", "--unixsocket"]).arg(self.socket());
            }
            At::Port(port, bus) => {
                command.args(["--bind", "127.0.0.1", "--cluster-enabled", "yes"]);
                command.args(["--port", &port.to_string(), "--cluster-port", &bus.to_string()]);
                command.args([
                    "--cluster-node-timeout",
                    NODE_TIMEOUT,
                    "--cluster-replica-validity-factor",
                    "0",
                ]);
                command.args(["--repl-diskless-sync-delay", "0"]);
            }
        }
        command.args(&self.more);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("redis-server is installed");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let is_ready = |line: String| line.contains("eady to accept connections");
        assert!(lines.by_ref().map_while(Result::ok).any(is_ready), "redis-server does not start");
        // What it says from now on is read, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    /// Its process' id.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id() as i32).expect("a process has an id");
        kill_process(id, signal).expect("it is this test's own");
    }

    /// Ends it as a failing machine would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Ends it in order: all that it was given is in its log.
    pub fn end(&mut self) {
        self.signal(Signal::TERM);
        self.wait();
    }

    fn wait(&mut self) {
        self.process.take().expect("it runs").wait().expect("it ends");
    }

    /// It does nothing from now on, and its connections stay.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Copies what it has kept so far. Nothing may be written meanwhile.
    pub fn back_up(&self) -> Backup {
        let backup = TempDir::new().expect("a temporary folder");
        copy_files(&self.path(LOG), backup.path());
        Backup(backup)
    }

    /// Has only what the copy has, as a replica that takes over without the last writes. It does not run.
    pub fn go_back(&mut self, backup: &Backup) {
        assert!(self.process.is_none(), "it runs");
        let kept = self.path(LOG);
        if kept.exists() {
            fs::remove_dir_all(&kept).expect("its log is this test's own");
        }
        fs::create_dir(&kept).expect("its folder is this test's own");
        copy_files(backup.0.path(), &kept);
    }

    /// Puts bytes at the end of a list.
    pub fn push(&self, list: &str, bytes: &[u8]) {
        let connection = Client::open(self.url()).and_then(|client| client.get_connection());
        let mut push = redis::cmd("RPUSH");
        push.arg(list).arg(bytes);
        push.exec(&mut connection.expect("it can be reached")).expect("it does what it is told");
    }

    /// Does a command, over a connection of its own.
    pub fn command<T: FromRedisValue>(&self, words: &str) -> T {
        let connection = Client::open(self.url()).and_then(|client| client.get_connection());
        let mut command = redis::Cmd::new();
        words.split(' ').for_each(|word| _ = command.arg(word));
        command.query(&mut connection.expect("it can be reached")).expect("it does what it is told")
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("it keeps a log") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("it can be copied");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself, and nobody wants to know any more.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
