//! Reading files with keys again, so that keys change without a restart.

use std::sync::Arc;

use tokio::time::MissedTickBehavior;

use crate::access::authentication::{Authenticator, KeyRing, NamedKey};
use crate::config::Config;
use crate::domain::limits::KEY_FILES_INTERVAL;
use crate::telemetry::Metrics;

/// An issuer's keys as they are in their files, or why they cannot be read.
type Reading = Result<Vec<NamedKey>, String>;

/// Reads the files every so often. By content, since a file that is a link to another changes with what it links to.
pub(super) async fn keep_read(config: Config, authenticator: Authenticator, metrics: Metrics) {
    let config = Arc::new(config);
    let mut watched: Vec<_> = authenticator.key_rings().map(|keys| Watched::new(Arc::clone(keys))).collect();
    let mut ticks = tokio::time::interval(KEY_FILES_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let config = Arc::clone(&config);
        // Beside the runtime, which a file system that hangs must not hold up.
        let Ok(readings) = tokio::task::spawn_blocking(move || config.issuers_keys()).await else { return };
        for (issuer, reading) in watched.iter_mut().zip(readings) {
            match issuer.look(reading.map_err(|error| error.to_string())) {
                Step::Nothing => {}
                Step::Replaced => {
                    tracing::info!(section = issuer.keys.section(), "keys were read again");
                }
                Step::Refused(problem) => {
                    metrics.counters().key_failures.increment();
                    let section = issuer.keys.section();
                    tracing::warn!(section, %problem, "keys in files are bad: those of before stay in use");
                }
            }
        }
    }
}

/// What a look at the files came to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Replaced,
    /// Said once of each problem.
    Refused(String),
}

/// One issuer's keys in files.
struct Watched {
    keys: Arc<KeyRing>,
    /// What the last look saw; `None` before the first.
    before: Option<Reading>,
    /// What came of it when it was last acted on.
    acted: Option<Reading>,
}

impl Watched {
    fn new(keys: Arc<KeyRing>) -> Self {
        Self { keys, before: None, acted: None }
    }

    /// Acts on what two looks in a row saw: a file that is being written would be half a secret.
    fn look(&mut self, reading: Reading) -> Step {
        let settled = self.before.as_ref() == Some(&reading);
        let known = self.acted.as_ref() == Some(&reading);
        self.before = Some(reading.clone());
        if !settled || known {
            return Step::Nothing;
        }
        let result = match &reading {
            Ok(keys) => self.keys.replace(keys).map_err(|error| error.to_string()),
            Err(problem) => Err(problem.clone()),
        };
        let first = self.acted.is_none();
        self.acted = Some(reading);
        match result {
            Ok(()) if first => Step::Nothing,
            Ok(()) => Step::Replaced,
            Err(problem) => Step::Refused(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::authentication::{Algorithm, Key, MintFor, MintRequest, Options, Secret, mint};
    use crate::domain::names::{TenantId, UserId};
    use crate::domain::time::Timestamp;

    const OLD: &str = "the old secret of the tests, long";
    const NEW: &str = "the new secret of the tests, long";

    fn options(secret: &str) -> Options {
        Options::new(Algorithm::Hs256, Key::Secret(Secret::new(secret)))
    }

    fn keys(secret: &str) -> Vec<NamedKey> {
        options(secret).keys
    }

    fn token(secret: &str) -> String {
        let (tenant, user) = (TenantId::parse("acme").unwrap(), UserId::parse("alice").unwrap());
        let subject = MintFor::User { tenant, user };
        let request = MintRequest { subject, ttl: std::time::Duration::from_secs(60) };
        mint(&options(secret), &request, Timestamp(0)).unwrap()
    }

    #[test]
    fn a_change_counts_when_two_looks_saw_it_and_a_problem_is_told_once() {
        let authenticator = Authenticator::new(options(OLD)).unwrap();
        let mut file = Watched::new(Arc::clone(authenticator.key_rings().next().unwrap()));
        let short = "auth.secret: at least 32 bytes (openssl rand -hex 32 makes 64)";
        let refused = |problem: &str| Step::Refused(problem.to_owned());
        let gone = || Err("gone".to_owned());
        for (what, reading, expected, good) in [
            ("as at the start", Ok(keys(OLD)), Step::Nothing, OLD),
            ("the same", Ok(keys(OLD)), Step::Nothing, OLD),
            ("half written", Ok(keys("the new")), Step::Nothing, OLD),
            ("written", Ok(keys(NEW)), Step::Nothing, OLD),
            ("settled", Ok(keys(NEW)), Step::Replaced, NEW),
            ("the same", Ok(keys(NEW)), Step::Nothing, NEW),
            ("too short", Ok(keys("x")), Step::Nothing, NEW),
            ("settled", Ok(keys("x")), refused(short), NEW),
            ("the same", Ok(keys("x")), Step::Nothing, NEW),
            ("gone", gone(), Step::Nothing, NEW),
            ("settled", gone(), refused("gone"), NEW),
            ("the same", gone(), Step::Nothing, NEW),
            ("the first one again", Ok(keys(OLD)), Step::Nothing, NEW),
            ("settled", Ok(keys(OLD)), Step::Replaced, OLD),
        ] {
            assert_eq!(file.look(reading), expected, "{what}");
            let bad = if good == OLD { NEW } else { OLD };
            assert!(authenticator.verify(&token(good), Timestamp(0)).is_ok(), "{what}");
            assert!(authenticator.verify(&token(bad), Timestamp(0)).is_err(), "{what}");
        }
    }
}
