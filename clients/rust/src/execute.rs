//! One command without a session.

use bytes::Bytes;
use carillon_proto::v1::hub_service_client::HubServiceClient;
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{self, ExecuteRequest, SessionRequest, SessionResponse};
use prost::Message;

use crate::client::random_key;
use crate::commands::text;
use crate::error::{CommandError, ConnectError};
use crate::options::ClientOptions;
use crate::reply::Reply;
use crate::session::FRAME_BYTES;
use crate::unary::Unary;

/// Commands over `HubService.Execute`: nothing is pushed, and the user is not present. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    unary: Unary,
    hub: HubServiceClient<tonic::transport::Channel>,
}

impl Executor {
    /// Uses of the options the first address or the channel, the token and the command's time limit. Connects with the
    /// first command.
    pub fn new(options: ClientOptions) -> Result<Self, ConnectError> {
        let unary = Unary::new(options)?;
        let hub = HubServiceClient::new(unary.channel.clone()).max_decoding_message_size(FRAME_BYTES);
        Ok(Self { unary, hub })
    }

    /// Any command that makes sense without a session, with a random idempotency key where it writes. Others are
    /// answered with `INVALID_ARGUMENT`.
    pub async fn call<T: Reply>(&self, command: Command) -> Result<T, CommandError> {
        let key = random_key(&command);
        self.call_with_key(command, key).await
    }

    /// The same with the caller's idempotency key, 8 to 64 bytes, or empty for none.
    pub async fn call_with_key<T: Reply>(&self, command: Command, key: Bytes) -> Result<T, CommandError> {
        let request = SessionRequest { command_id: 0, idempotency_key: key, command: Some(command) };
        let request = as_execute(&request)?;
        let reply = self.unary.request(request, |request| {
            let mut hub = self.hub.clone();
            async move { hub.execute(request).await }
        });
        let reply = reply.await?;
        // The numbers of the two messages are the same, which the protocol's crate tests.
        let reply = SessionResponse::decode(reply.encode_to_vec().as_slice());
        let kind = reply.ok().and_then(|reply| reply.kind).ok_or(CommandError::UnexpectedReply)?;
        T::from_kind(kind)
    }

    /// A ticket: it speaks for the token wherever one is asked for, once, for at most 30 seconds. Where a browser's page or
    /// another machine must not have the token itself. Each call gives another one.
    pub async fn create_ticket(&self) -> Result<v1::CreateTicketResponse, CommandError> {
        let make = |request| {
            let mut hub = self.hub.clone();
            async move { hub.create_ticket(request).await }
        };
        self.unary.request(v1::CreateTicketRequest {}, make).await
    }

    /// Sends plain text to a room.
    pub async fn send(
        &self,
        room: impl Into<String>,
        words: impl Into<String>,
    ) -> Result<v1::MessageSent, CommandError> {
        let send = v1::MessageSend { room: room.into(), content: Some(text(words)), ..Default::default() };
        self.call(Command::MessageSend(send)).await
    }
}

fn as_execute(request: &SessionRequest) -> Result<ExecuteRequest, CommandError> {
    ExecuteRequest::decode(request.encode_to_vec().as_slice()).map_err(|_| CommandError::UnexpectedReply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_proto::v1::execute_request;

    #[test]
    fn commands_keep_their_meaning_and_those_of_sessions_have_none() {
        let rooms = Command::Rooms(v1::RoomsGet { limit: 3, ..Default::default() });
        let key = Bytes::from_static(b"12345678");
        let request = SessionRequest { command_id: 0, idempotency_key: key.clone(), command: Some(rooms) };
        let execute = as_execute(&request).unwrap();
        assert_eq!(execute.idempotency_key, key);
        assert!(matches!(execute.command, Some(execute_request::Command::Rooms(rooms)) if rooms.limit == 3));
        let join = SessionRequest { command: Some(Command::Join(v1::Join::default())), ..request };
        assert!(as_execute(&join).unwrap().command.is_none());
    }
}
