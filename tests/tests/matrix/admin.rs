//! Every call of `AdminService` by everybody.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use carillon_client::v1;
use carillon_client::v1::admin_service_client::AdminServiceClient;
use carillon_tests::browser::Beside;
use carillon_tests::{TestHub, hub};
use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::json;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;
use v1::revoke_tokens_request::What;
use v1::send_notification_request::Audience;

use crate::rows_of;
use crate::ways::ticket;

/// Who asks: a user; services of the tenant that may do everything, what the call needs and nothing else, and all but
/// that; a ticket of the first; services of another tenant, and of all; and who has no good token.
const CALLERS: [&str; 10] = [
    "user",
    "service",
    "needed",
    "others",
    "ticket",
    "elsewhere",
    "operator",
    "op_others",
    "forged",
    "nobody",
];

const ABILITIES: [&str; 7] = ["read", "rooms", "send", "notify", "sessions", "revoke", "erase"];

type Client = AdminServiceClient<Channel>;

/// A call: its name, what a service's token must say for it, and the call, about a room of its own.
struct Call {
    name: &'static str,
    needs: &'static str,
    make: fn(Client, String, String) -> BoxFuture<'static, Result<(), Status>>,
}

/// A request with what somebody shows.
fn shown<Q>(request: Q, bearer: &str) -> Request<Q> {
    let mut request = Request::new(request);
    if !bearer.is_empty() {
        request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
    }
    request
}

macro_rules! calls {
    ($($name:literal $needs:literal: $call:ident, |$room:ident| $request:expr;)*) => {
        [$(Call {
            name: $name,
            needs: $needs,
            make: |mut client, bearer, $room| {
                let request = shown($request, &bearer);
                async move { client.$call(request).await.map(drop) }.boxed()
            },
        }),*]
    };
}

fn tenant() -> String {
    "acme".to_owned()
}

fn user(name: &str) -> String {
    name.to_owned()
}

fn revoke(everywhere: bool) -> v1::RevokeTokensRequest {
    let what = Some(What::Service(user("somebody")));
    v1::RevokeTokensRequest { tenant: tenant(), what, everywhere, ..Default::default() }
}

fn calls() -> [Call; 21] {
    calls! {
        "create_room" "rooms": create_room, |room| {
            v1::CreateRoomRequest { tenant: tenant(), room: format!("{room}-new"), ..Default::default() }
        };
        "get_room" "read": get_room, |room| v1::GetRoomRequest { tenant: tenant(), room };
        "list_rooms" "read": list_rooms, |_room| {
            v1::ListRoomsRequest { tenant: tenant(), ..Default::default() }
        };
        "update_room" "rooms": update_room, |room| {
            let metadata = [("title".to_owned(), "words".to_owned())].into();
            v1::UpdateRoomRequest { tenant: tenant(), room, metadata, ..Default::default() }
        };
        "add_member" "rooms": add_member, |room| {
            let role = v1::Role::Member.into();
            v1::AddMemberRequest { tenant: tenant(), room, user: user("carl"), role, ..Default::default() }
        };
        "remove_member" "rooms": remove_member, |room| {
            v1::RemoveMemberRequest { tenant: tenant(), room, user: user("anna"), ..Default::default() }
        };
        "set_member_role" "rooms": set_member_role, |room| {
            let (user, role) = (user("anna"), v1::Role::Reader.into());
            v1::SetMemberRoleRequest { tenant: tenant(), room, user, role, ..Default::default() }
        };
        "list_members" "read": list_members, |room| {
            v1::ListMembersRequest { tenant: tenant(), room, ..Default::default() }
        };
        "list_sessions" "read": list_sessions, |_room| {
            v1::ListSessionsRequest { tenant: tenant(), ..Default::default() }
        };
        "disconnect_session" "sessions": disconnect_session, |_room| {
            let target = Some(v1::disconnect_session_request::Target::User(v1::UserInstance { user: user("somebody"), ..Default::default() }));
            v1::DisconnectSessionRequest { tenant: tenant(), target, ..Default::default() }
        };
        "revoke_tokens" "revoke": revoke_tokens, |_room| revoke(false);
        "revoke_tokens_everywhere" "revoke": revoke_tokens, |_room| revoke(true);
        "list_audit_heads" "read": list_audit_heads, |_room| v1::ListAuditHeadsRequest {};
        "erase_user" "erase": erase_user, |_room| {
            v1::EraseUserRequest { tenant: tenant(), user: user("somebody") }
        };
        "get_limits" "read": get_limits, |_room| {
            v1::GetLimitsRequest { tenant: tenant(), user: user("somebody") }
        };
        "reset_limits" "sessions": reset_limits, |_room| {
            v1::ResetLimitsRequest { tenant: tenant(), user: user("somebody") }
        };
        "send_notification" "notify": send_notification, |_room| {
            let audience = Some(Audience::Users(v1::UserList { users: vec![user("anna")] }));
            let (kind, title) = (user("reminder"), user("now"));
            v1::SendNotificationRequest { tenant: tenant(), audience, kind, title, ..Default::default() }
        };
        "send_message" "send": send_message, |room| {
            let content = Some(carillon_client::text("words"));
            v1::SendMessageRequest { tenant: tenant(), room, content, ..Default::default() }
        };
        "publish_event" "send": publish_event, |room| {
            v1::PublishEventRequest { tenant: tenant(), room, name: user("rings"), ..Default::default() }
        };
        "get_statistics" "read": get_statistics, |_room| v1::GetStatisticsRequest { tenant: tenant() };
        "watch_overview" "read": watch_overview, |_room| v1::WatchOverviewRequest {};
    }
}

