//! Conversations: rooms, members, messages, reactions and marks. Commands become outcomes here.
