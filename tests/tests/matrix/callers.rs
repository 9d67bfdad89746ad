//! Who asks, and the conversation in which they ask.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::{AdminClient, ClientOptions, Executor, v1};
use carillon_tests::TestHub;
use v1::Role;

use crate::ways::{Entrance, Way};

/// Everybody: the roles of a conversation; an outsider of the same tenant, a stranger of another, a service, and who has
/// no good token.
pub(crate) const CALLERS: [&str; 9] =
    ["owner", "moderator", "member", "reader", "outsider", "stranger", "service", "forged", "nobody"];

/// A conversation of the caller, of another owner `keeper`, and of the members `anna` and `bert`.
pub(crate) struct Place {
    /// The conversation.
    pub(crate) room: String,
    /// Who asks.
    pub(crate) caller: &'static str,
    /// A message of the caller's, of a time when they were a member; of the keeper's for who never was one.
    pub(crate) own: u64,
    /// A message of the keeper's.
    pub(crate) other: u64,
    /// The caller's token.
    pub(crate) token: String,
}

/// The hub and its conversations.
pub(crate) struct Scene<'a> {
    hub: &'a TestHub,
    bridge: SocketAddr,
    admin: AdminClient,
    keeper: Executor,
    rooms: AtomicU64,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(hub: &'a TestHub, bridge: SocketAddr) -> Self {
        let keeper = ClientOptions::new(hub.url()).token(hub.token("keeper"));
        let keeper = Executor::new(keeper).expect("an address");
        Self { hub, bridge, admin: hub.admin(), keeper, rooms: AtomicU64::new(0) }
    }

    /// The way in for a caller.
    pub(crate) async fn enters(&self, way: Way, caller: &'static str) -> Entrance {
        Entrance::open(way, self.hub, self.bridge, &self.token(caller)).await
    }

    fn token(&self, caller: &str) -> String {
        let hour = Duration::from_secs(3_600);
        match caller {
            "stranger" => self.hub.token_of("globex", caller, hour),
            "service" => self.hub.service_token(),
            "forged" => {
                let good = self.hub.token("owner");
                // Of another's claims, under this signature.
                let (head, rest) = good.split_once('.').expect("three parts");
                let (_, signature) = rest.split_once('.').expect("three parts");
                let other = self.hub.token("keeper");
                let claims = other.split('.').nth(1).expect("three parts");
                format!("{head}.{claims}.{signature}")
            }
            "nobody" => String::new(),
            user => self.hub.token(user),
        }
    }

    /// A new conversation in which the caller is what their name says.
    pub(crate) async fn place(&self, caller: &'static str) -> Place {
        let number = self.rooms.fetch_add(1, Ordering::Relaxed);
        let room = format!("conversation:{number}");
        let mut members =
            vec![member("keeper", Role::Owner), member("anna", Role::Member), member("bert", Role::Member)];
        let role = role(caller);
        let was_member = role.is_some() || caller == "outsider";
        if was_member {
            members.push(member(caller, Role::Member));
        }
        let create = v1::CreateRoomRequest { room: room.clone(), members, ..Default::default() };
        self.admin.create_room(create).await.expect("it is new");
        let other = says(&self.keeper, &room).await;
        let own = if was_member {
            let options = ClientOptions::new(self.hub.url()).token(self.hub.token(caller));
            says(&Executor::new(options).expect("an address"), &room).await
        } else {
            other
        };
        let user = caller.to_owned();
        if let Some(role) = role.filter(|role| *role != Role::Member) {
            let set = v1::SetMemberRoleRequest {
                room: room.clone(),
                user,
                role: role.into(),
                ..Default::default()
            };
            self.admin.set_member_role(set).await.expect("they are a member");
        } else if caller == "outsider" {
            let remove = v1::RemoveMemberRequest { room: room.clone(), user, ..Default::default() };
            self.admin.remove_member(remove).await.expect("they are a member");
        }
        Place { room, caller, own, other, token: self.token(caller) }
    }
}

fn role(caller: &str) -> Option<Role> {
    match caller {
        "owner" => Some(Role::Owner),
        "moderator" => Some(Role::Moderator),
        "member" => Some(Role::Member),
        "reader" => Some(Role::Reader),
        _ => None,
    }
}

fn member(user: &str, role: Role) -> v1::Member {
    v1::Member { user: user.to_owned(), role: role.into() }
}

async fn says(who: &Executor, room: &str) -> u64 {
    let say = Command::MessageSend(carillon_tests::story::message(room, "words"));
    let sent = who.call::<v1::MessageSent>(say).await.expect("a member may write");
    sent.position.expect("a position").seq
}
