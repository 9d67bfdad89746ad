//! What a benchmark found: a table for people, one JSON object for programs.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};

use super::ledger::Tally;

/// The load generator's share of a processor above which it may have been what limited the figures.
pub(super) const CLIENT_CPU_LIMIT: f64 = 0.9;

/// The figures. One that a benchmark does not measure is null.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Figures {
    /// Durable sends acknowledged per second.
    pub(super) acked_per_s: Option<f64>,
    /// Deliveries per second.
    pub(super) deliveries_per_s: Option<f64>,
    /// Sessions opened per second.
    pub(super) sessions_per_s: Option<f64>,
    /// Median latency, milliseconds.
    pub(super) p50_ms: Option<f64>,
    /// 95 of 100 are faster.
    pub(super) p95_ms: Option<f64>,
    /// 99 of 100 are faster.
    pub(super) p99_ms: Option<f64>,
    /// The slowest.
    pub(super) max_ms: Option<f64>,
    /// What should have arrived, over the whole run.
    pub(super) expected: Option<u64>,
    /// What arrived, each counted once.
    pub(super) delivered: Option<u64>,
    /// What never arrived.
    pub(super) lost: Option<u64>,
    /// What arrived again.
    pub(super) duplicated: Option<u64>,
    /// What arrived after a later one.
    pub(super) out_of_order: Option<u64>,
    /// Sessions that could not be opened.
    pub(super) failed: Option<u64>,
    /// Server CPU of a delivery, microseconds.
    pub(super) server_cpu_us_per_delivery: Option<f64>,
    /// Deliveries per second of server CPU.
    pub(super) deliveries_per_server_cpu_s: Option<f64>,
    /// Server CPU of an acknowledged send, microseconds.
    pub(super) server_cpu_us_per_send: Option<f64>,
    /// Server CPU of a session's opening and closing, microseconds.
    pub(super) server_cpu_us_per_session: Option<f64>,
    /// Pages of a room's newest entries read per second, beside the sends.
    pub(super) reads_per_s: Option<f64>,
    /// 99 of 100 such pages took less, milliseconds.
    pub(super) read_p99_ms: Option<f64>,
    /// How long the store took to open after a kill, seconds.
    pub(super) reopen_after_kill_s: Option<f64>,
    /// Server CPU, as a share of one processor.
    pub(super) server_cpu: Option<f64>,
    /// Resident memory that a session adds, bytes.
    pub(super) rss_bytes_per_session: Option<f64>,
    /// Server CPU per delivery over the bare peer's.
    pub(super) ratio_to_peer: Option<f64>,
    /// The load generator's CPU, as a share of one processor.
    pub(super) client_cpu: Option<f64>,
    /// True where the load generator may have limited the figures: they are lower bounds.
    pub(super) client_limited: bool,
}

impl Figures {
    /// Fills in the latencies.
    pub(super) fn latency(&mut self, latency: &Latency) {
        if !latency.0.is_empty() {
            self.p50_ms = Some(latency.quantile_ms(0.50));
            self.p95_ms = Some(latency.quantile_ms(0.95));
            self.p99_ms = Some(latency.quantile_ms(0.99));
            self.max_ms = Some(latency.0.max() as f64 / 1_000.0);
        }
    }

    /// Fills in what was counted.
    pub(super) fn tally(&mut self, tally: Tally, expected: u64) {
        self.expected = Some(expected);
        self.delivered = Some(tally.delivered);
        self.lost = Some(tally.lost);
        self.duplicated = Some(tally.duplicated);
        self.out_of_order = Some(tally.out_of_order);
    }

    /// Fills in the load generator's own share: `used` of a processor in `wall` time.
    pub(super) fn client(&mut self, used: Duration, wall: Duration) {
        let share = used.as_secs_f64() / wall.as_secs_f64().max(f64::EPSILON);
        self.client_cpu = Some(share);
        self.client_limited |= share > CLIENT_CPU_LIMIT;
    }
}

/// Latencies, to three digits.
#[derive(Clone, Debug)]
pub(super) struct Latency(Histogram<u64>);

impl Latency {
    /// Longest latency told apart from longer ones, microseconds.
    const LONGEST: u64 = 600_000_000;

