//! `bench` and `stress`, just long enough to see what they say.

use std::process::Command;

use carillon_tests::command::{binary, carillon};
use serde_json::json;

/// What programs that read a report look for.
const FIGURES: [&str; 15] = [
    "acked_per_s",
    "deliveries_per_s",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "expected",
    "delivered",
    "lost",
    "duplicated",
    "out_of_order",
    "server_cpu_us_per_delivery",
    "deliveries_per_server_cpu_s",
    "server_cpu_us_per_send",
    "rss_bytes_per_session",
];

#[test]
fn a_benchmark_reports_its_figures_under_their_names() {
    let bench =
        ["bench", "send", "--self", "--json", "--seconds", "0.5", "--in-flight", "16", "--rooms", "4"];
    let report = carillon(bench).run().good().object();
    for name in FIGURES {
        assert!(report.get(name).is_some(), "no {name}: {report}");
    }
    assert!(report["acked_per_s"].as_f64().unwrap() > 0.0 && report["p99_ms"].as_f64().unwrap() > 0.0);
    assert!(report["expected"].as_u64().unwrap() > 0);
    assert_eq!(report["delivered"], report["expected"]);
    assert_eq!([&report["lost"], &report["duplicated"], &report["out_of_order"]], [&json!(0); 3]);
}

/// What moves a terminal's cursor.
const CONTROLS: [char; 2] = ['\r', '\u{1b}'];

#[test]
fn a_bar_is_drawn_at_a_terminal_and_nowhere_else() {
    let bench = ["bench", "send", "--self", "--seconds", "0.5", "--in-flight", "16", "--preload", "2000"];
    let ran = carillon(bench).run().good();
    assert!(!ran.err.contains(CONTROLS) && !ran.out.contains(CONTROLS), "{ran:?}");
    // Gives the command a terminal of its own, and copies what is shown there.
    let line = [binary().to_str().unwrap(), &bench.join(" ")].join(" ");
    let shown = Command::new("script").args(["-qec", &line, "/dev/null"]).output().expect("bsdutils");
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("/2,000 ") && shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn reading_an_inbox_is_measured_where_little_and_where_much_is_unread() {
    let bench = ["bench", "inbox", "--json", "--unread", "10,1500", "--users", "2", "--expire"];
    let report = carillon(bench).run().good().object();
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.iter().map(|round| &round["unread"]).collect::<Vec<_>>(), [&json!(10), &json!(1_500)]);
    for (round, step) in
        rounds.iter().flat_map(|round| ["half_ms", "one_ms", "all_ms"].map(|step| (round, step)))
    {
        assert!(round[step].as_f64().unwrap() > 0.0, "{round}");
    }
}

#[test]
fn every_event_that_listeners_get_is_counted() {
    let bench =
        ["bench", "fanout", "--self", "--json", "--transport", "sse", "--receivers", "20", "--rooms", "2"];
    let report = carillon(bench).arg("--seconds").arg("0.5").arg("--burst").arg("4").run().good().object();
    assert_eq!(report["parameters"]["transport"], "sse");
    assert_eq!(report["delivered"], report["expected"]);
    assert!(report["delivered"].as_u64().unwrap() > 40, "{report}");
    assert_eq!([&report["lost"], &report["duplicated"], &report["out_of_order"]], [&json!(0); 3]);
    let one_way = carillon(["bench", "send", "--self", "--transport", "sse"]).run();
    assert!(one_way.code == Some(1) && one_way.err.contains("sessions only listen there"), "{one_way:?}");
}

#[test]
fn scenarios_run_over_the_bridge_and_those_about_grpc_are_left_out_by_name() {
    let stress =
        ["stress", "--self", "--json", "--transport", "ws", "--only", "mid_join,malformed", "--seed", "7"];
    let report = carillon(stress).run().good().object();
    assert_eq!(report["passed"], true);
    let played: Vec<_> =
        report["scenarios"].as_array().unwrap().iter().map(|verdict| &verdict["scenario"]).collect();
    assert_eq!(played, [&json!("mid_join")]);
    assert!(report["scenarios"][0]["counts"]["streams"].as_u64().unwrap() > 0);
    assert_eq!(report["skipped"][0]["scenario"], "malformed");
    assert_eq!(report["memory"], json!(null), "one round says nothing of growth");
}

#[test]
fn an_address_that_is_none_is_told_with_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let why = "ws://127.0.0.1:7422: expected HOST:PORT of a hub's gRPC port (--addr) or of its port for browsers (--bridge)";
    for option in ["--addr", "--bridge"] {
        let stress = ["stress", "--transport", "ws", option, "ws://127.0.0.1:7422", "--secret-file"];
        carillon(stress).arg(&secret).run().fails(why);
    }
}
