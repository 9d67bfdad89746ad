//! What a scenario left behind in the hub: nothing, once the hub has noticed that its clients are gone.

use std::time::Duration;

use carillon_client::v1;

use super::fault::{Fault, Outcome};
use super::world::{PATIENCE, World};

/// How often the hub is asked.
const INTERVAL: Duration = Duration::from_millis(100);

/// Waits until the tenant has no session, no present user and no room that anybody follows.
pub(super) async fn none(world: &World) -> Outcome<()> {
    counts(world, "nothing is left behind", |statistics| {
        (statistics.sessions, statistics.users, statistics.active_rooms) == (0, 0, 0)
    })
    .await
    .map(|_| ())
}

/// Waits until the tenant's counts are as they must be, and gives them.
pub(super) async fn counts(
    world: &World,
    what: &str,
    good: impl Fn(&v1::GetStatisticsResponse) -> bool,
) -> Outcome<v1::GetStatisticsResponse> {
    let admin = world.admin()?;
    let begun = tokio::time::Instant::now();
    loop {
        let statistics = admin.get_statistics(v1::GetStatisticsRequest::default()).await?;
        if good(&statistics) {
            return Ok(statistics);
        }
        if begun.elapsed() > PATIENCE {
            let what = format!("{what}, but {statistics:?}");
            return Err(Fault::Late { what, after: PATIENCE });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