/// What somebody shows for a call that needs an ability.
async fn bearer(hub: &TestHub, bridge: &Beside, caller: &str, needs: &str) -> String {
    let others: Vec<_> = ABILITIES.into_iter().filter(|ability| *ability != needs).collect();
    let service = json!({"sub": "billing", "svc": true, "tenants": ["acme"]});
    let with = |changes: serde_json::Value| {
        let mut claims = service.clone();
        claims.as_object_mut().expect("claims").extend(changes.as_object().expect("claims").clone());
        format!("Bearer {}", hub.token_that_says(&claims))
    };
    match caller {
        "user" => format!("Bearer {}", hub.token("alice")),
        "service" => with(json!({})),
        "needed" => with(json!({"abilities": [needs]})),
        "others" => with(json!({"abilities": others})),
        "ticket" => {
            let ticket = ticket(bridge.address(), &with(json!({}))).await.expect("services buy tickets");
            format!("Bearer {ticket}")
        }
        "elsewhere" => with(json!({"tenants": ["globex"]})),
        "operator" => with(json!({"tenants": "*"})),
        "op_others" => with(json!({"tenants": "*", "abilities": others})),
        "forged" => {
            let token = with(json!({}));
            let (claims, _) = token.rsplit_once('.').expect("three parts");
            let other = with(json!({"sub": "other"}));
            format!("{claims}.{}", other.rsplit_once('.').expect("three parts").1)
        }
        _ => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_ask_of_the_administration_what_their_token_says() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let channel = Endpoint::try_from(hub.url()).expect("an address").connect().await.expect("it listens");
    let (client, admin, number) = (Client::new(channel), hub.admin(), AtomicU64::new(0));
    let mut found = Vec::new();
    for call in calls() {
        let mut row = format!("{:<26}{:<10}", call.name, call.needs);
        for caller in CALLERS {
            let room = format!("conversation:{}", number.fetch_add(1, Ordering::Relaxed));
            let members = vec![v1::Member { user: user("anna"), role: v1::Role::Member.into() }];
            let create = v1::CreateRoomRequest { room: room.clone(), members, ..Default::default() };
            admin.create_room(create).await.expect("it is new");
            let bearer = bearer(&hub, &bridge, caller, call.needs).await;
            let verdict = match (call.make)(client.clone(), bearer, room).await {
                Ok(()) => "ok".to_owned(),
                Err(status) => {
                    let details = status.get_error_details();
                    details.error_info().map(|info| info.reason.clone()).expect("a code")
                }
            };
            let _ = write!(row, "{verdict:<19}");
        }
        found.push(row.trim_end().to_owned());
    }
    let expected: Vec<_> = rows_of(include_str!("admin.txt")).collect();
    assert_eq!(found.join("\n"), expected.join("\n"));
}

/// A call that the protocol gets is in the table too.
#[test]
fn the_table_has_every_call() {
    let set = FileDescriptorSet::decode(carillon_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let service = set.file.iter().flat_map(|file| &file.service).find(|s| s.name() == "AdminService");
    let letters = |name: &str| name.to_lowercase().replace('_', "");
    let missing: Vec<_> = service
        .expect("the service")
        .method
        .iter()
        .map(|method| letters(method.name()))
        .filter(|name| !calls().iter().any(|call| letters(call.name) == *name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
