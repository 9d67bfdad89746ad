//! The replies that `Execute` gives: those of a session that need none.

use carillon_proto::v1;
use carillon_proto::v1::execute_response::Kind as Executed;
use carillon_proto::v1::session_response::Kind;

use super::reply;
use crate::domain::reply::Reply;

/// A reply as `Execute` answers it; `None` for those that only a session gets, which no stateless command has.
pub(in crate::grpc) fn execute_response(reply: &Reply) -> Option<v1::ExecuteResponse> {
    let kind = match reply::kind(reply) {
        Kind::Done(done) => Executed::Done(done),
        Kind::MessageSent(sent) => Executed::MessageSent(sent),
        Kind::MarksAccepted(marks) => Executed::MarksAccepted(marks),
        Kind::EntryAccepted(accepted) => Executed::EntryAccepted(accepted),
        Kind::HistoryPage(page) => Executed::HistoryPage(page),
        Kind::RoomsPage(page) => Executed::RoomsPage(page),
        Kind::ConversationCreated(created) => Executed::ConversationCreated(created),
        Kind::MembersPage(page) => Executed::MembersPage(page),
        Kind::PresencePage(page) => Executed::PresencePage(page),
        Kind::NotificationsPage(page) => Executed::NotificationsPage(page),
        _ => return None,
    };
    Some(v1::ExecuteResponse { kind: Some(kind) })
}
