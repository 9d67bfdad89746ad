//! Which hub is measured: one at an address, or one of our own.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::child::{Process, Server};
use crate::dev_tokens::SECRET_FILE;
use crate::environment;

use super::BenchError;
use super::affinity::Processors;
use super::credentials::Credentials;
use crate::wire::{Speech, Transport};

/// Which hub, as whom, and where things run.
#[derive(Args, Clone, Debug)]
pub(super) struct TargetOptions {
    /// The hub's address, without TLS.
    #[arg(long, value_name = "URL", env = "CARILLON_ADDR", default_value = "http://127.0.0.1:7420")]
    addr: String,
    /// What sessions travel on.
    #[arg(long, value_enum, default_value_t = Transport::Grpc)]
    transport: Transport,
    /// The address for WebSocket of a hub that `--addr` names, or of a bridge before it; without TLS.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7422")]
    bridge: String,
    /// Start a hub of our own on free ports with a temporary data folder, and measure its process too.
    #[arg(long = "self")]
    pub(super) own: bool,
    /// With --self: the hub keeps an audit log.
    #[arg(long, requires = "own")]
    audit: bool,
    /// With --self: the hub keeps its state there, under this URL.
    #[arg(long, value_name = "URL", requires = "own")]
    redis: Option<String>,
    /// The token of all sessions; several, with commas, are taken in turn [default: without --secret-file,
    /// $CARILLON_TOKEN].
    #[arg(long, value_name = "JWT", value_delimiter = ',')]
    token: Vec<String>,
    /// A file with the hub's HS256 secret: each session gets a user of its own.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    secret_file: Option<PathBuf>,
    /// The data folder of `serve --dev`: where neither token nor secret is given, its secret is used.
    #[arg(long, value_name = "DIR", env = "CARILLON_DATA", default_value = "./carillon-data")]
    data: PathBuf,
    /// The tenant of the users that are made.
    #[arg(long, value_name = "ID", default_value = "dev")]
    pub(super) tenant: String,
    #[command(flatten)]
    scratch: Scratch,
    /// Processors for the servers that are started, as 0 or 0-3.
    #[arg(long, value_name = "LIST")]
    server_cpus: Option<Processors>,
    /// Processors for the load generator.
    #[arg(long, value_name = "LIST")]
    client_cpus: Option<Processors>,
}

impl TargetOptions {
    fn tokens(&self) -> Vec<String> {
        let variable = environment::text(environment::TOKEN).filter(|_| self.secret_file.is_none());
        match variable {
            Some(tokens) if self.token.is_empty() => tokens.split(',').map(str::to_owned).collect(),
            _ => self.token.clone(),
        }
    }
}

/// Where data folders are made that go when the benchmark ends.
#[derive(Args, Clone, Debug)]
pub(super) struct Scratch {
    /// Where the temporary data folder is made [default: the system's folder for temporary files, or this one where that
    /// is in memory, which would make fsync free].
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

impl Scratch {
    /// Makes one.
    pub(super) fn make(&self) -> Result<TempDir, TargetError> {
        let system = std::env::temp_dir();
        let default = || if Self::is_memory(&system) { PathBuf::from(".") } else { system.clone() };
        let parent = self.scratch.clone().unwrap_or_else(default);
        tempfile::Builder::new().prefix("carillon-bench-").tempdir_in(parent).map_err(TargetError::Folder)
    }

