//! The benchmarks against a real gRPC server and the real bridge: they must agree with them, and see every fault.

mod hub;
mod port;

use clap::Parser;

use super::report::Report;
use super::target::TargetError;
use super::{BenchError, Command, connect, fanout, idle, send};
use hub::Fault;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn run(fault: Fault, token: &str, arguments: &str) -> Result<Report, BenchError> {
    let to = if arguments.contains("--transport ws") {
        format!("--bridge {}", port::start(fault))
    } else {
        format!("--addr {}", hub::start(fault))
    };
    let line = format!("carillon {arguments} {to} --token {token}");
    match Line::parse_from(line.split_whitespace()).command {
        Command::Send(options) => send::run(&options),
        Command::Fanout(options) => fanout::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Connect(options) => connect::run(&options),
        other => unreachable!("{other:?} needs no hub"),
    }
}

const FANOUT: &str = "fanout --receivers 12 --seconds 0.2";
const TRANSPORTS: [&str; 3] = ["--transport grpc", "--transport ws", "--transport ws-json"];

#[test]
fn fanout_counts_every_delivery() {
    for arguments in [
        "--rate 200",
        "--burst 8 --per-connection 5",
        "--rooms 3",
        "--rooms 5 --burst 20 --per-connection 100 --size 1000 --rounds 2",
        "--transport ws --rate 200",
        "--transport ws --rooms 5 --burst 20 --size 1000",
        "--transport ws-json --burst 8",
        "--transport ws-json --rooms 3 --size 10000",
    ] {
        let report = run(Fault::None, "good", &format!("{FANOUT} {arguments}")).unwrap();
        assert!(report.is_clean(), "{arguments}: {report:?}");
        let figures = &report.figures;
        assert_eq!(figures.delivered, figures.expected, "{arguments}");
        assert!(figures.delivered > Some(50), "{arguments}: {figures:?}");
        assert!(figures.p99_ms.is_some() && figures.acked_per_s.is_some());
    }
}

#[test]
fn fanout_names_each_fault() {
    TRANSPORTS.into_iter().for_each(names_each_fault);
}

fn names_each_fault(transport: &str) {
    let faulty = |fault| run(fault, "good", &format!("{FANOUT} {transport} --burst 8 --drain 0.5")).unwrap();
    let lost = faulty(Fault::Loses);
    assert_eq!(
        (lost.figures.lost, lost.figures.duplicated, lost.figures.out_of_order),
        (Some(1), Some(0), Some(0))
    );
    let repeated = faulty(Fault::Repeats);
    assert_eq!((repeated.figures.lost, repeated.figures.duplicated), (Some(0), Some(1)));
    let swapped = faulty(Fault::Swaps);
    assert_eq!((swapped.figures.lost, swapped.figures.out_of_order), (Some(0), Some(1)));
    let corrupted = faulty(Fault::Corrupts);
    assert_eq!((corrupted.faults, corrupted.figures.lost), (12, Some(12)));
    assert!([lost, repeated, swapped, corrupted].iter().all(|report| !report.is_clean()));
}

#[test]
fn send_reads_back_all_that_was_acknowledged() {
    for transport in TRANSPORTS {
        let arguments = format!("send --in-flight 32 --rooms 20 --seconds 0.2 --preload 500 {transport}");
        let report = run(Fault::None, "good", &arguments).unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.figures.delivered, report.figures.expected);
        assert!(report.figures.expected > Some(100));
    }
}

#[test]
fn send_sees_what_was_acknowledged_and_is_not_there() {
    for transport in TRANSPORTS {
        let arguments = format!("send --in-flight 4 --rooms 2 --seconds 0.1 {transport}");
        let report = run(Fault::Forgets, "good", &arguments).unwrap();
        assert_eq!((report.figures.lost, report.faults), (Some(2), 0));
        assert!(!report.is_clean());
        let report = run(Fault::Corrupts, "good", &arguments).unwrap();
        assert_eq!((report.figures.lost, report.faults), (Some(2), 2));
    }
}

#[test]
fn sessions_are_held_and_pings_answered() {
    let report = run(Fault::None, "good", "idle --sessions 30 --per-connection 7 --settle 0.1 --seconds 0.1");
    assert!(report.unwrap().is_clean());
    for transport in TRANSPORTS {
        let arguments = format!("idle --sessions 30 --settle 0.1 --seconds 0.1 {transport}");
        assert!(run(Fault::None, "good", &arguments).unwrap().is_clean());
    }
}

#[test]
fn sessions_come_and_go() {
    for transport in TRANSPORTS {
        let arguments = format!("connect --in-flight 4 --seconds 0.2 {transport}");
        let report = run(Fault::None, "good", &arguments).unwrap();
        assert!(report.is_clean() && report.figures.sessions_per_s > Some(10.0), "{report:?}");
    }
}

#[test]
fn refused_token_is_an_error_that_says_so() {
    for transport in TRANSPORTS {
        let refused = run(Fault::None, "bad", &format!("{FANOUT} {transport}")).unwrap_err();
        assert!(refused.to_string().contains("INVALID_TOKEN"), "{refused}");
        let arguments = format!("connect --in-flight 4 --seconds 0.1 {transport}");
        let report = run(Fault::None, "bad", &arguments).unwrap();
        assert!(report.figures.failed > Some(0) && !report.is_clean());
    }
}

#[test]
fn a_web_socket_carries_one_session() {
    let refused = run(Fault::None, "good", &format!("{FANOUT} --transport ws --per-connection 2"));
    assert!(matches!(refused, Err(BenchError::Target(TargetError::Shared))));
}
