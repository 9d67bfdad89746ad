//! Redis servers that are a cluster.

use std::time::{Duration, Instant};

use crate::server::Server;

/// The last slot of each master.
const LAST: [u16; 3] = [5_460, 10_922, 16_383];

/// Starts three masters, each with a replica or none: the masters come first.
pub(crate) fn start_cluster(with_replicas: bool) -> Vec<Server> {
    let count = if with_replicas { 6 } else { 3 };
    let servers: Vec<_> = (0..count).map(|_| Server::start_for_cluster()).collect();
    let mut first = 0;
    for (master, last) in servers.iter().zip(LAST) {
        master.command::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        first = last + 1;
    }
    for server in &servers[1..] {
        let (port, bus) = server.ports();
        servers[0].command::<()>(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
    }
    for server in &servers {
        until("the cluster", || {
            let info: String = server.command("CLUSTER INFO");
            let line = |line: &str| info.lines().any(|found| found.trim() == line);
            line("cluster_state:ok") && line(&format!("cluster_known_nodes:{count}"))
        });
    }
    for (replica, master) in servers[3..].iter().zip(&servers) {
        let id: String = master.command("CLUSTER MYID");
        replica.command::<()>(&format!("CLUSTER REPLICATE {id}"));
    }
    for replica in &servers[3..] {
        until("a replica", || {
            replica.command::<String>("INFO replication").contains("master_link_status:up")
        });
    }
    servers
}

/// Waits for a state of a server.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: it does not come");
        std::thread::yield_now();
    }
}
