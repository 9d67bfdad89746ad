//! A hub inside the test's process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use carillon_client::{AdminClient, ClientOptions};
use carillon_hub::access::authentication::{MintFor, MintRequest, Options, ServiceTenants, mint};
use carillon_hub::app::{Front, Hub, Stopped};
use carillon_hub::config::Config;
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::{Now, Timestamp};
use carillon_hub::session::sweep_pass;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Redis;
use crate::browser::Beside;
use crate::people::{PATIENCE, Person};

/// The tenant that users are of where a test does not say.
pub const TENANT: &str = "acme";

/// A hub to be started.
pub struct Plan {
    folder: TempDir,
    config: Config,
}

/// A hub with the development settings, on free ports and in a folder of its own.
pub fn hub() -> Plan {
    let folder = TempDir::new().expect("a temporary folder");
    let mut config = Config::development(folder.path()).expect("the development settings are valid");
    config.grpc.listen = ([127, 0, 0, 1], 0).into();
    config.http.listen = ([127, 0, 0, 1], 0).into();
    Plan { folder, config }
}

impl Plan {
    /// Changes a setting.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Whoever disconnects is gone at once, so that a test can see what is left.
    #[must_use]
    pub fn without_grace(self) -> Self {
        self.with(|config| config.presence.grace = Duration::ZERO)
    }

    /// Listens where a hub before it did, so that its clients find it.
    #[must_use]
    pub fn at(self, address: SocketAddr) -> Self {
        self.with(|config| config.grpc.listen = address)
    }

    /// One node of those that share `redis`, and the secret of tokens.
    #[must_use]
    pub fn node_of(self, redis: &Redis) -> Self {
        self.node_at(&redis.url())
    }

    /// The same, where the Redis is reached at this URL.
    #[must_use]
    pub fn node_at(self, redis: &str) -> Self {
        self.with(|config| {
            config.redis.servers = vec![redis.to_owned().into()];
            config.auth.secret_file = None;
            config.auth.secret = Some("a secret that all nodes of a test share".to_owned().into());
        })
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it.
    pub async fn start(self) -> TestHub {
        let hub = Hub::start(&self.config, &[]).await.expect("the hub starts");
        TestHub { hub, folder: self.folder, config: self.config }
    }

    /// Starts it with a bridge beside.
    pub async fn start_with(self, bridge: &Beside) -> TestHub {
        self.start_before(bridge.front()).await
    }

    /// Starts it with a front of the test's own in the same process.
    pub async fn start_before(self, front: Arc<dyn Front>) -> TestHub {
        let hub = Hub::start(&self.config, &[front]).await.expect("the hub starts");
        TestHub { hub, folder: self.folder, config: self.config }
    }

    /// Starts it, which must fail; gives what it says.
    pub async fn fails_to_start(self) -> String {
        match Hub::start(&self.config, &[]).await {
            Ok(_) => panic!("the hub started"),
            Err(error) => error.to_string(),
        }
    }
}

/// A running hub.
pub struct TestHub {
    /// The hub.
    pub hub: Hub,
    folder: TempDir,
    config: Config,
}

impl TestHub {
    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        let scheme = if self.config.grpc.tls.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.hub.grpc_address())
    }

    /// A token of a user of [`TENANT`].
    pub fn token(&self, user: &str) -> String {
        self.token_of(TENANT, user, Duration::from_secs(3600))
    }

    /// A token of a user of a tenant, valid for `ttl`.
    pub fn token_of(&self, tenant: &str, user: &str, ttl: Duration) -> String {
        let subject = MintFor::User {
            tenant: TenantId::parse(tenant).expect("a tenant"),
            user: UserId::parse(user).expect("a user"),
        };
        self.mint(subject, ttl)
    }

    /// A token of a service for all tenants.
    pub fn operator_token(&self) -> String {
        let name = UserId::parse("operator").expect("a name");
        self.mint(MintFor::Service { name, tenants: ServiceTenants::All }, Duration::from_secs(3600))
    }

    /// A token of a service that may act in [`TENANT`].
    pub fn service_token(&self) -> String {
        let tenants = ServiceTenants::Listed(vec![TenantId::parse(TENANT).expect("a tenant")]);
        let name = UserId::parse("billing").expect("a name");
        self.mint(MintFor::Service { name, tenants }, Duration::from_secs(3600))
    }

    /// A token of alice of [`TENANT`] with these claims in place of the usual ones or besides them.
    pub fn token_that_says(&self, claims: &Value) -> String {
        let options = self.authentication();
        let (secret, _) = options.secret().expect("a secret signs");
        let exp = Timestamp::now().millis() / 1_000 + 600;
        let mut all = json!({"sub": "alice", "org": TENANT, "exp": exp});
        for (name, value) in claims.as_object().expect("claims by name") {
            all[name] = value.clone();
        }
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::default(), &all, &key).expect("a token")
    }

    /// What tokens are checked with.
    pub fn authentication(&self) -> Options {
        self.config.authentication().expect("the keys are valid")
    }

    /// How many frames went past the tasks of sockets that rested.
    pub fn written_past(&self) -> u64 {
        self.hub.services().delivery.shards().iter().map(|shard| shard.written().frames()).sum()
    }

    /// Waits until nothing of any session is left: no session, nobody present, and no room after the minute that
    /// empty rooms are kept.
    pub async fn is_empty_again(&self) {
        let services = self.hub.services();
        let emptied = async {
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            while !(services.sessions.is_empty() && services.presence.is_empty()) {
                looks.tick().await;
            }
            // A room is still held for a moment by whoever has just been told that its last follower left.
            let rooms = services.delivery.rooms();
            while !rooms.is_empty() {
                looks.tick().await;
                // The hub's own pass, as it is after that minute.
                let now = Now::read();
                let later = Duration::from_secs(61);
                sweep_pass(
                    services,
                    0,
                    Now { time: now.time.plus(later), moment: now.moment.plus(later) },
                    false,
                );
            }
        };
        let emptied = tokio::time::timeout(PATIENCE, emptied).await;
        assert!(
            emptied.is_ok(),
            "left: {} sessions, {} rooms, presence empty: {}",
            services.sessions.len(),
            services.delivery.rooms().len(),
            services.presence.is_empty()
        );
        assert_eq!(services.delivery.registry().users(), 0);
    }

    fn mint(&self, subject: MintFor, ttl: Duration) -> String {
        mint(&self.authentication(), &MintRequest { subject, ttl }, Timestamp::now()).expect("a token")
    }

    /// How a client of a user connects.
    pub fn options(&self, user: &str) -> ClientOptions {
        ClientOptions::new(self.url()).token(self.token(user))
    }

    /// A user who connects.
    pub async fn enters(&self, user: &str) -> Person {
        Person::connect(user, self.options(user)).await
    }

    /// The administration, with a service's token.
    pub fn admin(&self) -> AdminClient {
        AdminClient::new(ClientOptions::new(self.url()).token(self.service_token()), TENANT)
            .expect("an address")
    }

    /// Stops it as SIGTERM does, and gives the same plan, to start it again over what it stored.
    pub async fn stops(self) -> Plan {
        assert_eq!(self.hub.stop().await, Stopped::InOrder, "the hub drains in time");
        Plan { folder: self.folder, config: self.config }
    }
}
