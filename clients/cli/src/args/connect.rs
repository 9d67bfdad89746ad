//! Which hub, and as whom: the same for all client commands.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;

use crate::dev_tokens;
use crate::environment;

/// Which hub, and as whom.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The hub's address [default: with --as that of the development tokens, else $CARILLON_ADDR or 127.0.0.1:7420].
    #[arg(long, global = true, value_name = "URL")]
    addr: Option<String>,
    /// For an https:// address: a PEM file with the authorities that sign the hub's certificate [default: $CARILLON_CA,
    /// else those that the system trusts].
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// For an https:// address: a PEM file with the certificate to show.
    #[arg(long, global = true, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key.
    #[arg(long, global = true, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// The token to show [default: without --as, $CARILLON_TOKEN].
    #[arg(long, global = true, value_name = "JWT", conflicts_with = "as_name")]
    token: Option<String>,
    /// Whose development token to show: alice, bob, operator or service. `serve --dev` writes them into its data folder.
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) as_name: Option<String>,
    /// The data folder of `serve --dev`, for its tokens [default: $CARILLON_DATA or ./carillon-data].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl ConnectArgs {
    /// The hub's address, where one was given. Whose development token is typed means the hub that made it.
    pub(crate) fn addr(&self) -> Option<String> {
        let variable = || environment::text(environment::ADDR).filter(|_| self.as_name.is_none());
        self.addr.clone().or_else(variable)
    }

    /// The authorities, where some were given. Those of the variable are for addresses that need some.
    pub(crate) fn ca(&self, address: &str) -> Option<PathBuf> {
        let variable = || environment::path(environment::CA).filter(|_| address.starts_with("https://"));
        self.ca.clone().or_else(variable)
    }

    /// The certificate to show and its key, where they were given.
    pub(crate) fn certificate(&self) -> Option<(PathBuf, PathBuf)> {
        self.certificate.clone().zip(self.certificate_key.clone())
    }

    /// The token, where one was given.
    pub(crate) fn token(&self) -> Option<String> {
        let variable = || environment::text(environment::TOKEN).filter(|_| self.as_name.is_none());
        self.token.clone().or_else(variable)
    }

    /// Whether a service asks, as far as that can be told here: by the development token's name, or by the claim in which
    /// hubs look for it unless they are configured otherwise.
    pub(crate) fn is_service(&self) -> bool {
        match (&self.as_name, self.token()) {
            (Some(name), _) => [dev_tokens::SERVICE, dev_tokens::OPERATOR].contains(&name.as_str()),
            (None, token) => token.is_some_and(|token| claims(&token)["svc"] == true),
        }
    }

    /// The data folder of `serve --dev`.
    pub(crate) fn data(&self) -> PathBuf {
        environment::data(self.data.as_ref())
    }
}

/// What a token says of itself; null where it is none. For advice alone: nothing here is checked.
fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
}
