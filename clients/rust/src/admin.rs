//! Administration: the typed functions of `AdminService`.

use carillon_proto::v1::admin_service_client::AdminServiceClient;
use carillon_proto::v1::{self};
use tonic::transport::Channel;

use crate::client::random_bytes;
use crate::error::{CommandError, ConnectError};
use crate::options::ClientOptions;
use crate::unary::Unary;

/// Administration of one tenant with a service token. Cheap to clone; connects with the first request.
///
/// Where a request's `tenant` is empty, it gets the client's; where an idempotency key is empty, a random one.
#[derive(Clone)]
pub struct AdminClient {
    unary: Unary,
    service: AdminServiceClient<Channel>,
    tenant: String,
}

impl AdminClient {
    /// Uses of the options the first address or the channel, the token and the command's time limit.
    pub fn new(options: ClientOptions, tenant: impl Into<String>) -> Result<Self, ConnectError> {
        let unary = Unary::new(options)?;
        let service = AdminServiceClient::new(unary.channel.clone());
        Ok(Self { unary, service, tenant: tenant.into() })
    }
}

impl AdminClient {
    /// Where the hub's audit log stood. Needs a token for all tenants.
    pub async fn list_audit_heads(&self) -> Result<v1::ListAuditHeadsResponse, CommandError> {
        let make = |request| {
            let mut service = self.service.clone();
            async move { service.list_audit_heads(request).await }
        };
        self.unary.request(v1::ListAuditHeadsRequest {}, make).await
    }
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident($request:ident $(, $key:ident)?) -> $response:ident;)*) => {
        impl AdminClient {$(
            $(#[$doc])*
            pub async fn $name(&self, mut request: v1::$request) -> Result<v1::$response, CommandError> {
                if request.tenant.is_empty() {
                    request.tenant.clone_from(&self.tenant);
                }
                $(if request.$key.is_empty() {
                    request.$key = random_bytes();
                })?
                let make = |request| {
                    let mut service = self.service.clone();
                    async move { service.$name(request).await }
                };
                self.unary.request(request, make).await
            }
        )*}
    };
}

requests! {
    /// Creates a room under a name of one's choice.
    create_room(CreateRoomRequest, idempotency_key) -> CreateRoomResponse;
    /// One room.
    get_room(GetRoomRequest) -> GetRoomResponse;
    /// A page of the tenant's rooms.
    list_rooms(ListRoomsRequest) -> ListRoomsResponse;
    /// Changes a room's metadata.
    update_room(UpdateRoomRequest, idempotency_key) -> UpdateRoomResponse;
    /// Adds a user to a room.
    add_member(AddMemberRequest, idempotency_key) -> AddMemberResponse;
    /// Removes a user from a room.
    remove_member(RemoveMemberRequest, idempotency_key) -> RemoveMemberResponse;
    /// Changes a member's role.
    set_member_role(SetMemberRoleRequest, idempotency_key) -> SetMemberRoleResponse;
    /// A page of a room's members.
    list_members(ListMembersRequest) -> ListMembersResponse;
    /// A page of the tenant's open sessions.
    list_sessions(ListSessionsRequest) -> ListSessionsResponse;
    /// Ends sessions.
    disconnect_session(DisconnectSessionRequest) -> DisconnectSessionResponse;
    /// Makes tokens good no more, and ends what they opened.
    revoke_tokens(RevokeTokensRequest) -> RevokeTokensResponse;
    /// Blanks all content of a user. Repeat it when it failed: it carries on.
    erase_user(EraseUserRequest) -> EraseUserResponse;
    /// How full a user's buckets are.
    get_limits(GetLimitsRequest) -> GetLimitsResponse;
    /// Fills a user's buckets.
    reset_limits(ResetLimitsRequest) -> ResetLimitsResponse;
    /// Notifies users.
    send_notification(SendNotificationRequest, idempotency_key) -> SendNotificationResponse;
    /// Posts a message into a room as the service.
    send_message(SendMessageRequest, idempotency_key) -> SendMessageResponse;
    /// Publishes an event to a room as the service.
    publish_event(PublishEventRequest, idempotency_key) -> PublishEventResponse;
    /// What the hub holds and has done.
    get_statistics(GetStatisticsRequest) -> GetStatisticsResponse;
}
