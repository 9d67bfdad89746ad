//! What a scenario works with: a hub, a tenant of its own, and tokens for whomever it needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_client::{AdminClient, Client, ClientOptions, Events, Executor, v1};
use carillon_hub::access::authentication::{MintFor, MintRequest, Options, ServiceTenants, mint};
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;

use super::fault::{Fault, Outcome};
use super::line::Line;
use super::person::Person;
use super::random::Random;
use super::wire::Wire;

/// How long to wait for what must happen: long enough for a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long tokens are good where a scenario does not say.
const TTL: Duration = Duration::from_hours(1);
/// Waits between a client's attempts: short, as the hub is there all the time.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// What the hub's settings are, as far as scenarios depend on them and clients are not told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long a lost device counts as present.
    pub(super) grace: Duration,
    /// How long a stream may stand still.
    pub(super) slow_consumer_after: Duration,
    /// How long a stream may live without `hello`.
    pub(super) hello_timeout: Duration,
    /// Bytes of ephemeral events that may wait for a session, in a burst.
    pub(super) mailbox_bytes: usize,
}

/// The hub.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    /// Its gRPC port.
    pub(super) address: SocketAddr,
    /// Where sessions connect: the same, or what takes them over a bridge.
    pub(super) sessions: SocketAddr,
    /// How its tokens are signed.
    pub(super) signing: Arc<Options>,
    /// Its settings.
    pub(super) timing: Timing,
}

/// One scenario's part of the hub.
#[derive(Clone, Debug)]
pub(super) struct World {
    hub: Hub,
    tenant: TenantId,
}

impl World {
    /// In this tenant.
    pub(super) fn new(hub: Hub, tenant: &str) -> Outcome<Self> {
        Ok(Self { hub, tenant: TenantId::parse(tenant).map_err(Fault::broken)? })
    }

    /// The hub's settings.
    pub(super) fn timing(&self) -> Timing {
        self.hub.timing
    }

    /// The tenant's id.
    pub(super) fn tenant(&self) -> &str {
        self.tenant.as_str()
    }

    /// A token of a user that is good for this long.
    pub(super) fn token_for(&self, user: &str, ttl: Duration) -> Outcome<String> {
        let user = UserId::parse(user).map_err(Fault::broken)?;
        self.mint(MintFor::User { tenant: self.tenant.clone(), user }, ttl)
    }

    /// A token of a user.
    pub(super) fn token(&self, user: &str) -> Outcome<String> {
        self.token_for(user, TTL)
    }

    fn mint(&self, subject: MintFor, ttl: Duration) -> Outcome<String> {
        mint(&self.hub.signing, &MintRequest { subject, ttl }, Timestamp::now()).map_err(Fault::broken)
    }

    /// How a user's client connects.
    pub(super) fn options(&self, user: &str) -> Outcome<ClientOptions> {
        Ok(self.options_with(self.token(user)?))
    }

    /// How a client with this token connects.
    pub(super) fn options_with(&self, token: String) -> ClientOptions {
        options_at(&format!("http://{}", self.hub.sessions), token)
    }

    /// The same through a line.
    pub(super) fn options_over(&self, line: &Line, user: &str) -> Outcome<ClientOptions> {
        Ok(options_at(&line.url(), self.token(user)?))
    }

    /// A user who connects.
    pub(super) async fn enters(&self, user: &str) -> Outcome<Person> {
        Person::connect(user, self.options(user)?).await
    }

    /// Several, one after the other.
    pub(super) async fn enter(&self, users: &[String]) -> Outcome<Vec<Person>> {
        let mut people = Vec::with_capacity(users.len());
        for user in users {
            people.push(self.enters(user).await?);
        }
        Ok(people)
    }

    /// A client whose pushes nobody wants.
    pub(super) async fn sender(&self, user: &str) -> Outcome<Client> {
        let (client, events): (Client, Events) =
            Client::connect(self.options(user)?.discard_events()).await?;
        drop(events);
        Ok(client)
    }

    /// Commands without a session.
    pub(super) fn executor(&self, user: &str) -> Outcome<Executor> {
        self.executor_with(self.token(user)?)
    }

    /// The same with this token.
    pub(super) fn executor_with(&self, token: String) -> Outcome<Executor> {
        Ok(Executor::new(options_at(&format!("http://{}", self.hub.address), token))?)
    }

    /// A connection that can be cut.
    pub(super) async fn line(&self) -> Outcome<Line> {
        Line::open(self.hub.sessions).await
    }

    /// A session frame by frame, without `hello` yet.
    pub(super) async fn wire(&self) -> Outcome<Wire> {
        Wire::open(self.hub.sessions).await
    }

    /// A session frame by frame that is open.
    pub(super) async fn wire_session(&self, user: &str) -> Outcome<Wire> {
        let mut wire = self.wire().await?;
        wire.hello(self.token(user)?).await?;
        Ok(wire)
    }

    /// The administration.
    pub(super) fn admin(&self) -> Outcome<AdminClient> {
        let name = UserId::parse("stress").map_err(Fault::broken)?;
        let tenants = ServiceTenants::Listed(vec![self.tenant.clone()]);
        let token = self.mint(MintFor::Service { name, tenants }, TTL)?;
        let options = ClientOptions::new(format!("http://{}", self.hub.address)).token(token);
        Ok(AdminClient::new(options.command_timeout(PATIENCE), self.tenant.as_str())?)
    }

    /// A conversation of these users, the first its owner.
    pub(super) async fn conversation(&self, name: &str, users: &[String]) -> Outcome<String> {
        let room = format!("conversation:{name}");
        let members = users.iter().enumerate().map(|(index, user)| {
            let role = if index == 0 { v1::Role::Owner } else { v1::Role::Member };
            v1::Member { user: user.clone(), role: role.into() }
        });
        let create = v1::CreateRoomRequest {
            room: room.clone(),
            members: members.collect(),
            ..v1::CreateRoomRequest::default()
        };
        self.admin()?.create_room(create).await?;
        Ok(room)
    }
}

fn options_at(url: &str, token: String) -> ClientOptions {
    let options = ClientOptions::new(url).token(token).name("stress");
    options.backoff(BACKOFF.0, BACKOFF.1).connect_timeout(PATIENCE).command_timeout(PATIENCE)
}

/// Names for this many users.
pub(super) fn users(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}{index}")).collect()
}

/// A key that no other scenario's command bears.
pub(super) fn key(random: &mut Random) -> Vec<u8> {
    random.bytes(16)
}