    /// None yet.
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, Self::LONGEST, 3).expect("these bounds are valid"))
    }

    /// Counts one.
    pub(super) fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds / 1_000);
    }

    /// How many were counted.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// 99 of 100 are faster, milliseconds; nothing where none was counted.
    pub(super) fn p99_ms(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.quantile_ms(0.99))
    }

    /// Counts those of another.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// So large a share is faster, milliseconds.
    pub(super) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// A benchmark's result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Which benchmark.
    pub(super) bench: &'static str,
    /// What it was run with.
    pub(super) parameters: Map<String, Value>,
    /// What it found.
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// The bare peer's figures in the same run.
    pub(super) peer: Option<Figures>,
    /// The figures of each round.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rounds: Vec<Value>,
    /// What a reader must know.
    pub(super) notes: Vec<String>,
    /// Faults that the counts do not show, as a payload that was changed. Zero, or the benchmark fails.
    pub(super) faults: u64,
}

impl Report {
    /// Without notes yet.
    pub(super) fn new(
        bench: &'static str,
        parameters: impl IntoIterator<Item = (&'static str, Value)>,
        figures: Figures,
    ) -> Self {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { bench, parameters, figures, peer: None, rounds: Vec::new(), notes: Vec::new(), faults: 0 }
    }

    /// True when nothing was lost, duplicated, out of order or wrong otherwise.
    pub(super) fn is_clean(&self) -> bool {
        let Figures { lost, duplicated, out_of_order, failed, .. } = self.figures;
        let counts = [lost, duplicated, out_of_order, failed, Some(self.faults)];
        counts.into_iter().flatten().all(|count| count == 0)
    }

    /// Writes to standard output.
    pub(super) fn print(mut self, json: bool) -> io::Result<()> {
        if self.figures.client_limited {
            let note = "the load generator was a bottleneck: these figures are lower bounds";
            self.notes.push(note.to_owned());
        }
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, &self)?;
            return writeln!(out);
        }
        writeln!(out, "{}", self.bench)?;
        for (name, value) in &self.parameters {
            if !value.is_null() {
                writeln!(out, "  {name:<28} {}", show(value))?;
            }
        }
        writeln!(out)?;
        print_figures(&mut out, &self.figures)?;
        if let Some(peer) = &self.peer {
            writeln!(out, "\nbare peer, same run")?;
            print_figures(&mut out, peer)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "\nnote: {note}"))
    }
}

fn print_figures(out: &mut impl Write, figures: &Figures) -> io::Result<()> {
    let Ok(Value::Object(figures)) = serde_json::to_value(figures) else { return Ok(()) };
    for (name, value) in figures.iter().filter(|(_, value)| !value.is_null()) {
        writeln!(out, "  {name:<28} {:>16}", show(value))?;
    }
    Ok(())
}

/// Numbers with as many digits as say something, and thousands apart.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() => group(&number.to_string()),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let digits = if number >= 100.0 { 0 } else { 3 };
            group(&format!("{number:.digits$}"))
        }
        other => other.to_string(),
    }
}

fn group(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// A progress bar on standard error; none where that is no terminal.
pub(super) fn progress(length: u64, title: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<24} {wide_bar} {human_pos}/{human_len} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_thousands_apart() {
        for (value, shown) in
            [(Value::from(1_234_567), "1,234,567"), (12.3456.into(), "12.346"), (98765.4.into(), "98,765")]
        {
            assert_eq!(show(&value), shown);
        }
    }

    #[test]
    fn report_is_one_flat_object_and_any_loss_shows() {
        let mut figures = Figures::default();
        figures.tally(Tally { delivered: 3, ..Tally::default() }, 3);
        let mut report = Report::new("fanout", [("receivers", 3.into())], figures);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["expected"], 3);
        assert_eq!(json["acked_per_s"], Value::Null);
        assert!(report.is_clean());
        report.figures.lost = Some(1);
        assert!(!report.is_clean());
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut latency = Latency::new();
        (1..=1_000).for_each(|millisecond| latency.record(millisecond * 1_000_000));
        let mut figures = Figures::default();
        figures.latency(&latency);
        for (found, expected) in [(figures.p50_ms, 500.0), (figures.p99_ms, 990.0), (figures.max_ms, 1_000.0)]
        {
            assert!((found.unwrap() - expected).abs() < expected / 100.0, "{found:?}");
        }
    }
}
