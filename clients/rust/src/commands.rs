//! The commands, one async function each. What a field means and may hold is in `carillon/v1/*.proto`.

use carillon_proto::v1::{self, session_request::Command};

use crate::client::Client;
use crate::error::CommandError;
use crate::reply::Reply;

type Answer<T> = Result<T, CommandError>;

/// Plain text.
#[must_use]
pub fn text(text: impl Into<String>) -> v1::Content {
    v1::Content { body: Some(v1::content::Body::Text(text.into())), media_type: String::new() }
}

impl Client {
    async fn ask<T: Reply>(&self, command: Command) -> Answer<T> {
        T::from_kind(self.call(command).await?)
    }

    async fn done(&self, command: Command) -> Answer<()> {
        self.ask::<v1::Done>(command).await.map(|v1::Done {}| ())
    }
}

/// Messages, marks and typing.
impl Client {
    /// Sends plain text to a room.
    pub async fn send(&self, room: impl Into<String>, words: impl Into<String>) -> Answer<v1::MessageSent> {
        let room = room.into();
        self.send_message(v1::MessageSend { room, content: Some(text(words)), ..Default::default() }).await
    }

    /// Sends a message.
    pub async fn send_message(&self, message: v1::MessageSend) -> Answer<v1::MessageSent> {
        self.ask(Command::MessageSend(message)).await
    }

    /// Replaces the text of one's message, whatever its version.
    pub async fn edit(
        &self,
        room: impl Into<String>,
        seq: u64,
        words: impl Into<String>,
    ) -> Answer<v1::EntryAccepted> {
        let content = Some(text(words));
        self.edit_message(v1::MessageEdit { room: room.into(), seq, content, expected_version: None }).await
    }

    /// Replaces the content of one's message.
    pub async fn edit_message(&self, edit: v1::MessageEdit) -> Answer<v1::EntryAccepted> {
        self.ask(Command::MessageEdit(edit)).await
    }

    /// Deletes one's message, or as a moderator anyone's.
    pub async fn delete(&self, room: impl Into<String>, seq: u64) -> Answer<v1::EntryAccepted> {
        self.ask(Command::MessageDelete(v1::MessageDelete { room: room.into(), seq })).await
    }

    /// Adds one's reaction to a message, or takes it back.
    pub async fn react(
        &self,
        room: impl Into<String>,
        seq: u64,
        key: impl Into<String>,
        add: bool,
    ) -> Answer<v1::EntryAccepted> {
        let reaction = v1::ReactionSet { room: room.into(), seq, key: key.into(), add };
        self.ask(Command::Reaction(reaction)).await
    }

    /// One's device has everything up to here. At most once a second per room.
    pub async fn mark_delivered(&self, room: impl Into<String>, up_to: u64) -> Answer<v1::Marks> {
        let mark = v1::MarkDelivered { room: room.into(), up_to };
        Ok(self.ask::<v1::MarksAccepted>(Command::MarkDelivered(mark)).await?.marks.unwrap_or_default())
    }

    /// One has read everything up to here. At most once a second per room.
    pub async fn mark_read(&self, room: impl Into<String>, up_to: u64) -> Answer<v1::Marks> {
        let mark = v1::MarkRead { room: room.into(), up_to };
        Ok(self.ask::<v1::MarksAccepted>(Command::MarkRead(mark)).await?.marks.unwrap_or_default())
    }

    /// One types, or stopped. Repeat while typing, every few seconds.
    pub async fn typing(&self, room: impl Into<String>, active: bool) -> Answer<()> {
        self.done(Command::Typing(v1::TypingSet { room: room.into(), active })).await
    }

    /// Publishes an event. The entry is `None` where events are ephemeral. Their idempotency keys are remembered for a
    /// minute, and by the node that took them alone: one that is sent again later, or on another node, may come twice.
    pub async fn publish(&self, event: v1::EventPublish) -> Answer<Option<v1::EntryAccepted>> {
        self.ask(Command::EventPublish(event)).await
    }
}

/// Rooms and history.
impl Client {
    /// Joins a room from its end on, with presence.
    pub async fn join(&self, room: impl Into<String>) -> Answer<v1::Joined> {
        self.join_with(v1::Join { room: room.into(), presence: true, ..Default::default() }).await
    }

    /// Joins a room. The library joins it again after each reconnect, until `leave` or a `left` by the hub.
    pub async fn join_with(&self, join: v1::Join) -> Answer<v1::Joined> {
        self.ask(Command::Join(join)).await
    }

    /// Receives nothing more of a room. The membership stays.
    pub async fn leave(&self, room: impl Into<String>) -> Answer<v1::Left> {
        self.ask(Command::Leave(v1::Leave { room: room.into() })).await
    }

