//! The scenarios, one file each.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::fault::Outcome;
use super::random::Random;
use super::report::Counts;
use super::world::World;

/// A scenario.
pub(super) struct Scenario {
    /// What `--only` calls it.
    pub(super) name: &'static str,
    /// What it tries to break.
    pub(super) about: &'static str,
    /// Plays it to its end, which leaves no session open.
    pub(super) play: fn(World, Random) -> BoxFuture<'static, Outcome<Counts>>,
}

macro_rules! scenarios {
    ($($name:ident: $about:literal;)*) => {
        $(mod $name;)*

        /// All of them.
        pub(super) const ALL: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            about: $about,
            play: |world, random| $name::play(world, random).boxed(),
        },)*];
    };
}

scenarios! {
    connection_churn: "sessions open and end in every way; the hub counts them exactly";
    room_churn: "users join and leave while others send; each hears what was sent in between, and nothing else";
    fanout: "every receiver gets every message once, in order";
    concurrent_sends: "many send to one room at once; no seq is missing, and all see one order";
    racing_retries: "one key from several sessions and without one, at once; exactly one entry";
    recovery_storm: "many lose their connection at once while others send; each has everything, once";
    truncation: "positions of every kind on join: exact recovery, or the word that there is none";
    marks: "marks grow, and unread counts are right for those who are there and those who are not";
    presence_churn: "users come, go and vanish; the hub knows who is there, and gives grace";
    devices: "several devices of a user: each gets everything, a newer one of the same name takes over";
    inbox: "notifications to users, members and all; every device has them once, and the same state";
    malformed: "frames that are none: each ends its own stream with its code, and disturbs nobody";
    slow_reader: "readers who stop: they get everything later or are told so, and others wait for nobody";
    silent: "clients that say nothing are asked, and then ended; those that answer stay";
    oversized: "frames at the limit and beyond it";
    expiry: "tokens of a few seconds: refreshed ones carry on, others end";
    mid_join: "streams end in the middle of joins";
    random_mix: "random commands of several users beside a model of the room; in the end all agree";
}
