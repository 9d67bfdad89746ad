//! What can be typed after `carillon stress`.

use std::path::PathBuf;

use clap::Args;

use crate::wire::Transport;

/// Break a hub, if it can be broken: scenarios that check themselves, side by side, and the same again from their seed.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// What the random numbers follow from; a repetition has the next seed [default: a random one].
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Only these scenarios, with commas.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// How many times, one after the other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeat: u32,
    /// Name the scenarios and do nothing else.
    #[arg(long)]
    pub(super) list: bool,
    /// The hub's address, without TLS. Its settings must be those of `serve --dev`.
    #[arg(long, value_name = "URL", env = "CARILLON_ADDR", default_value = "http://127.0.0.1:7420")]
    pub(super) addr: String,
    /// What sessions travel on. Scenarios that are about gRPC itself are left out on the others.
    #[arg(long, value_enum, default_value_t = Transport::Grpc)]
    pub(super) transport: Transport,
    /// The address for WebSocket of a hub that `--addr` names; without TLS.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7422")]
    pub(super) bridge: String,
    /// Start a hub of our own on free ports with a temporary data folder, and with deadlines short enough to wait for.
    #[arg(long = "self")]
    pub(super) own: bool,
    /// A file with the hub's HS256 secret.
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
    /// The data folder of `serve --dev`: where no secret is given, its secret is used.
    #[arg(long, value_name = "DIR", env = "CARILLON_DATA", default_value = "./carillon-data")]
    pub(super) data: PathBuf,
}