    /// Whether this folder is in memory.
    pub(super) fn is_memory(folder: &Path) -> bool {
        /// From linux/magic.h.
        const TMPFS: u64 = 0x0102_1994;
        rustix::fs::statfs(folder).is_ok_and(|system| system.f_type as u64 == TMPFS)
    }
}

/// Why there is no hub to measure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// The address names nothing.
    #[error("{0}: expected HOST:PORT of a hub's gRPC port (--addr) or of its port for browsers (--bridge)")]
    Address(String),
    /// A WebSocket carries one session.
    #[error("--per-connection: only with --transport grpc do sessions share a connection")]
    Shared,
    /// Nothing can be said over event streams.
    #[error("--transport sse: sessions only listen there; `bench fanout` measures that")]
    OneWay,
    /// The hub that was started does not say where its WebSocket port is.
    #[error("the hub that was started has no bridge")]
    NoBridge,
    /// The bare peer is not there.
    #[error(
        "no {0}; build it with `cargo build --release -p carillon-peer-raw`, or name it with --peer-binary"
    )]
    NoPeer(PathBuf),
    /// No folder for the data.
    #[error("cannot make a temporary folder: {0}")]
    Folder(std::io::Error),
    /// No token.
    #[error("no token: give --token, --secret-file or --data, or measure a hub of our own with --self")]
    NoToken,
    /// The secret cannot be used.
    #[error("{file}: {reason}")]
    Secret {
        /// Where it was looked for.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The hub that is measured.
pub(super) struct Target {
    /// Where its port for the transport is.
    pub(super) address: SocketAddr,
    /// Its gRPC port.
    pub(super) grpc: SocketAddr,
    /// Its port for browsers, where we started it.
    pub(super) bridge: Option<SocketAddr>,
    /// What is spoken there.
    pub(super) speech: Speech,
    transport: Transport,
    is_audited: bool,
    is_on_redis: bool,
    /// Tokens for sessions.
    pub(super) credentials: Credentials,
    /// The process, where we started it.
    pub(super) process: Option<Process>,
    /// Where servers run, for the report.
    pub(super) server_cpus: Option<Processors>,
    /// Where the load generator runs.
    pub(super) client_cpus: Option<Processors>,
    /// Dropped before its folder.
    server: Option<Server>,
    folder: TempDir,
}

/// What `serve --json` says when it is ready.
#[derive(serde::Deserialize)]
struct Ready {
    grpc: String,
    bridge: Option<String>,
}

impl Target {
    /// Finds the hub, or starts one. `pin`: where nothing is said and there are two processors or more, servers get the
    /// first and the load generator the second.
    pub(super) fn open(options: &TargetOptions, pin: bool) -> Result<Self, BenchError> {
        Self::open_prepared(options, pin, |_| Ok(()))
    }

    /// The same, and lets `prepare` fill the data folder of a hub of our own before it starts.
    pub(super) fn open_prepared(
        options: &TargetOptions,
        pin: bool,
        prepare: impl FnOnce(&Path) -> Result<(), BenchError>,
    ) -> Result<Self, BenchError> {
        raise_file_limit();
        let (server_cpus, client_cpus) = processors(options, pin)?;
        let mut target = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            grpc: SocketAddr::from(([127, 0, 0, 1], 0)),
            bridge: None,
            speech: options.transport.speech(),
            transport: options.transport,
            is_audited: options.audit,
            is_on_redis: options.redis.is_some(),
            credentials: Credentials::Fixed(options.tokens()),
            process: None,
            server_cpus,
            client_cpus,
            folder: options.scratch.make()?,
            server: None,
        };
        if options.own {
            prepare(&target.data())?;
            target.start_hub(options)?;
        } else {
            (target.grpc, target.address) = match options.transport {
                Transport::Grpc => (resolve(&options.addr)?, resolve(&options.addr)?),
                // Only what sends beside the listeners needs both.
                Transport::Ws | Transport::WsJson => (target.grpc, resolve(&options.bridge)?),
                Transport::Sse => (resolve(&options.addr)?, resolve(&options.bridge)?),
            };
            let bare = options.tokens().is_empty();
            let found = Some(options.data.join(SECRET_FILE)).filter(|file| bare && file.exists());
            if let Some(file) = options.secret_file.clone().or(found) {
                target.credentials = Credentials::from_secret(&file, &options.tenant)?;
            } else if bare {
                return Err(TargetError::NoToken.into());
            }
        }
        Ok(target)
    }

    /// The data folder of a hub of our own.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn start_hub(&mut self, options: &TargetOptions) -> Result<(), BenchError> {
        let data = self.data();
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.args([
            "serve",
            "--dev",
            "--json",
            "--grpc",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--bridge",
            "127.0.0.1:0",
            "--data",
        ]);
        command.arg(&data);
        if options.audit {
            command.arg("--audit");
        }
        if let Some(url) = &options.redis {
            command.args(["--redis", url]);
        }
        let (server, ready): (_, Ready) = self.start(&mut command, "hub.log")?;
        self.process = Some(server.process());
        self.server = Some(server);
        self.grpc = resolve(&ready.grpc)?;
        self.bridge = ready.bridge.as_deref().map(resolve).transpose()?;
        self.address = match options.transport {
            Transport::Grpc => self.grpc,
            _ => self.bridge.ok_or(TargetError::NoBridge)?,
        };
        self.credentials = Credentials::from_secret(&data.join(SECRET_FILE), &options.tenant)?;
        Ok(())
    }

    /// Starts a server on the server's processors; its log goes to the temporary folder.
    pub(super) fn start<R: serde::de::DeserializeOwned>(
        &self,
        command: &mut Command,
        log: &str,
    ) -> Result<(Server, R), BenchError> {
        if let Some(processors) = &self.server_cpus {
            processors.bind()?;
        }
        // The child inherits what this thread is bound to now.
        let started = Server::start(command, &self.folder.path().join(log));
        if let Some(processors) = &self.client_cpus {
            processors.bind()?;
        }
        Ok(started?)
    }

    /// Refuses sessions that only listen.
    pub(super) fn check_two_way(&self) -> Result<(), TargetError> {
        if self.speech == Speech::Events { Err(TargetError::OneWay) } else { Ok(()) }
    }

    /// Refuses to let sessions share a connection that carries one.
    pub(super) fn check_shared(&self, per_connection: usize) -> Result<(), TargetError> {
        if per_connection > 1 && self.speech != Speech::Grpc { Err(TargetError::Shared) } else { Ok(()) }
    }

    /// What the report says of where things ran.
    pub(super) fn describe(&self) -> Vec<(&'static str, serde_json::Value)> {
        let list = |processors: &Option<Processors>| processors.as_ref().map(ToString::to_string).into();
        let transport = self.transport.name();
        let hub = if self.server.is_some() { "self".to_owned() } else { self.address.to_string() };
        vec![
            ("hub", hub.into()),
            ("audit", self.is_audited.into()),
            ("redis", self.is_on_redis.into()),
            ("transport", transport.into()),
            ("server_cpus", list(&self.server_cpus)),
            ("client_cpus", list(&self.client_cpus)),
            ("memory_backed_data", (self.server.is_some() && Scratch::is_memory(self.folder.path())).into()),
        ]
    }
}

fn processors(
    options: &TargetOptions,
    pin: bool,
) -> Result<(Option<Processors>, Option<Processors>), BenchError> {
    let all = Processors::current()?;
    // Each side is told where to run, or else keeps what it was given; the client is bound back after a start.
    let split = pin && options.own && all.count() >= 2;
    let or_one = |given: &Option<Processors>, processor| {
        given.clone().or_else(|| split.then(|| Processors::one(processor)))
    };
    let server = or_one(&options.server_cpus, 0);
    let client = or_one(&options.client_cpus, 1).or_else(|| server.is_some().then_some(all));
    if let Some(processors) = &client {
        processors.bind()?;
    }
    Ok((server, client))
}

fn resolve(address: &str) -> Result<SocketAddr, TargetError> {
    let bare = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let mut found = bare.to_socket_addrs().map_err(|_| TargetError::Address(address.to_owned()))?;
    found.next().ok_or_else(|| TargetError::Address(address.to_owned()))
}

/// Each connection is a file, and the server inherits the limit.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, opening the connection that exceeds it says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
