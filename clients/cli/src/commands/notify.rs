//! `carillon notify`: notifications, as a service sends them.

use carillon_client::v1::send_notification_request::Audience;
use carillon_client::{text, v1};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::pairs;
use crate::args::ConnectArgs;
use crate::output::Output;

/// Notify users, as a service.
#[derive(Clone, Debug, Args)]
pub(crate) struct NotifyArgs {
    /// One line, at most 256 characters.
    title: String,
    #[command(flatten)]
    audience: AudienceArgs,
    /// More, if there is more.
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// What kind, for the application.
    #[arg(long, value_name = "KIND", default_value = "notice")]
    kind: String,
    /// How much it matters.
    #[arg(long, value_enum, default_value_t = Priority::Normal)]
    priority: Priority,
    /// For the application; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair)]
    data_pair: Vec<(String, String)>,
    /// The tenant [default: that of the development tokens].
    #[arg(long, value_name = "ID", env = "CARILLON_TENANT")]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Whom to notify: one of the three.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct AudienceArgs {
    /// This user; may be given several times.
    #[arg(long, value_name = "ID")]
    user: Vec<String>,
    /// The members of this room.
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// All users of the tenant.
    #[arg(long)]
    all: bool,
}

/// How much a notification matters.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Priority {
    /// Can wait.
    Low,
    /// The usual.
    Normal,
    /// Should be seen soon.
    High,
    /// Must be seen now.
    Critical,
}

impl From<Priority> for v1::NotificationPriority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
            Priority::Critical => Self::Critical,
        }
    }
}

impl From<AudienceArgs> for Audience {
    fn from(audience: AudienceArgs) -> Self {
        match audience.room {
            _ if audience.all => Self::AllUsers(true),
            Some(room) => Self::RoomMembers(room),
            None => Self::Users(v1::UserList { users: audience.user }),
        }
    }
}

/// Sends it.
pub(crate) async fn run(args: NotifyArgs, output: Output) -> anyhow::Result<()> {
    let admin = args.connect.admin(args.tenant.as_deref())?;
    let request = v1::SendNotificationRequest {
        audience: Some(args.audience.into()),
        kind: args.kind,
        title: args.title,
        body: args.body.map(text),
        priority: v1::NotificationPriority::from(args.priority).into(),
        data: pairs::map(args.data_pair),
        ..Default::default()
    };
    let sent = admin.send_notification(request).await?;
    let value = json!({"id": sent.id, "recipients": sent.recipients, "duplicate": sent.duplicate});
    output.data(&value, || format!("notified {} users ({})", sent.recipients, sent.id))?;
    Ok(())
}
