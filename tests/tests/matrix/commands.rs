//! Every command of the protocol that is answered, in a conversation.

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_tests::story::message;
use v1::Role;

use crate::callers::Place;

/// A command to be tried.
pub(crate) struct Tried {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Whether it needs a session.
    pub(crate) session: bool,
    /// Whether it is about the room that it is tried in.
    pub(crate) here: bool,
    /// The command.
    pub(crate) make: fn(&Place) -> Command,
}

/// One that is about the room.
const fn any(name: &'static str, make: fn(&Place) -> Command) -> Tried {
    Tried { name, session: false, here: true, make }
}

/// The same, in a session.
const fn session(name: &'static str, make: fn(&Place) -> Command) -> Tried {
    Tried { name, session: true, here: true, make }
}

impl Tried {
    /// It is about another room, or about none.
    const fn elsewhere(self) -> Self {
        Self { here: false, ..self }
    }
}

/// All but `hello`, which opens every session here, and `pong` and `goodbye`, which are not answered.
pub(crate) const COMMANDS: [Tried; 35] = [
    session("ping", |_| Command::Ping(v1::Ping {})).elsewhere(),
    session("join", |place| Command::Join(v1::Join { room: room(place), ..Default::default() })),
    session("leave", |place| Command::Leave(v1::Leave { room: room(place) })),
    session("typing", |place| Command::Typing(v1::TypingSet { room: room(place), active: true })),
    session("presence_set", |_| Command::PresenceSet(v1::PresenceSet { status: 1, ..Default::default() }))
        .elsewhere(),
    session("presence_watch", |_| {
        Command::PresenceWatch(v1::PresenceWatch { users: vec!["keeper".to_owned()] })
    })
    .elsewhere(),
    session("refresh_token", |place| Command::RefreshToken(v1::RefreshToken { token: place.token.clone() }))
        .elsewhere(),
    any("message_send", |place| Command::MessageSend(message(&place.room, "words"))),
    any("message_edit_own", |place| edit(place, place.own)),
    any("message_edit_other", |place| edit(place, place.other)),
    any("message_delete_own", |place| delete(place, place.own)),
    any("message_delete_other", |place| delete(place, place.other)),
    any("reaction", |place| {
        let (seq, key) = (place.other, "+1".to_owned());
        Command::Reaction(v1::ReactionSet { room: room(place), seq, key, add: true })
    }),
    any("mark_read", |place| Command::MarkRead(v1::MarkRead { room: room(place), up_to: place.other })),
    any("mark_delivered", |place| {
        Command::MarkDelivered(v1::MarkDelivered { room: room(place), up_to: place.other })
    }),
    any("event_publish", |place| publish(&place.room)),
    any("event_publish_user", |_| publish("user:keeper")).elsewhere(),
    any("event_publish_org", |_| publish("org:acme")).elsewhere(),
    any("message_send_lobby", |_| Command::MessageSend(message("room:lobby", "words"))).elsewhere(),
    any("message_send_none", |_| Command::MessageSend(message("none:lobby", "words"))).elsewhere(),
    any("history", |place| Command::History(v1::HistoryGet { room: room(place), ..Default::default() })),
    any("history_user", |_| {
        Command::History(v1::HistoryGet { room: "user:keeper".to_owned(), ..Default::default() })
    })
    .elsewhere(),
    any("members", |place| Command::Members(v1::MembersGet { room: room(place), ..Default::default() })),
    any("presence_get", |place| {
        Command::PresenceGet(v1::PresenceGet { room: room(place), ..Default::default() })
    }),
    any("rooms", |_| Command::Rooms(v1::RoomsGet::default())).elsewhere(),
    any("conversation_create", |_| Command::ConversationCreate(v1::ConversationCreate::default()))
        .elsewhere(),
    any("conversation_update", |place| {
        let metadata = [("title".to_owned(), "words".to_owned())].into();
        Command::ConversationUpdate(v1::ConversationUpdate {
            room: room(place),
            metadata,
            ..Default::default()
        })
    }),
    any("member_add", |place| add(place, Role::Member)),
    any("member_add_owner", |place| add(place, Role::Owner)),
    any("member_remove", |place| remove(place, "anna")),
    any("member_leave", |place| remove(place, place.caller)),
    any("member_role", |place| {
        let (user, role) = ("bert".to_owned(), Role::Reader.into());
        Command::MemberRole(v1::MemberRole { room: room(place), user, role })
    }),
    any("notifications", |_| Command::Notifications(v1::NotificationsGet::default())).elsewhere(),
    any("notification_read", |_| {
        Command::NotificationRead(v1::NotificationRead { ids: vec!["n1".to_owned()], up_to: None })
    })
    .elsewhere(),
    any("notification_delete", |_| {
        Command::NotificationDelete(v1::NotificationDelete { ids: vec!["n1".to_owned()] })
    })
    .elsewhere(),
];

fn room(place: &Place) -> String {
    place.room.clone()
}

fn edit(place: &Place, seq: u64) -> Command {
    let content = message(&place.room, "better").content;
    Command::MessageEdit(v1::MessageEdit { room: room(place), seq, content, ..Default::default() })
}

fn delete(place: &Place, seq: u64) -> Command {
    Command::MessageDelete(v1::MessageDelete { room: room(place), seq })
}

fn publish(room: &str) -> Command {
    let (room, name) = (room.to_owned(), "rings".to_owned());
    Command::EventPublish(v1::EventPublish { room, name, ..Default::default() })
}

fn add(place: &Place, role: Role) -> Command {
    let (user, role) = ("carl".to_owned(), role.into());
    Command::MemberAdd(v1::MemberAdd { room: room(place), user, role })
}

fn remove(place: &Place, user: &str) -> Command {
    Command::MemberRemove(v1::MemberRemove { room: room(place), user: user.to_owned() })
}
