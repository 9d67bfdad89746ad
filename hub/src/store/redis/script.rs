//! The scripts: their texts, put together from parts, and what they are known by.

use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident = [$($part:literal),+];)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(text::$name));)+

        /// Their texts.
        pub(super) mod text {
            $(pub(in crate::store::redis) const $name: &str =
                concat!($(include_str!(concat!("lua/", $part, ".lua"))),+);)+
        }

        /// All of them, with their texts.
        pub(super) fn all() -> impl Iterator<Item = (&'static Script, &'static str)> {
            [$((&$name, text::$name)),+].into_iter().map(|(script, text)| (&**script, text))
        }
    };
}

/// A script's text.
pub(super) fn text_of(script: &Script) -> &'static str {
    all().find(|(other, _)| other.get_hash() == script.get_hash()).map_or("", |(_, text)| text)
}

scripts! {
    ROOM = ["common", "keys", "outbox", "room_state", "room"];
    TENANT = ["common", "keys", "outbox", "tenant"];
    INBOX = ["common", "keys", "outbox", "inbox_state", "inbox"];
    APPLY = ["common", "inbox_state", "apply"];
    APPLIED = ["common", "applied"];
    PAGE = ["common", "room_state", "page"];
    SUMMARY = ["common", "room_state", "summary"];
    TRIM = ["common", "room_state", "trim"];
    ENDED = ["common", "inbox_state", "ended"];
    ERASE_ROOM = ["common", "room_state", "erase_room"];
    ERASE_INBOX = ["common", "inbox_state", "erase_inbox"];
    OWN_PAGE = ["common", "inbox_state", "own_page"];
    ALL_PAGE = ["common", "all_page"];
    SETTLE = ["common", "inbox_state", "settle"];
    SEEN = ["common", "seen"];
    SEEN_BEFORE = ["common", "inbox_state", "seen_before"];
    INBOX_READ = ["common", "inbox_state", "inbox_read"];
    BROADCASTS = ["common", "broadcasts"];
    IDENTITY = ["common", "identity"];
    MEMBERS = ["common", "members"];
    MESSAGES = ["common", "room_state", "messages"];
    SURVIVES = ["common", "room_state", "survives"];
    LIVES = ["common", "lives"];
    RENEW = ["common", "renew"];
    REVOKE = ["common", "revoke"];
    REVOCATIONS = ["common", "revocations"];
    REINDEX = ["common", "outbox", "reindex"];
    ANCHOR = ["common", "anchor"];
}
