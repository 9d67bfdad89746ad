//! Starts the bare peer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::BenchError;
use crate::bench::target::{Target, TargetError};
use crate::child::Server;

const PROGRAM: &str = "carillon-peer-raw";

#[derive(serde::Deserialize)]
struct Ready {
    address: SocketAddr,
}

/// Starts it where the target's servers run; gives it and its address.
pub(super) fn start(target: &Target, program: Option<&Path>) -> Result<(Server, SocketAddr), BenchError> {
    let program = match program {
        Some(program) => program.to_owned(),
        None => beside_this()?,
    };
    if !program.exists() {
        return Err(TargetError::NoPeer(program).into());
    }
    let (server, ready): (_, Ready) = target.start(&mut Command::new(program), "peer.log")?;
    Ok((server, ready.address))
}

fn beside_this() -> Result<PathBuf, BenchError> {
    Ok(std::env::current_exe()?.with_file_name(PROGRAM))
}
