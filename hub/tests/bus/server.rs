//! Redis servers of a test's own: child processes in a folder that goes with them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::{Client, FromRedisValue, RedisResult};

enum At {
    /// A socket in the folder.
    Socket,
    /// A port of a server of a cluster, and its port for the others.
    Port(u16, u16),
}

/// A server, which may be stopped and started again.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    at: At,
    process: Option<Child>,
}

impl Server {
    /// Starts one, and waits until it can be reached.
    pub(crate) fn start() -> Self {
        Self::start_at(At::Socket)
    }

    /// Starts one that is to be part of a cluster.
    pub(crate) fn start_for_cluster() -> Self {
        // Held until all have theirs, so that no two get the same.
        let free = || TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, bus) = (free(), free());
        let at = At::Port(port.local_addr().unwrap().port(), bus.local_addr().unwrap().port());
        drop((port, bus));
        Self::start_at(at)
    }

    fn start_at(at: At) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { folder, at, process: None };
        server.restart();
        server
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Command::new("redis-server");
        command.arg("--dir").arg(self.folder.path()).args(["--save", "", "--appendonly", "no"]);
        match &self.at {
            At::Socket => {
                command.args(["--port", "0", "--unixsocket"]).arg(self.folder.path().join("redis.sock"));
            }
            At::Port(port, bus) => {
                command.args([
                    "--bind",
                    "127.0.0.1",
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                ]);
                command.args(["--port", &port.to_string(), "--cluster-port", &bus.to_string()]);
                command.args(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]);
            }
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("redis-server is installed");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_ready = |line: &str| {
            line.contains("Ready to accept connections") || line.contains("ready to accept connections")
        };
        let ready = lines.by_ref().map_while(Result::ok).any(|line| is_ready(&line));
        assert!(ready, "redis-server does not start");
        // What it says from now on is read, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    /// Ends it as a failing machine would.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    fn signal(&self, signal: i32) {
        let id = self.process.as_ref().expect("it runs").id() as i32;
        // SAFETY: the process is this test's own child, and was not waited for.
        #[allow(unsafe_code)]
        let sent = unsafe { libc::kill(id, signal) };
        assert_eq!(sent, 0);
    }

    /// It does nothing from now on, and its connections stay.
    pub(crate) fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        match self.at {
            At::Socket => format!("unix://{}", self.folder.path().join("redis.sock").display()),
            At::Port(port, _) => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// Whether it is for a cluster.
    pub(crate) fn is_of_cluster(&self) -> bool {
        matches!(self.at, At::Port(..))
    }

    /// Its ports, where it is for a cluster.
    pub(crate) fn ports(&self) -> (u16, u16) {
        match self.at {
            At::Port(port, bus) => (port, bus),
            At::Socket => panic!("it has none"),
        }
    }

    /// Does a command, over a connection of its own.
    pub(crate) fn command<T: FromRedisValue>(&self, words: &str) -> T {
        self.try_command(words).unwrap()
    }

    pub(crate) fn try_command<T: FromRedisValue>(&self, words: &str) -> RedisResult<T> {
        let mut connection = Client::open(self.url())?.get_connection()?;
        let mut command = redis::Cmd::new();
        words.split(' ').for_each(|word| _ = command.arg(word));
        command.query(&mut connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}
