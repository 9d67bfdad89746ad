//! A Redis cluster of a test's own: three masters with a replica each.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const SERVERS: usize = 6;

/// A running cluster. Its servers end with the thread that started them, at the latest.
pub(crate) struct Cluster {
    pub(crate) ports: Vec<u16>,
    folder: tempfile::TempDir,
    servers: Mutex<Vec<Child>>,
}

/// Ports that are free, and so are those 10,000 above, where the servers speak with each other.
fn free_ports() -> Vec<u16> {
    let mut kept = Vec::new();
    let mut ports = Vec::new();
    while ports.len() < SERVERS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 50_000
            && let Ok(other) = TcpListener::bind(("127.0.0.1", port + 10_000))
        {
            ports.push(port);
            kept.push(other);
        }
        kept.push(listener);
    }
    ports
}

impl Cluster {
    /// Starts one, and waits until it is whole.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports();
        let servers = ports.iter().map(|port| start_server(folder.path(), *port)).collect();
        for port in &ports {
            wait_until("a server answers", || cli(*port, &["ping"]).contains("PONG"));
        }
        let mut create: Vec<String> = vec!["--cluster".into(), "create".into()];
        create.extend(ports.iter().map(|port| format!("127.0.0.1:{port}")));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"].map(str::to_owned));
        let made = Command::new("redis-cli").args(&create).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        for port in &ports {
            let is_whole = || {
                let info = cli(*port, &["cluster", "info"]);
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            };
            wait_until("the cluster is whole", is_whole);
        }
        Self { ports, folder, servers: Mutex::new(servers) }
    }

    /// Where its servers are.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("redis://127.0.0.1:{port}")).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in self.servers.lock().unwrap().iter_mut() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn start_server(folder: &std::path::Path, port: u16) -> Child {
    let own = folder.join(port.to_string());
    std::fs::create_dir_all(&own).unwrap();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--dir"]).arg(&own);
    command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--bind", "127.0.0.1"]);
    #[allow(unsafe_code)]
    // SAFETY: prctl is safe to call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command.stdout(Stdio::null()).spawn().expect("redis-server is there")
}

fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::yield_now();
    }
}

/// What tests of failovers do.
#[allow(dead_code)]
impl Cluster {
    /// Ends a master without warning; gives its port.
    pub(crate) fn kill_a_master(&self) -> u16 {
        let is_master = |port: &&u16| cli(**port, &["role"]).starts_with("master");
        let port = *self.ports.iter().find(is_master).unwrap();
        let index = self.ports.iter().position(|other| *other == port).unwrap();
        let mut servers = self.servers.lock().unwrap();
        servers[index].kill().unwrap();
        servers[index].wait().unwrap();
        port
    }

    /// Waits until another server has taken over.
    pub(crate) fn wait_for_a_master_instead_of(&self, gone: u16) {
        let masters = || {
            let left = self.ports.iter().filter(|port| **port != gone);
            left.filter(|port| cli(**port, &["role"]).starts_with("master")).count()
        };
        wait_until("a replica takes over", || masters() == 3);
    }

    /// Starts a server again that was ended.
    pub(crate) fn restart(&self, port: u16) {
        let index = self.ports.iter().position(|other| *other == port).unwrap();
        self.servers.lock().unwrap()[index] = start_server(self.folder.path(), port);
        wait_until("it is a replica", || cli(port, &["role"]).starts_with("slave"));
    }
}
