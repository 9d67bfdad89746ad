//! Members.

use carillon_client::{AdminClient, v1};
use clap::Args;

use crate::commands::pairs::RoleArg;
use crate::output::Output;
use crate::render::{json, text};

/// Members of one page.
const PAGE: u32 = 200;

/// A user of a room, with a role.
#[derive(Clone, Debug, Args)]
pub(crate) struct MemberArgs {
    /// The room.
    room: String,
    /// The user.
    user: String,
    /// What the user may do.
    #[arg(long, value_enum, default_value_t = RoleArg::Member)]
    role: RoleArg,
}

/// A user of a room.
#[derive(Clone, Debug, Args)]
pub(crate) struct RemoveMemberArgs {
    /// The room.
    room: String,
    /// The user.
    user: String,
}

/// List a room's members.
#[derive(Clone, Debug, Args)]
pub(crate) struct MembersArgs {
    /// The room.
    room: String,
}

pub(crate) async fn add(admin: &AdminClient, args: MemberArgs, output: Output) -> anyhow::Result<()> {
    let role = v1::Role::from(args.role).into();
    let request = v1::AddMemberRequest { room: args.room, user: args.user, role, ..Default::default() };
    accepted(&admin.add_member(request).await?.entry.unwrap_or_default(), output)
}

pub(crate) async fn remove(
    admin: &AdminClient,
    args: RemoveMemberArgs,
    output: Output,
) -> anyhow::Result<()> {
    let request = v1::RemoveMemberRequest { room: args.room, user: args.user, ..Default::default() };
    accepted(&admin.remove_member(request).await?.entry.unwrap_or_default(), output)
}

pub(crate) async fn set_role(admin: &AdminClient, args: MemberArgs, output: Output) -> anyhow::Result<()> {
    let role = v1::Role::from(args.role).into();
    let request = v1::SetMemberRoleRequest { room: args.room, user: args.user, role, ..Default::default() };
    accepted(&admin.set_member_role(request).await?.entry.unwrap_or_default(), output)
}

pub(crate) async fn list(admin: &AdminClient, args: MembersArgs, output: Output) -> anyhow::Result<()> {
    let mut request = v1::ListMembersRequest { room: args.room, limit: PAGE, ..Default::default() };
    loop {
        let page = admin.list_members(request.clone()).await?;
        for member in &page.members {
            output
                .data(&json::member(member), || format!("{} ({})", member.user, text::role(member.role())))?;
        }
        if page.next_cursor.is_empty() {
            return Ok(());
        }
        request.cursor = page.next_cursor;
    }
}

/// Prints what a change wrote.
pub(super) fn accepted(entry: &v1::EntryAccepted, output: Output) -> anyhow::Result<()> {
    let again = if entry.duplicate { " (it was so already)" } else { "" };
    let seq = entry.position.unwrap_or_default().seq;
    Ok(output.data(&json::accepted(entry), || format!("done, as #{seq}{again}"))?)
}
