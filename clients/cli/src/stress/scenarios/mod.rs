//! The scenarios, one file each.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::wire::Transport;

use super::fault::Outcome;
use super::random::Random;
use super::report::Counts;
use super::world::World;

/// A scenario.
pub(super) struct Scenario {
    /// What `--only` calls it.
    pub(super) name: &'static str,
    /// The transports that it makes sense on.
    pub(super) over: Over,
    /// What it tries to break.
    pub(super) about: &'static str,
    /// Plays it to its end, which leaves no session open.
    pub(super) play: fn(World, Random) -> BoxFuture<'static, Outcome<Counts>>,
}

/// On which transports a scenario makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// On all.
    Any,
    /// Where protobuf travels as it was written: it sends what the protocol does not know.
    Protobuf,
    /// It is about gRPC's frames and windows.
    Grpc,
}

impl Over {
    /// Why not on this transport; `None` where it makes sense.
    pub(super) fn refuses(self, transport: Transport) -> Option<&'static str> {
        match (self, transport) {
            (Self::Any, _) | (_, Transport::Grpc) | (Self::Protobuf, Transport::Ws) => None,
            (Self::Protobuf, _) => Some("sends fields that JSON has no names for"),
            (Self::Grpc, _) => Some("is about gRPC's own frames and windows"),
        }
    }
}

macro_rules! scenarios {
    ($($name:ident over $over:ident: $about:literal;)*) => {
        $(mod $name;)*

        /// All of them.
        pub(super) const ALL: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            over: Over::$over,
            about: $about,
            play: |world, random| $name::play(world, random).boxed(),
        },)*];
    };
}

scenarios! {
    connection_churn over Any: "sessions open and end in every way; the hub counts them exactly";
    room_churn over Any: "users join and leave while others send; each hears what was sent in between, and nothing else";
    fanout over Any: "every receiver gets every message once, in order";
    concurrent_sends over Any: "many send to one room at once; no seq is missing, and all see one order";
    racing_retries over Any: "one key from several sessions and without one, at once; exactly one entry";
    recovery_storm over Any: "many lose their connection at once while others send; each has everything, once";
    truncation over Any: "positions of every kind on join: exact recovery, or the word that there is none";
    marks over Any: "marks grow, and unread counts are right for those who are there and those who are not";
    presence_churn over Any: "users come, go and vanish; the hub knows who is there, and gives grace";
    devices over Any: "several devices of a user: each gets everything, a newer one of the same name takes over";
    inbox over Any: "notifications to users, members and all; every device has them once, and the same state";
    malformed over Grpc: "frames that are none: each ends its own stream with its code, and disturbs nobody";
    slow_reader over Grpc: "readers who stop: they get everything later or are told so, and others wait for nobody";
    silent over Any: "clients that say nothing are asked, and then ended; those that answer stay";
    oversized over Protobuf: "frames at the limit and beyond it";
    expiry over Any: "tokens of a few seconds: refreshed ones carry on, others end";
    revocation over Any: "tokens are revoked while others talk: theirs end and open nothing, and nobody else is disturbed";
    tickets over Any: "one ticket shown by several at once, as sessions and calls; exactly one gets in";
    board over Any: "the latest event of each key: who joins in mid-publish is handed the state of just that moment";
    mid_join over Any: "streams end in the middle of joins";
    random_mix over Any: "random commands of several users beside a model of the room; in the end all agree";
}
