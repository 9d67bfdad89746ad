//! `carillon serve`: a hub on this machine with nothing else installed.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::output::Output;

/// Run a hub on this machine with nothing else installed.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// For development: creates what it needs, and prints tokens for alice, bob and a service.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Where data is kept [default: ./carillon-data].
    #[arg(long, value_name = "DIR", env = "CARILLON_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Address for gRPC; port 0 for a free one [default: 127.0.0.1:7420].
    #[arg(long, value_name = "ADDR")]
    pub(crate) grpc: Option<SocketAddr>,
    /// Address for health and metrics over HTTP; port 0 for a free one [default: 127.0.0.1:7421].
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// A configuration file.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Threads that serve sessions [default: one per core].
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &ServeArgs, _output: Output) -> anyhow::Result<()> {
    bail!("this build has no hub to serve with {args:?}")
}
