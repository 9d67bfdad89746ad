//! `carillon admin`: rooms, members, sessions and users, as a service.

use clap::{Args, Subcommand};

use crate::args::ConnectArgs;
use crate::output::Output;

mod audit;
mod content;
mod limits;
mod members;
mod rooms;
mod tokens;
mod users;

/// Administer rooms, members, sessions and users, as a service.
#[derive(Clone, Debug, Args)]
pub(crate) struct AdminArgs {
    /// The tenant [default: that of the development tokens].
    #[arg(long, value_name = "ID", env = "CARILLON_TENANT", global = true)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    command: AdminCommand,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
enum AdminCommand {
    /// Create a room under a name of your choice.
    CreateRoom(rooms::CreateRoomArgs),
    /// Show one room.
    Room(rooms::RoomArgs),
    /// List the tenant's rooms.
    Rooms(rooms::RoomsArgs),
    /// Change a room's metadata.
    UpdateRoom(rooms::UpdateRoomArgs),
    /// Add a user to a room.
    AddMember(members::MemberArgs),
    /// Remove a user from a room.
    RemoveMember(members::RemoveMemberArgs),
    /// Change a member's role.
    SetRole(members::MemberArgs),
    /// List a room's members.
    Members(members::MembersArgs),
    /// List open sessions.
    ///
    /// Of all the hub's nodes. Where some do not answer, a warning says how many, with --json a last object with silent_nodes
    /// too, and the exit code is 3.
    Sessions(users::SessionsArgs),
    /// End sessions.
    Disconnect(users::DisconnectArgs),
    /// Make tokens good no more, and end what they opened.
    Revoke(tokens::RevokeArgs),
    /// Show how much a user may still do at once, or fill that up.
    Limits(limits::LimitsArgs),
    /// Find out whether the audit log is whole.
    Audit(audit::AuditArgs),
    /// Blank all content of a user for good. Tombstones remain.
    Erase(users::EraseArgs),
    /// Count what the hub holds.
    Statistics,
    /// Post a message as the service.
    SendMessage(content::SendMessageArgs),
    /// Publish an event as the service.
    Publish(content::PublishArgs),
}

impl AdminArgs {
    /// Whether nothing is changed.
    pub(crate) fn reads(&self) -> bool {
        matches!(
            self.command,
            AdminCommand::Room(_)
                | AdminCommand::Rooms(_)
                | AdminCommand::Members(_)
                | AdminCommand::Sessions(_)
                | AdminCommand::Statistics
                | AdminCommand::Audit(_)
        )
    }
}

/// Does it.
pub(crate) async fn run(args: AdminArgs, output: Output) -> anyhow::Result<()> {
    let AdminArgs { tenant, connect, command } = args;
    // Going over an audit log may do without a hub.
    let admin = || connect.admin(tenant.as_deref());
    match command {
        AdminCommand::CreateRoom(args) => rooms::create(&admin()?, args, output).await,
        AdminCommand::Room(args) => rooms::show(&admin()?, args, output).await,
        AdminCommand::Rooms(args) => rooms::list(&admin()?, args, output).await,
        AdminCommand::UpdateRoom(args) => rooms::update(&admin()?, args, output).await,
        AdminCommand::AddMember(args) => members::add(&admin()?, args, output).await,
        AdminCommand::RemoveMember(args) => members::remove(&admin()?, args, output).await,
        AdminCommand::SetRole(args) => members::set_role(&admin()?, args, output).await,
        AdminCommand::Members(args) => members::list(&admin()?, args, output).await,
        AdminCommand::Sessions(args) => users::sessions(&admin()?, args, output).await,
        AdminCommand::Disconnect(args) => users::disconnect(&admin()?, args, output).await,
        AdminCommand::Limits(args) => limits::limits(&admin()?, args, output).await,
        AdminCommand::Erase(args) => users::erase(&admin()?, args, output).await,
        AdminCommand::Revoke(args) => tokens::revoke(&admin()?, args, output).await,
        AdminCommand::Audit(args) => audit::audit(&connect, tenant.as_deref(), args, output).await,
        AdminCommand::Statistics => users::statistics(&admin()?, output).await,
        AdminCommand::SendMessage(args) => content::send_message(&admin()?, args, output).await,
        AdminCommand::Publish(args) => content::publish(&admin()?, args, output).await,
    }
}
