//! The benchmarks against a real gRPC server: they must agree with it, and see every fault.

mod hub;

use clap::Parser;

use super::report::Report;
use super::{BenchError, Command, connect, fanout, idle, send};
use hub::Fault;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn run(fault: Fault, token: &str, arguments: &str) -> Result<Report, BenchError> {
    let address = hub::start(fault).to_string();
    let line = format!("carillon {arguments} --addr {address} --token {token}");
    match Line::parse_from(line.split_whitespace()).command {
        Command::Send(options) => send::run(&options),
        Command::Fanout(options) => fanout::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Connect(options) => connect::run(&options),
        other => unreachable!("{other:?} needs no hub"),
    }
}

const FANOUT: &str = "fanout --receivers 12 --seconds 0.2";

#[test]
fn fanout_counts_every_delivery() {
    for arguments in [
        "--rate 200",
        "--burst 8 --per-connection 5",
        "--rooms 3",
        "--rooms 5 --burst 20 --per-connection 100 --size 1000 --rounds 2",
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
    let faulty = |fault| run(fault, "good", &format!("{FANOUT} --burst 8 --drain 0.5")).unwrap();
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
    let arguments = "send --in-flight 32 --rooms 20 --seconds 0.2 --preload 500";
    let report = run(Fault::None, "good", arguments).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.figures.delivered, report.figures.expected);
    assert!(report.figures.expected > Some(100));
}

#[test]
fn send_sees_what_was_acknowledged_and_is_not_there() {
    let report = run(Fault::Forgets, "good", "send --in-flight 4 --rooms 2 --seconds 0.1").unwrap();
    assert_eq!((report.figures.lost, report.faults), (Some(2), 0));
    assert!(!report.is_clean());
    let report = run(Fault::Corrupts, "good", "send --in-flight 4 --rooms 2 --seconds 0.1").unwrap();
    assert_eq!((report.figures.lost, report.faults), (Some(2), 2));
}

#[test]
fn sessions_are_held_and_pings_answered() {
    let report = run(Fault::None, "good", "idle --sessions 30 --per-connection 7 --settle 0.1 --seconds 0.1");
    assert!(report.unwrap().is_clean());
}

#[test]
fn sessions_come_and_go() {
    let report = run(Fault::None, "good", "connect --in-flight 4 --seconds 0.2").unwrap();
    assert!(report.is_clean() && report.figures.sessions_per_s > Some(10.0), "{report:?}");
}

#[test]
fn refused_token_is_an_error_that_says_so() {
    let refused = run(Fault::None, "bad", FANOUT).unwrap_err();
    assert!(refused.to_string().contains("INVALID_TOKEN"), "{refused}");
    let report = run(Fault::None, "bad", "connect --in-flight 4 --seconds 0.1").unwrap();
    assert!(report.figures.failed > Some(0) && !report.is_clean());
}
