//! What can be typed. Each command's own arguments stand in its file.

use clap::{Parser, Subcommand};

use crate::advice::Kind;
use crate::commands::{
    admin, bridge, chat, config, history, hub, listen, notify, publish, rooms, send, serve, store, token,
};

mod connect;

pub(crate) use connect::ConnectArgs;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, \
    3 printed without what nodes have that did not answer, 130 interrupted.";

/// A realtime hub: messaging, presence and notifications over one gRPC stream.
#[derive(Debug, Parser)]
#[command(name = "carillon", version, about, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Print data as one JSON object per line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a hub on this machine with nothing else installed.
    Serve(serve::ServeArgs),
    /// Run a hub from a configuration file.
    Hub(hub::HubArgs),
    /// Run the bridge for browsers as a process of its own.
    Bridge(bridge::BridgeArgs),
    /// Make a token.
    Token(token::TokenArgs),
    /// Talk in a room.
    Chat(chat::ChatArgs),
    /// Print what happens in rooms, and one's notifications.
    Listen(listen::ListenArgs),
    /// Send a message, or one for each line of standard input.
    Send(send::SendArgs),
    /// Publish an application's event to a room.
    Publish(publish::PublishArgs),
    /// Notify users, as a service.
    Notify(notify::NotifyArgs),
    /// List the rooms that one is a member of.
    Rooms(rooms::RoomsArgs),
    /// Print a room's stored entries.
    History(history::HistoryArgs),
    /// Administer rooms, members, sessions and users, as a service.
    Admin(admin::AdminArgs),
    /// Check or show a configuration.
    Config(config::ConfigArgs),
    /// Look after the embedded store of a hub that is stopped.
    Store(store::StoreArgs),
    /// Measure a hub: sends, fan-out, idle sessions, connections.
    #[cfg(target_os = "linux")]
    #[command(subcommand)]
    Bench(crate::bench::Command),
    /// Break a hub, if it can be broken: self-checking scenarios, the same again from their seed.
    #[cfg(target_os = "linux")]
    Stress(crate::stress::Options),
}

impl Command {
    /// What advice depends on.
    pub(crate) fn kind(&self) -> Kind {
        let user = match self {
            Self::Rooms(args) => Some(&args.connect),
            Self::History(args) => Some(&args.connect),
            Self::Publish(args) => Some(&args.connect),
            _ => None,
        };
        if user.is_some_and(ConnectArgs::is_service) {
            return Kind::AsService;
        }
        match self {
            Self::Listen(_) | Self::Rooms(_) | Self::History(_) => Kind::Reads,
            Self::Chat(_) | Self::Send(_) | Self::Publish(_) => Kind::Writes,
            Self::Admin(args) if args.reads() => Kind::ServiceReads,
            Self::Admin(_) | Self::Notify(_) => Kind::ServiceWrites,
            _ => Kind::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_lines_parse() {
        for line in [
            "carillon chat conversation:1 --as alice",
            "carillon chat --with bob --as alice",
            "carillon send conversation:1 hello there --json --token t",
            "carillon listen a:1 b:2 --since-file f",
            "carillon notify --user bob Lunch --priority high",
            "carillon admin create-room conversation:1 --member alice --member bob:owner",
            "carillon admin members conversation:1 --token t --tenant dev",
            "carillon serve --dev --grpc 127.0.0.1:0 --http 127.0.0.1:0 --json",
        ] {
            Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string()).unwrap();
        }
        for line in ["carillon chat", "carillon notify Lunch", "carillon rooms --as a --token t"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
