//! Servers that are a cluster.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Keeps, Server};

/// The last slot of each master.
pub const LAST: [u16; 3] = [5_460, 10_922, 16_383];

/// Three masters, each with a replica or none.
pub struct Cluster {
    /// The masters first, then their replicas in the same order, as it was begun.
    pub servers: Vec<Server>,
}

impl Cluster {
    /// Starts one, and waits until it is whole.
    pub fn start(with_replicas: bool, keeps: Keeps) -> Self {
        Self::start_with(with_replicas, keeps, &[])
    }

    /// The same, where servers speak TLS with each other, and with others on a port besides. `tls` says with what, as on a
    /// command line.
    pub fn start_within_tls(with_replicas: bool, keeps: Keeps, tls: &[&str]) -> Self {
        Self::start_with(with_replicas, keeps, tls)
    }

    fn start_with(with_replicas: bool, keeps: Keeps, tls: &[&str]) -> Self {
        let count = if with_replicas { 6 } else { 3 };
        let servers: Vec<_> = (0..count).map(|_| Server::start_for_cluster(keeps, tls)).collect();
        let (masters, replicas) = servers.split_at(LAST.len());
        let mut first = 0;
        for (master, last) in masters.iter().zip(LAST) {
            master.command::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            first = last + 1;
        }
        for server in &servers[1..] {
            let (port, bus) = server.ports();
            let port = server.secure_port().unwrap_or(port);
            servers[0].command::<()>(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
        }
        for server in &servers {
            until("the cluster is whole", || {
                let info: String = server.command("CLUSTER INFO");
                let line = |line: &str| info.lines().any(|found| found.trim() == line);
                line("cluster_state:ok") && line(&format!("cluster_known_nodes:{count}"))
            });
        }
        for (replica, master) in replicas.iter().zip(masters) {
            let id: String = master.command("CLUSTER MYID");
            replica.command::<()>(&format!("CLUSTER REPLICATE {id}"));
        }
        for replica in replicas {
            until("a replica has all", || {
                replica.command::<String>("INFO replication").contains("master_link_status:up")
            });
        }
        servers.iter().for_each(Server::is_in_its_cluster);
        Self { servers }
    }

    /// Where its servers are.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// Where its servers are within TLS.
    pub fn urls_within_tls(&self) -> Vec<String> {
        let ports = self.servers.iter().filter_map(Server::secure_port);
        ports.map(|port| format!("rediss://127.0.0.1:{port}")).collect()
    }

    /// Begins to migrate a slot from one of its servers to another one.
    pub fn begins_to_migrate(&self, slot: u16, from: usize, to: usize) {
        // Who does not know yet what the slot's owner has taken last takes it with an earlier epoch than that has, and loses it to
        // what that one has said before.
        until("all servers are of one epoch", || {
            let epoch = |server: &Server| {
                let info: String = server.command("CLUSTER INFO");
                info.lines().find(|line| line.starts_with("cluster_current_epoch:")).map(str::to_owned)
            };
            self.servers.iter().all(|server| epoch(server) == epoch(&self.servers[from]))
        });
        let (from, to) = (&self.servers[from], &self.servers[to]);
        let (from_id, to_id): (String, String) = (from.command("CLUSTER MYID"), to.command("CLUSTER MYID"));
        to.command::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
        from.command::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
    }

    /// Moves so many of its keys, at most; how many there were.
    pub fn migrates(&self, slot: u16, from: usize, to: usize, most: usize) -> usize {
        let (from, to) = (&self.servers[from], self.servers[to].ports().0);
        let keys: Vec<String> = from.command(&format!("CLUSTER GETKEYSINSLOT {slot} {most}"));
        for key in &keys {
            from.command::<String>(&format!("MIGRATE 127.0.0.1 {to} {key} 0 5000"));
        }
        keys.len()
    }

    /// The slot is the other's, whether its keys are there or not.
    pub fn has_migrated(&self, slot: u16, from: usize, to: usize) {
        let id: String = self.servers[to].command("CLUSTER MYID");
        for server in [to, from] {
            self.servers[server].command::<()>(&format!("CLUSTER SETSLOT {slot} NODE {id}"));
        }
    }

    /// Waits until the first master's replica has taken over from it.
    pub fn wait_for_the_first_replica(&self) {
        self.wait_for_the_replica_of(0);
    }

    /// The same of another one.
    pub fn wait_for_the_replica_of(&self, master: usize) {
        let replica = &self.servers[LAST.len() + master];
        until("a replica takes over", || {
            replica.command::<String>("INFO replication").contains("role:master")
        });
    }

    /// Has a shell end it when this process does, however that ends: for one that is never dropped.
    #[expect(clippy::zombie_processes, reason = "it ends after whoever could wait for it")]
    pub fn ends_with_this_process(&self) {
        let ids: Vec<String> = self.servers.iter().map(|server| server.id().to_string()).collect();
        // The shell reads until nobody is left who could write.
        let script = format!("read _; kill -KILL {}", ids.join(" "));
        let mut shell =
            Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().expect("a shell");
        std::mem::forget(shell.stdin.take());
    }
}

/// Waits for a state of a server.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::yield_now();
    }
}
