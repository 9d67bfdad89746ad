//! Which hub, and as whom: the same for all client commands.

use std::path::PathBuf;

use clap::Args;

/// Which hub, and as whom.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The hub's address [default: 127.0.0.1:7420, or that of the development tokens].
    #[arg(long, global = true, value_name = "URL", env = "CARILLON_ADDR")]
    pub(crate) addr: Option<String>,
    /// The token to show.
    #[arg(
        long,
        global = true,
        value_name = "JWT",
        env = "CARILLON_TOKEN",
        hide_env_values = true,
        conflicts_with = "as_name"
    )]
    pub(crate) token: Option<String>,
    /// Whose development token to show: alice, bob, operator or service. `serve --dev` writes them into its data folder.
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) as_name: Option<String>,
    /// The data folder of `serve --dev`, for its tokens.
    #[arg(long, global = true, value_name = "DIR", env = "CARILLON_DATA", default_value = "./carillon-data")]
    pub(crate) data: PathBuf,
}
