//! From windows of time to the figures of a fan-out.

use std::time::Duration;

use serde_json::{Value, json};

use super::books::Books;
use super::lane::Window;
use super::{Options, Pace};
use crate::bench::report::{Figures, Latency, Report};
use crate::bench::target::Target;

/// The load generator was late for more than one message in this many: it did not keep its schedule.
const LATE_SHARE: u64 = 100;

pub(super) fn report(
    options: &Options,
    target: &Target,
    hub: (&Books, &[Window]),
    bare: Option<(&Books, &[Window])>,
) -> Report {
    let mut figures = summarise(hub.0, hub.1);
    let costs = |windows: &[Window]| windows.iter().map(cost).collect::<Vec<_>>();
    let hub_costs = costs(hub.1);
    let bare_costs = bare.map_or(Vec::new(), |(_, windows)| costs(windows));
    let ratios = hub_costs.iter().zip(&bare_costs).map(|(hub, bare)| Some((*hub)? / (*bare)?));
    figures.ratio_to_peer = median(ratios.flatten().collect());
    let mut report = Report::new("fanout", parameters(options, target), figures);
    report.faults = hub.0.faults;
    report.peer = bare.map(|(books, windows)| summarise(books, windows));
    if let Some(peer) = &report.peer
        && peer.client_limited
    {
        report.notes.push("the load generator was a bottleneck for the bare peer".to_owned());
    }
    report.rounds = hub_costs
        .iter()
        .enumerate()
        .map(|(round, hub)| {
            json!({
                "server_cpu_us_per_delivery": hub,
                "peer_cpu_us_per_delivery": bare_costs.get(round).copied().flatten(),
            })
        })
        .collect();
    if hub.0.faults > 0 {
        report.notes.push(format!("{} deliveries were not what was sent", hub.0.faults));
    }
    if hub.0.reordered() > 0 {
        let count = hub.0.reordered();
        report.notes.push(format!("{count} messages got a lower seq than one that was sent before them"));
    }
    report
}

fn parameters(options: &Options, target: &Target) -> Vec<(&'static str, Value)> {
    let pace = match options.pace() {
        Pace::Rate(rate) => format!("{rate} messages/s"),
        Pace::Burst(burst) => format!("bursts of {burst}"),
        Pace::Flood(_) => format!("as fast as it goes, {} messages under way", super::FLOOD_MESSAGES),
    };
    let mut parameters = vec![
        ("receivers", options.receivers.into()),
        ("rooms", options.rooms.into()),
        ("per_connection", options.per_connection.into()),
        ("pace", pace.into()),
        ("kind", format!("{:?}", options.kind).to_lowercase().into()),
        ("size", options.size.into()),
        ("seconds", options.seconds.into()),
        ("rounds", options.rounds.into()),
    ];
    parameters.extend(target.describe());
    parameters
}

fn summarise(books: &Books, windows: &[Window]) -> Figures {
    let mut figures = Figures::default();
    figures.tally(books.tally(), books.expected());
    let deliveries: u64 = windows.iter().map(|window| window.deliveries).sum();
    let messages: u64 = windows.iter().map(|window| window.messages).sum();
    let late: u64 = windows.iter().map(|window| window.late).sum();
    let wall: Duration = windows.iter().map(|window| window.wall).sum();
    let server: Option<Duration> = windows.iter().map(|window| window.server_cpu).sum();
    figures.deliveries_per_s = Some(deliveries as f64 / wall.as_secs_f64());
    if books.acked > 0 {
        figures.acked_per_s = Some(messages as f64 / wall.as_secs_f64());
    }
    figures.server_cpu = server.map(|server| server.as_secs_f64() / wall.as_secs_f64());
    figures.server_cpu_us_per_delivery = median(windows.iter().filter_map(cost).collect());
    figures.deliveries_per_server_cpu_s = figures.server_cpu_us_per_delivery.map(|cost| 1e6 / cost);
    figures.client(windows.iter().map(|window| window.client_cpu).sum(), wall);
    figures.client_limited |= late * LATE_SHARE > messages;
    let mut latency = Latency::new();
    for window in windows {
        latency.add(&window.latency);
    }
    figures.latency(&latency);
    figures
}

/// Server CPU of one delivery, microseconds.
fn cost(window: &Window) -> Option<f64> {
    let server = window.server_cpu?.as_secs_f64();
    (window.deliveries > 0 && server > 0.0).then(|| server * 1e6 / window.deliveries as f64)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
