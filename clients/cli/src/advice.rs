//! Errors as people read them: what happened, and what to do about it.

use std::io;
use std::process::ExitCode;

use carillon_client::{Code, CommandError, ConnectError, Refusal};

/// The user pressed Ctrl-C before a command was done. No error: nothing is printed.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// As a shell reports a command that SIGINT ended: 128 + 2.
const INTERRUPTED: u8 = 130;

/// Prints an error with advice, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    // Whoever reads has read enough, as `head` does.
    let closed = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(closed)) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", describe(error));
    if let Some(advice) = advice(error) {
        eprintln!("{advice}");
    }
    ExitCode::FAILURE
}

/// The chain of causes, without those that an outer text repeats.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn advice(error: &anyhow::Error) -> Option<&'static str> {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<ConnectError>() {
            return match error {
                ConnectError::Unreachable { .. } | ConnectError::TimedOut(_) => Some(UNREACHABLE),
                ConnectError::Refused(refusal) => of_refusal(refusal),
                _ => None,
            };
        }
        if let Some(error) = cause.downcast_ref::<CommandError>() {
            return match error {
                CommandError::Unreachable(_) => Some(UNREACHABLE),
                CommandError::Refused(refusal) => of_refusal(refusal),
                CommandError::TimedOut(_) => {
                    Some("the hub may have done it all the same: look before you repeat it")
                }
                _ => None,
            };
        }
    }
    None
}

const UNREACHABLE: &str = "start a hub with `carillon serve --dev`, or say where it is with --addr";

fn of_refusal(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal.code {
        Code::AuthRequired | Code::InvalidToken | Code::TokenRevoked | Code::SessionInvalidated => {
            "give a token of this hub with --token, or --as alice for a development token"
        }
        Code::TokenExpired => {
            "get a new token: `carillon token` makes one, `carillon serve --dev` writes new ones"
        }
        Code::AccessDenied => "ask an owner to add you: `carillon admin add-member ROOM USER`",
        Code::PermissionDenied => "administration needs a service token: --as service, or --token",
        Code::RateLimited | Code::TooManyConnections | Code::ConnectionLimitExceeded => {
            "wait a little and try again"
        }
        Code::ProtocolError => "what answers there is not a Carillon hub of this version: see --addr",
        _ => return None,
    })
}
