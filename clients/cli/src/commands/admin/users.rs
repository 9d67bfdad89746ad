//! Sessions, users and counts.

use anyhow::{Context, bail};
use carillon_client::v1::disconnect_session_request::Target;
use carillon_client::{AdminClient, v1};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::advice::Incomplete;
use crate::output::Output;
use crate::render::{json, text};

/// Sessions of one page.
const PAGE: u32 = 200;

/// List open sessions.
#[derive(Clone, Debug, Args)]
pub(crate) struct SessionsArgs {
    /// Only of this user.
    #[arg(default_value = "")]
    user: String,
}

/// End sessions: one, or those of a user.
#[derive(Clone, Debug, Args)]
pub(crate) struct DisconnectArgs {
    #[command(flatten)]
    target: DisconnectTarget,
    /// Only this device of the user.
    #[arg(long, value_name = "NAME", requires = "user", default_value = "")]
    instance: String,
    /// What the client is told.
    #[arg(long, value_enum, default_value_t = DisconnectCode::SessionInvalidated)]
    code: DisconnectCode,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct DisconnectTarget {
    /// This session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// All sessions of this user.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DisconnectCode {
    /// Do not come back.
    SessionInvalidated,
    /// Come back, elsewhere if you can.
    GoingAway,
    /// Come back.
    Unavailable,
}

impl DisconnectCode {
    fn name(self) -> &'static str {
        match self {
            Self::SessionInvalidated => "SESSION_INVALIDATED",
            Self::GoingAway => "GOING_AWAY",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// Blank all content of a user for good.
#[derive(Clone, Debug, Args)]
pub(crate) struct EraseArgs {
    /// The user.
    user: String,
    /// Yes, for good.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn sessions(admin: &AdminClient, args: SessionsArgs, output: Output) -> anyhow::Result<()> {
    let mut request = v1::ListSessionsRequest { user: args.user, limit: PAGE, ..Default::default() };
    let mut silent_nodes = 0;
    loop {
        let page = admin.list_sessions(request.clone()).await?;
        silent_nodes = page.silent_nodes.max(silent_nodes);
        for session in &page.sessions {
            output.data(&json::session(session), || line(session))?;
        }
        if page.next_cursor.is_empty() {
            break;
        }
        request.cursor = page.next_cursor;
    }
    if silent_nodes == 0 {
        return Ok(());
    }
    if output.is_json() {
        output.data(&json!({"silent_nodes": silent_nodes}), String::new)?;
    }
    bail!(Incomplete(silent_nodes))
}

fn line(session: &v1::SessionInfo) -> String {
    let since = text::date_and_time(session.connected_ms);
    let (client, instance) = (text::clean(&session.client), &session.instance);
    let mut from = [&session.address, &session.agent, &session.origin].map(|part| text::clean(part)).to_vec();
    from.retain(|part| !part.is_empty());
    let from = if from.is_empty() { String::new() } else { format!(", from {}", from.join(", ")) };
    format!(
        "{} {} ({client} {instance}) since {since}, in {} rooms{from}",
        session.session, session.user, session.rooms
    )
}

pub(crate) async fn disconnect(
    admin: &AdminClient,
    args: DisconnectArgs,
    output: Output,
) -> anyhow::Result<()> {
    let target = match args.target.session {
        Some(session) => Target::Session(session),
        None => Target::User(v1::UserInstance {
            user: args.target.user.context("give --session or --user")?,
            instance: args.instance,
        }),
    };
    let code = args.code.name().to_owned();
    let request = v1::DisconnectSessionRequest { target: Some(target), code, ..Default::default() };
    let count = admin.disconnect_session(request).await?.disconnected;
    output.data(&json!({"disconnected": count}), || format!("ended {count} sessions"))?;
    Ok(())
}

pub(crate) async fn erase(admin: &AdminClient, args: EraseArgs, output: Output) -> anyhow::Result<()> {
    if !args.yes {
        bail!("this cannot be undone: say --yes to blank everything that {} wrote", args.user);
    }
    let request = v1::EraseUserRequest { user: args.user, ..Default::default() };
    let erased = admin.erase_user(request).await?;
    let (messages, notifications) = (erased.messages_blanked, erased.notifications_removed);
    let value = json!({"messages_blanked": messages, "notifications_removed": notifications});
    output.data(&value, || format!("blanked {messages} entries, removed {notifications} notifications"))?;
    Ok(())
}

pub(crate) async fn statistics(admin: &AdminClient, output: Output) -> anyhow::Result<()> {
    let s = admin.get_statistics(v1::GetStatisticsRequest::default()).await?;
    let value = json!({
        "sessions": s.sessions, "users": s.users, "rooms": s.rooms, "active_rooms": s.active_rooms,
        "messages": s.messages, "stored_bytes": s.stored_bytes,
        "stored_bytes_limit": (s.stored_bytes_limit > 0).then_some(s.stored_bytes_limit), "notifications": s.notifications, "time_ms": s.time_ms,
        "tenant_messages": s.tenant_messages.as_ref().map(|level| json!({"left": level.left, "burst": level.burst})),
    });
    output.data(&value, || {
        let left =
            s.tenant_messages.as_ref().map(|level| format!(", {} of {} more now", level.left, level.burst));
        format!(
            "{} sessions of {} users, {} rooms ({} active), {} messages{}, {} bytes{}, {} notifications",
            s.sessions,
            s.users,
            s.rooms,
            s.active_rooms,
            s.messages,
            left.unwrap_or_default(),
            s.stored_bytes,
            if s.stored_bytes_limit > 0 { format!(" of {}", s.stored_bytes_limit) } else { String::new() },
            s.notifications
        )
    })?;
    Ok(())
}
