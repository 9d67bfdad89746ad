//! The connection: opened, watched, opened again.
//!
//! [`Link`] is what everybody holds. It has a connection or none; who finds its connection broken says so with
//! [`Link::lost`], and [`Link::keep`], which runs as a task, opens another one after a random part of a wait that doubles.
//! While there is none, callers are answered at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisError, RedisFuture, RedisResult, TlsCertificates, Value,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::options::Options;

/// Why there is no connection. Its text has no address and no password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The settings cannot be used.
    #[error("redis: {0}")]
    Settings(Arc<str>),
    /// The server cannot be reached or refuses.
    #[error("redis cannot be reached: {0}")]
    Unreachable(Arc<str>),
}

impl LinkError {
    fn settings(error: &impl ToString) -> Self {
        Self::Settings(error.to_string().into())
    }

    fn unreachable(error: &RedisError) -> Self {
        let text = error.detail().map_or_else(|| error.category().to_owned(), str::to_owned);
        Self::Unreachable(text.into())
    }
}

/// A connection that many use at once; commands are answered in the order in which they were given.
#[derive(Clone)]
pub enum Connection {
    /// To one server.
    Single(MultiplexedConnection),
    /// To the servers of a cluster: each command goes to its key's.
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

enum Opener {
    Single(Box<Client>, AsyncConnectionConfig),
    Cluster(Box<ClusterClient>),
}

impl Opener {
    fn new(options: &Options) -> Result<Self, LinkError> {
        let certificates = certificates(options)?;
        let infos =
            options.servers.iter().map(|server| info(server, options)).collect::<Result<Vec<_>, _>>()?;
        if options.cluster {
            let mut builder = ClusterClient::builder(infos)
                .connection_timeout(options.connect_timeout)
                .response_timeout(options.answer_timeout)
                .overall_response_timeout(Some(options.answer_timeout))
                .use_protocol(ProtocolVersion::RESP3)
                .tcp_settings(tcp());
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            return builder
                .build()
                .map(Box::new)
                .map(Self::Cluster)
                .map_err(|error| LinkError::settings(&error));
        }
        let [info] = &infos[..] else {
            return Err(LinkError::Settings("one server, or cluster = true".into()));
        };
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(info.clone(), certificates),
            None => Client::open(info.clone()),
        };
        let client = client.map_err(|error| LinkError::settings(&error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.answer_timeout))
            .set_pipeline_buffer_size(1_024);
        Ok(Self::Single(Box::new(client), config))
    }

    async fn open(&self) -> RedisResult<Connection> {
        match self {
            Self::Single(client, config) => {
                client.get_multiplexed_async_connection_with_config(config).await.map(Connection::Single)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// What a server's URL and the settings beside it come to.
pub fn info(server: &str, options: &Options) -> Result<ConnectionInfo, LinkError> {
    let info = server.into_connection_info().map_err(|error| LinkError::settings(&error))?;
    let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    if let (None, Some(user)) = (settings.username(), &options.user) {
        settings = settings.set_username(user);
    }
    if let (None, Some(password)) = (settings.password(), &options.password) {
        settings = settings.set_password(password);
    }
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp()))
}

/// What servers' certificates are checked against, where the settings say.
pub fn certificates(options: &Options) -> Result<Option<TlsCertificates>, LinkError> {
    let read = |path| std::fs::read(path).map_err(|error| LinkError::settings(&error));
    let root = options.ca.as_ref().map(read).transpose()?;
    Ok(root.map(|root| TlsCertificates { client_tls: None, root_cert: Some(root) }))
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Counts the connections: who reports a broken one reports the one that they had.
    number: u64,
}

struct Inner {
    options: Options,
    opener: Opener,
    state: Mutex<State>,
    lost: Notify,
    /// Times that a connection was opened after the first.
    reopened: AtomicU64,
}

/// What looks at a connection before others get it, and gives it back.
pub type Check = Box<dyn Fn(Connection) -> BoxFuture<'static, Result<Connection, LinkError>> + Send + Sync>;

/// The connection that everybody shares. A cheap handle.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

impl Link {
    /// A link that is not connected yet; the settings are checked.
    pub fn new(options: Options) -> Result<Self, LinkError> {
        let opener = Opener::new(&options)?;
        let inner = Inner {
            options,
            opener,
            state: Mutex::default(),
            lost: Notify::new(),
            reopened: AtomicU64::new(0),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Its settings.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The connection there is, with its number.
    pub fn connection(&self) -> Option<(u64, Connection)> {
        let state = self.0.state.lock();
        state.connection.clone().map(|connection| (state.number, connection))
    }

    /// How often it was opened again.
    pub fn reopened(&self) -> u64 {
        self.0.reopened.load(Ordering::Relaxed)
    }

    /// The connection with this number is broken.
    pub fn lost(&self, number: u64) {
        let mut state = self.0.state.lock();
        if state.number == number && state.connection.take().is_some() {
            self.0.lost.notify_one();
        }
    }

    /// Connects once.
    pub async fn connect(&self) -> Result<Connection, LinkError> {
        self.0.opener.open().await.map_err(|error| LinkError::unreachable(&error))
    }

    /// Makes a connection the one that everybody gets.
    pub fn put(&self, connection: Connection) {
        let mut state = self.0.state.lock();
        state.number += 1;
        state.connection = Some(connection);
    }

    /// Ends the connection: nobody gets one any more.
    pub fn close(&self) {
        self.0.state.lock().connection = None;
    }

    /// Opens the connection again whenever it was lost, until cancelled. `check` looks at a new one before others get it;
    /// where it finds fault the attempt counts as failed.
    pub async fn keep(self, cancel: CancellationToken, check: Check) {
        loop {
            tokio::select! {
                () = self.0.lost.notified() => {}
                () = cancel.cancelled() => return,
            }
            let mut wait = self.0.options.back_off;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(jittered(wait)) => {}
                    () = cancel.cancelled() => return,
                }
                wait = (wait * 2).min(self.0.options.back_off_most);
                match self.reopen(&check).await {
                    Ok(()) => break,
                    Err(error) => tracing::warn!(error = %error, "redis is not there"),
                }
            }
            self.0.reopened.fetch_add(1, Ordering::Relaxed);
            tracing::info!("redis is there again");
        }
    }

    async fn reopen(&self, check: &Check) -> Result<(), LinkError> {
        let connection = self.connect().await?;
        self.put(check(connection).await?);
        Ok(())
    }
}

/// A random part of a wait, so that not all come back at once.
pub fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness the whole wait does.
    let part = getrandom::fill(&mut random).map_or(u32::MAX, |()| u32::from_le_bytes(random));
    wait.mul_f64(f64::from(part) / f64::from(u32::MAX))
}
