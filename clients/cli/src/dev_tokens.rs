//! The development tokens that `serve --dev` writes into its data folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carillon_client::{TokenError, TokenFuture, TokenProvider, TokenReason};
use serde::Deserialize;

/// The file's name within the data folder.
pub(crate) const FILE: &str = "dev-tokens.json";

/// What the file says.
#[derive(Debug, Deserialize)]
pub(crate) struct DevTokens {
    /// The tenant of all of them.
    pub(crate) tenant: String,
    /// The hub's address.
    pub(crate) grpc: String,
    tokens: BTreeMap<String, String>,
}

impl DevTokens {
    /// Reads the file of this data folder.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read development tokens from {}: run `carillon serve --dev`, or give --data",
                path.display()
            )
        })?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not as `serve --dev` writes it", path.display()))
    }

    /// The token of this name.
    pub(crate) fn token(&self, name: &str) -> anyhow::Result<&str> {
        let Some(token) = self.tokens.get(name) else {
            let names: Vec<_> = self.tokens.keys().map(String::as_str).collect();
            bail!("there is no development token for {name}: there are {}", names.join(", "));
        };
        Ok(token)
    }
}

/// Reads the token anew at each connect: a hub that was started again may have written others.
pub(crate) struct DevTokenProvider {
    pub(crate) data: PathBuf,
    pub(crate) name: String,
}

impl TokenProvider for DevTokenProvider {
    fn token(&self, _reason: TokenReason) -> TokenFuture<'_> {
        let token = DevTokens::read(&self.data).and_then(|tokens| Ok(tokens.token(&self.name)?.to_owned()));
        let token = token.map_err(|error| TokenError { message: format!("{error:#}"), permanent: false });
        Box::pin(std::future::ready(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serve_writes_and_names_who_there_is() {
        let data = tempfile::tempdir().unwrap();
        assert!(DevTokens::read(data.path()).unwrap_err().to_string().contains("serve --dev"));
        let text = r#"{"tenant":"dev","grpc":"127.0.0.1:7420","http":"x","tokens":{"alice":"a","bob":"b"}}"#;
        std::fs::write(data.path().join(FILE), text).unwrap();
        let tokens = DevTokens::read(data.path()).unwrap();
        assert_eq!((tokens.grpc.as_str(), tokens.token("bob").unwrap()), ("127.0.0.1:7420", "b"));
        assert!(tokens.token("eve").unwrap_err().to_string().ends_with("there are alice, bob"));
    }
}
