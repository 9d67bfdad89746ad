//! The keys that tokens are checked with, kept as they should be while the hub runs: those that issuers publish are
//! fetched, and those in files are read again.
//!
//! Nobody who checks a token waits for this: keys are put into each issuer's [`KeyRing`] when they are there.

mod fetch;
mod files;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use fetch::tls;
use fetch::{FetchError, Fetcher};

use crate::access::authentication::{Authenticator, KeyRing};
use crate::config::Config;
use crate::domain::limits::{JWKS_BACKOFF, JWKS_BACKOFF_MOST};
use crate::domain::time::{Timestamp, jittered};
use crate::telemetry::Metrics;

/// Starts what keeps the keys, until `cancel`.
pub(super) fn start(
    config: &Config,
    authenticator: &Authenticator,
    metrics: &Metrics,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) {
    for keys in authenticator.key_rings() {
        if let Some(remote) = keys.remote() {
            let fetching = keep_fetched(Arc::clone(keys), Fetcher::new(remote), metrics.clone());
            tasks.spawn(cancel.clone().run_until_cancelled_owned(fetching));
        }
    }
    if config.has_key_files() {
        let reading = files::keep_read(config.clone(), authenticator.clone(), metrics.clone());
        tasks.spawn(cancel.clone().run_until_cancelled_owned(reading));
    }
}

/// Fetches an issuer's keys: at once, then as often as is configured, and sooner where somebody bears a token with a key
/// that is unknown. Failing that it tries on, ever more seldom, and whoever asks changes nothing in that.
async fn keep_fetched(keys: Arc<KeyRing>, fetcher: Fetcher, metrics: Metrics) {
    let Some(remote) = keys.remote() else { return };
    let mut failures = 0;
    loop {
        let began = Instant::now();
        keys.begin(Timestamp::now());
        let fetched = fetcher.fetch().await;
        let learnt = fetched.and_then(|document| keys.learn(&document).map_err(FetchError::Document));
        match learnt {
            Ok(found) if failures > 0 => {
                tracing::info!(section = keys.section(), keys = found, failures, "keys are fetched again");
                failures = 0;
            }
            Ok(found) => tracing::debug!(section = keys.section(), keys = found, "keys were fetched"),
            Err(error) => {
                failures += 1;
                metrics.counters().key_failures.increment();
                tracing::warn!(section = keys.section(), %error, failures, "keys cannot be fetched");
            }
        }
        if failures > 0 {
            sleep_until(Instant::now() + about(backoff(failures))).await;
            continue;
        }
        let asked = async {
            keys.wanted().await;
            sleep_until(began + remote.floor).await;
        };
        tokio::select! {
            () = sleep_until(began + about(remote.refresh).max(remote.floor)) => {}
            () = asked => {}
        }
    }
}

/// How long to wait after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    let doubled =
        JWKS_BACKOFF.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(JWKS_BACKOFF_MOST)
}

/// The duration less up to a fifth, so that many hubs do not come at once.
fn about(duration: Duration) -> Duration {
    duration.saturating_sub(jittered(duration / 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_answered_with_patience_and_not_without_end() {
        let seconds: Vec<_> =
            [1, 2, 3, 6, 7, 33, u32::MAX].map(|failures| backoff(failures).as_secs()).to_vec();
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn what_is_random_takes_a_fifth_at_most() {
        for seconds in [0, 1, 600] {
            let (whole, least) = (Duration::from_secs(seconds), Duration::from_secs(seconds) * 4 / 5);
            assert!((0..100).all(|_| (least..=whole).contains(&about(whole))));
        }
    }
}
