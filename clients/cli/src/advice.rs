//! Errors as people read them: what happened, and what to do about it.

use std::io;
use std::process::ExitCode;

use carillon_client::{Code, CommandError, ConnectError, Refusal};

/// The user pressed Ctrl-C before a command was done. No error: nothing is printed.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// So many nodes of the hub did not answer: all else was printed.
#[derive(Debug, thiserror::Error)]
#[error("{0} of the hub's nodes did not answer: what they have is missing")]
pub(crate) struct Incomplete(pub(crate) u32);

/// What an incomplete answer exits with.
const INCOMPLETE: u8 = 3;

/// As a shell reports a command that SIGINT ended: 128 + 2.
const INTERRUPTED: u8 = 130;

/// What a command does, as far as advice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As a user: reads.
    Reads,
    /// As a user: changes something.
    Writes,
    /// What is for users, with a service's token.
    AsService,
    /// As a service: reads.
    ServiceReads,
    /// As a service: changes something.
    ServiceWrites,
    /// Without a hub, or with one of its own.
    Local,
}

/// Prints an error with advice, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error, kind: Kind) -> ExitCode {
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    if let Some(incomplete) = error.downcast_ref::<Incomplete>() {
        eprintln!("warning: {incomplete}");
        return ExitCode::from(INCOMPLETE);
    }
    // Whoever reads has read enough, as `head` does.
    let closed = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(closed)) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", describe(error));
    if let Some(advice) = advice(error, kind) {
        eprintln!("{advice}");
    }
    ExitCode::FAILURE
}

/// The chain of causes, without those that an outer text repeats.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn advice(error: &anyhow::Error, kind: Kind) -> Option<&'static str> {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<ConnectError>() {
            return match error {
                ConnectError::Unreachable { .. } | ConnectError::TimedOut(_) => Some(UNREACHABLE),
                ConnectError::Refused(refusal) => of_session(refusal),
                _ => None,
            };
        }
        if let Some(error) = cause.downcast_ref::<CommandError>() {
            return match error {
                CommandError::Unreachable(_) => Some(UNREACHABLE),
                CommandError::Refused(refusal) => of_command(refusal, kind),
                CommandError::TimedOut(_) => Some(match kind {
                    Kind::Writes | Kind::AsService | Kind::ServiceWrites => {
                        "the hub may have done it all the same: look before you repeat it"
                    }
                    Kind::Reads | Kind::ServiceReads | Kind::Local => "try again",
                }),
                _ => None,
            };
        }
    }
    None
}

const UNREACHABLE: &str = "start a hub with `carillon serve --dev`, or say where it is with --addr";

/// A session takes users; what they may do there is asked with each command.
fn of_session(refusal: &Refusal) -> Option<&'static str> {
    match refusal.code {
        Code::PermissionDenied => Some(USERS_ONLY),
        _ => of_any(refusal),
    }
}

fn of_command(refusal: &Refusal, kind: Kind) -> Option<&'static str> {
    let service = matches!(kind, Kind::ServiceReads | Kind::ServiceWrites);
    match refusal.code {
        Code::PermissionDenied if service => {
            Some("this needs a service token that lists the tenant: --as service, or --token")
        }
        Code::PermissionDenied if kind == Kind::AsService => Some(USERS_ONLY),
        Code::NotFound if service => Some(
            "there is no such room, or the hub's configuration has no namespace of what stands before its first colon",
        ),
        Code::AccessDenied if !service => {
            Some("ask for it: `carillon admin add-member ROOM USER` makes one a member")
        }
        Code::PermissionDenied => Some(
            "your role in this room does not allow it: `carillon admin set-role ROOM USER --role ROLE` changes it",
        ),
        _ => of_any(refusal),
    }
}

const USERS_ONLY: &str = "this is for users: give a user's token with --token, or --as alice";

fn of_any(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal.code {
        Code::AuthRequired | Code::InvalidToken | Code::TokenRevoked | Code::SessionInvalidated => {
            "give a token of this hub with --token, or --as alice for a development token"
        }
        Code::TokenExpired => {
            "get a new token: `carillon token` makes one, `carillon serve --dev` writes new ones"
        }
        Code::RateLimited | Code::TooManyConnections | Code::ConnectionLimitExceeded => {
            "wait a little and try again"
        }
        Code::ProtocolError => "what answers there is not a Carillon hub of this version: see --addr",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> anyhow::Error {
        CommandError::Refused(Refusal {
            code,
            message: String::new(),
            request_id: String::new(),
            retryable: false,
            retry_after: None,
            violations: Vec::new(),
        })
        .into()
    }

    #[test]
    fn advice_is_about_what_was_typed() {
        let denied = refused(Code::PermissionDenied);
        assert!(advice(&denied, Kind::ServiceWrites).unwrap().contains("service token"));
        assert!(advice(&denied, Kind::Writes).unwrap().contains("your role"));
        assert_eq!(advice(&denied, Kind::AsService), Some(USERS_ONLY));
        assert_eq!(advice(&refused(Code::AccessDenied), Kind::ServiceWrites), None);
        let late = || CommandError::TimedOut(std::time::Duration::from_secs(1)).into();
        assert!(advice(&late(), Kind::Writes).unwrap().contains("look before"));
        assert_eq!(advice(&late(), Kind::Reads), Some("try again"));
    }
}
