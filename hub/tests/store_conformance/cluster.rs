//! A Redis cluster of a test process' own: three masters with a replica each, started once and shared. Each test has its own
//! keys in it.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use carillon_hub::redis;
use carillon_hub::store::redis::{Options, RedisStore};

use crate::harness::{Fixture, Setup};

const SERVERS: usize = 6;

/// The cluster that all tests share.
struct Cluster {
    ports: Vec<u16>,
    _folder: tempfile::TempDir,
    _servers: Mutex<Vec<Child>>,
}

/// Some keys of it.
pub(crate) struct InCluster {
    prefix: String,
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let (started, cluster) = std::sync::mpsc::channel();
        // The system ends the servers when the thread ends that started them: this one does not.
        std::thread::spawn(move || {
            started.send(Cluster::start()).unwrap();
            loop {
                std::thread::park();
            }
        });
        cluster.recv().unwrap()
    })
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
    fn start() -> Self {
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
        Self { ports, _folder: folder, _servers: Mutex::new(servers) }
    }
}

fn start_server(folder: &std::path::Path, port: u16) -> Child {
    let own = folder.join(port.to_string());
    std::fs::create_dir(&own).unwrap();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--dir"]).arg(&own);
    command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--bind", "127.0.0.1"]);
    // A static is not dropped: the servers end with the process that started them.
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

impl Fixture for InCluster {
    type Store = RedisStore;

    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self { prefix: format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed)) }
    }

    fn open(&self, setup: &Setup) -> RedisStore {
        let servers = cluster().ports.iter().map(|port| format!("redis://127.0.0.1:{port}")).collect();
        let redis =
            redis::Options { servers, cluster: true, prefix: self.prefix.clone(), ..redis::Options::new("") };
        let options = Options {
            clock: setup.clock.source(),
            idempotency_keys: setup.idempotency_keys,
            sweep: Duration::from_millis(200),
            queue: 65_536,
            ..Options::new(redis, setup.namespaces.clone(), setup.sink.clone())
        };
        RedisStore::open(options).unwrap()
    }
}

crate::conformance!(super::InCluster);