    /// A page of a room's entries.
    pub async fn history(&self, page: v1::HistoryGet) -> Answer<v1::HistoryPage> {
        self.ask(Command::History(page)).await
    }

    /// A page of one's rooms, in an order that stays the same from page to page.
    pub async fn rooms(&self, page: v1::RoomsGet) -> Answer<v1::RoomsPage> {
        self.ask(Command::Rooms(page)).await
    }
}

/// Conversations and their members.
impl Client {
    /// Creates a conversation.
    pub async fn conversation_create(
        &self,
        conversation: v1::ConversationCreate,
    ) -> Answer<v1::ConversationCreated> {
        self.ask(Command::ConversationCreate(conversation)).await
    }

    /// The direct conversation with a user; created if there is none.
    pub async fn direct(&self, user: impl Into<String>) -> Answer<v1::ConversationCreated> {
        let other = v1::Member { user: user.into(), ..Default::default() };
        let create = v1::ConversationCreate { members: vec![other], direct: true, ..Default::default() };
        self.conversation_create(create).await
    }

    /// Changes a room's metadata.
    pub async fn conversation_update(&self, update: v1::ConversationUpdate) -> Answer<v1::EntryAccepted> {
        self.ask(Command::ConversationUpdate(update)).await
    }

    /// Adds a user.
    pub async fn member_add(
        &self,
        room: impl Into<String>,
        user: impl Into<String>,
        role: v1::Role,
    ) -> Answer<v1::EntryAccepted> {
        let add = v1::MemberAdd { room: room.into(), user: user.into(), role: role.into() };
        self.ask(Command::MemberAdd(add)).await
    }

    /// Removes a user; one's own id leaves for good.
    pub async fn member_remove(
        &self,
        room: impl Into<String>,
        user: impl Into<String>,
    ) -> Answer<v1::EntryAccepted> {
        self.ask(Command::MemberRemove(v1::MemberRemove { room: room.into(), user: user.into() })).await
    }

    /// Changes a member's role.
    pub async fn member_role(
        &self,
        room: impl Into<String>,
        user: impl Into<String>,
        role: v1::Role,
    ) -> Answer<v1::EntryAccepted> {
        let change = v1::MemberRole { room: room.into(), user: user.into(), role: role.into() };
        self.ask(Command::MemberRole(change)).await
    }

    /// A page of a room's members.
    pub async fn members(&self, page: v1::MembersGet) -> Answer<v1::MembersPage> {
        self.ask(Command::Members(page)).await
    }
}

/// Presence.
impl Client {
    /// Sets this session's status. The library sets it again after each reconnect.
    pub async fn presence_set(&self, status: v1::PresenceStatus, words: impl Into<String>) -> Answer<()> {
        self.done(Command::PresenceSet(v1::PresenceSet { status: status.into(), text: words.into() })).await
    }

    /// A page of who is present in a room.
    pub async fn presence_get(&self, page: v1::PresenceGet) -> Answer<v1::PresencePage> {
        self.ask(Command::PresenceGet(page)).await
    }

    /// Receives the presence of these users and of no others. The library asks again after each reconnect.
    pub async fn presence_watch(&self, users: Vec<String>) -> Answer<()> {
        self.done(Command::PresenceWatch(v1::PresenceWatch { users })).await
    }
}

/// The inbox.
impl Client {
    /// A page of one's notifications, newest first.
    pub async fn notifications(&self, page: v1::NotificationsGet) -> Answer<v1::NotificationsPage> {
        self.ask(Command::Notifications(page)).await
    }

    /// Marks these as read.
    pub async fn notification_read(&self, ids: Vec<String>) -> Answer<()> {
        self.done(Command::NotificationRead(v1::NotificationRead { ids, up_to: None })).await
    }

    /// Marks all up to here as read.
    pub async fn notifications_read_up_to(&self, up_to: v1::InboxPosition) -> Answer<()> {
        let read = v1::NotificationRead { ids: Vec::new(), up_to: Some(up_to) };
        self.done(Command::NotificationRead(read)).await
    }

    /// Removes these.
    pub async fn notification_delete(&self, ids: Vec<String>) -> Answer<()> {
        self.done(Command::NotificationDelete(v1::NotificationDelete { ids })).await
    }
}

/// The session itself.
impl Client {
    /// Asks whether the hub is there, and for its clock.
    pub async fn ping(&self) -> Answer<v1::Pong> {
        self.ask(Command::Ping(v1::Ping {})).await
    }

    /// Gives the session a new token now. The library does so by itself when the old one expires soon.
    pub async fn refresh_token(&self, token: impl Into<String>) -> Answer<()> {
        self.done(Command::RefreshToken(v1::RefreshToken { token: token.into() })).await
    }
}
