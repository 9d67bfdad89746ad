//! How full a user's buckets are, or the tenant's, and filling them.

use carillon_client::{AdminClient, v1};
use clap::Args;
use serde_json::json;

use crate::output::Output;

/// Whose limits.
#[derive(Clone, Debug, Args)]
pub(crate) struct LimitsArgs {
    /// The user, or a service's name; without one, what all of the tenant send.
    #[arg(default_value = "")]
    user: String,
    /// Fill the buckets: the user may do as much as the limits allow at once again.
    #[arg(long)]
    reset: bool,
}

pub(crate) async fn limits(admin: &AdminClient, args: LimitsArgs, output: Output) -> anyhow::Result<()> {
    if args.reset {
        let request = v1::ResetLimitsRequest { user: args.user, ..Default::default() };
        let reset = admin.reset_limits(request).await?.reset;
        output.data(&json!({"reset": reset}), || format!("filled {reset} buckets"))?;
        return Ok(());
    }
    let request = v1::GetLimitsRequest { user: args.user, ..Default::default() };
    let levels = admin.get_limits(request).await?.levels;
    for level in &levels {
        let value = json!({
            "kind": level.kind, "namespace": level.namespace, "session": level.session,
            "left": level.left, "burst": level.burst,
        });
        output.data(&value, || {
            let of = [&level.namespace, &level.session].map(String::as_str).concat();
            format!("{} {of} {} of {}", level.kind, level.left, level.burst)
        })?;
    }
    if levels.is_empty() {
        output.hint("nothing is in use: every limit is as far away as it can be");
    }
    Ok(())
}
