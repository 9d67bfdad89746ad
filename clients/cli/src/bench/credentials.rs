//! Tokens for the sessions of a benchmark.

use std::path::Path;
use std::time::Duration;

use carillon_hub::access::authentication::{Algorithm, Key, MintFor, MintRequest, Options, Secret, mint};
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;

use super::target::TargetError;

/// How long a token made here is good: longer than any run.
const TTL: Duration = Duration::from_hours(24);

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Given ones, taken in turn; not empty.
    Fixed(Vec<String>),
    /// A user of its own for each session.
    Minted(Box<Mint>),
}

/// Makes tokens under a hub's secret.
#[derive(Debug)]
pub(super) struct Mint {
    options: Options,
    tenant: TenantId,
}

impl Credentials {
    /// Under the HS256 secret in this file.
    pub(super) fn from_secret(file: &Path, tenant: &str) -> Result<Self, TargetError> {
        let failed = |reason: String| TargetError::Secret { file: file.to_owned(), reason };
        let secret = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
        let key = Key::Secret(Secret::new(secret.trim_ascii()));
        let options = Options::new(Algorithm::Hs256, key);
        let tenant =
            TenantId::parse(tenant).map_err(|_| failed("--tenant is not a tenant's id".to_owned()))?;
        let mint = Mint { options, tenant };
        mint.token(0).map_err(failed)?;
        Ok(Self::Minted(Box::new(mint)))
    }

    /// The token of session `index`.
    pub(super) fn token(&self, index: usize) -> String {
        match self {
            Self::Fixed(tokens) => tokens.get(index % tokens.len().max(1)).cloned().unwrap_or_default(),
            Self::Minted(mint) => mint.token(index).expect("the first token was made, and all are alike"),
        }
    }
}

impl Mint {
    fn token(&self, index: usize) -> Result<String, String> {
        let user = UserId::parse(&format!("bench-{index}")).map_err(|violation| violation.rule.to_owned())?;
        let request = MintRequest { subject: MintFor::User { tenant: self.tenant.clone(), user }, ttl: TTL };
        mint(&self.options, &request, Timestamp::now()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_has_a_user_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, format!("{}\n", "s".repeat(32))).unwrap();
        let credentials = Credentials::from_secret(&file, "dev").unwrap();
        assert_ne!(credentials.token(0), credentials.token(1));
        std::fs::write(&file, "short").unwrap();
        assert!(matches!(Credentials::from_secret(&file, "dev"), Err(TargetError::Secret { .. })));
    }

    #[test]
    fn given_tokens_are_taken_in_turn() {
        let credentials = Credentials::Fixed(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!([0, 1, 2].map(|index| credentials.token(index)), ["a", "b", "a"]);
    }
}
