//! Who asks, and the room in which they ask.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::{AdminClient, ClientOptions, Executor, v1};
use carillon_tests::TestHub;
use serde_json::json;
use v1::Role;

use crate::office::Office;
use crate::sheets::Sheet;
use crate::ways::{Entrance, Way};

/// Everybody: the roles of a conversation; an outsider of the same tenant, a stranger of another, a service, and who has
/// no good token.
pub(crate) const OF_CONVERSATIONS: [&str; 9] =
    ["owner", "moderator", "member", "reader", "outsider", "stranger", "service", "forged", "nobody"];

/// Whose token grants what their name says, or everything or nothing; a member without a grant; and others.
pub(crate) const OF_GRANTED: [&str; 12] = [
    "all", "join", "send", "publish", "presence", "history", "moderate", "none", "member", "stranger",
    "service", "nobody",
];

/// Whom the office lets write or read, or refuses; who moderates though it refuses them; who has a role of the token though
/// it refuses them; about whom it fails; and others.
pub(crate) const OF_ASKED: [&str; 9] =
    ["writer", "reader", "refused", "moderator", "inspector", "unanswered", "stranger", "service", "nobody"];

/// Whose token names the role that they are called by, and who are no members; `guest`'s is one that nothing is said of. A
/// member of whose role a list says all; who has the role for everything in another tenant; and others.
pub(crate) const OF_ROLES: [&str; 10] =
    ["everything", "joins", "reads", "writes", "manages", "guest", "reader", "stranger", "service", "nobody"];

/// A room of the owner `keeper` and the members `anna` and `bert`, in which the caller is what the sheet says.
pub(crate) struct Place {
    /// The room.
    pub(crate) room: String,
    /// Who asks.
    pub(crate) caller: &'static str,
    /// A message of the caller's, of a time when they might send; of the keeper's for who never might.
    pub(crate) own: u64,
    /// A message of the keeper's.
    pub(crate) other: u64,
    /// The caller's token.
    pub(crate) token: String,
}

/// The hub and its rooms.
pub(crate) struct Scene<'a> {
    hub: &'a TestHub,
    bridge: SocketAddr,
    admin: AdminClient,
    office: Office,
    writers: Mutex<HashMap<String, Executor>>,
    rooms: AtomicU64,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(hub: &'a TestHub, bridge: SocketAddr, office: Office) -> Self {
        Self { hub, bridge, admin: hub.admin(), office, writers: Mutex::default(), rooms: AtomicU64::new(0) }
    }

    /// The way in for a caller.
    pub(crate) async fn enters(&self, sheet: Sheet, way: Way, caller: &'static str) -> Entrance {
        Entrance::open(way, self.hub, self.bridge, &self.office, &self.token(sheet, caller)).await
    }

    fn token(&self, sheet: Sheet, caller: &str) -> String {
        let granted = |tenant: &str, can: &[&str]| {
            let rooms = json!([{"room": "case:*", "can": can}]);
            self.hub.token_that_says(&json!({"sub": caller, "org": tenant, "rooms": rooms}))
        };
        let all = ["join", "send", "publish", "presence", "history", "moderate"];
        let named = |tenant: &str, role: &str| {
            self.hub.token_that_says(&json!({"sub": caller, "org": tenant, "roles": [role]}))
        };
        match (sheet, caller) {
            (Sheet::Roles, "stranger") => named("globex", "everything"),
            (Sheet::Granted, "stranger") => granted("globex", &all),
            (_, "stranger") => self.hub.token_of("globex", caller, Duration::from_secs(3_600)),
            (_, "service") => self.hub.service_token(),
            (_, "forged") => self.forged(),
            (_, "nobody") => String::new(),
            (Sheet::Granted, "all") => granted("acme", &all),
            (Sheet::Granted, "none" | "member") => granted("acme", &[]),
            (Sheet::Granted, grant) => granted("acme", &[grant]),
            // A member's role is none of the token's, whatever that says.
            (Sheet::Asked, "inspector") | (Sheet::Roles, _) => named("acme", caller),
            (_, user) => self.hub.token(user),
        }
    }

    /// A token of another's claims, under the signature of the owner's.
    fn forged(&self) -> String {
        let good = self.hub.token("owner");
        let (head, rest) = good.split_once('.').expect("three parts");
        let (_, signature) = rest.split_once('.').expect("three parts");
        let other = self.hub.token("keeper");
        let claims = other.split('.').nth(1).expect("three parts");
        format!("{head}.{claims}.{signature}")
    }

    /// A new room in which the caller is what their name says.
    pub(crate) async fn place(&self, sheet: Sheet, caller: &'static str) -> Place {
        let number = self.rooms.fetch_add(1, Ordering::Relaxed);
        let room = format!("{}:{number}", sheet.namespace());
        self.office.prepares(&room, true);
        let mut members =
            vec![member("keeper", Role::Owner), member("anna", Role::Member), member("bert", Role::Member)];
        let role = role(sheet, caller);
        let never_sends = ["stranger", "service", "forged", "nobody"].contains(&caller);
        let is_let_out = caller == "outsider" || sheet == Sheet::Roles && role.is_none() && !never_sends;
        let was_member = role.is_some() || is_let_out;
        if was_member {
            members.push(member(caller, Role::Member));
        }
        let create = v1::CreateRoomRequest { room: room.clone(), members, ..Default::default() };
        self.admin.create_room(create).await.expect("it is new");
        let other = self.says("keeper", &room).await;
        let own = if never_sends { other } else { self.says(caller, &room).await };
        let user = caller.to_owned();
        if let Some(role) = role.filter(|role| *role != Role::Member) {
            let set = v1::SetMemberRoleRequest {
                room: room.clone(),
                user,
                role: role.into(),
                ..Default::default()
            };
            self.admin.set_member_role(set).await.expect("they are a member");
        } else if is_let_out {
            let remove = v1::RemoveMemberRequest { room: room.clone(), user, ..Default::default() };
            self.admin.remove_member(remove).await.expect("they are a member");
        }
        self.office.prepares(&room, false);
        Place { token: self.token(sheet, caller), room, caller, own, other }
    }

    /// A message of somebody who may send while the room is being prepared.
    async fn says(&self, who: &str, room: &str) -> u64 {
        let say = Command::MessageSend(carillon_tests::story::message(room, "words"));
        let sent = self.writer(who).call::<v1::MessageSent>(say).await.expect("they may write");
        sent.position.expect("a position").seq
    }

    fn writer(&self, who: &str) -> Executor {
        let mut writers = self.writers.lock().expect("nobody panics here");
        let writer = writers.entry(who.to_owned()).or_insert_with(|| {
            let rooms = json!([{"room": "case:*", "can": ["send"]}]);
            let token = self.hub.token_that_says(&json!({"sub": who, "rooms": rooms}));
            Executor::new(ClientOptions::new(self.hub.url()).token(token)).expect("an address")
        });
        writer.clone()
    }
}

fn role(sheet: Sheet, caller: &str) -> Option<Role> {
    match (sheet, caller) {
        (Sheet::Conversations, "owner") => Some(Role::Owner),
        (Sheet::Conversations | Sheet::Asked, "moderator") => Some(Role::Moderator),
        (Sheet::Conversations | Sheet::Granted, "member") => Some(Role::Member),
        (Sheet::Conversations | Sheet::Roles, "reader") => Some(Role::Reader),
        _ => None,
    }
}

fn member(user: &str, role: Role) -> v1::Member {
    v1::Member { user: user.to_owned(), role: role.into() }
}
