//! Prometheus' text format (version 0.0.4).

use std::fmt::Write;
use std::time::Duration;

use super::histogram::Histogram;
use super::names::{Family, Kind};

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// A family's head. Its samples follow.
    pub(super) fn family(&mut self, family: Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {} {}", family.name, family.help));
        self.line(format_args!("# TYPE {} {kind}", family.name));
    }

    /// A family of one sample.
    pub(super) fn single(&mut self, family: Family, value: u64) {
        self.family(family);
        self.sample(family, &[], value);
    }

    /// A family of one sample that is a time.
    pub(super) fn single_time(&mut self, family: Family, time: Duration) {
        self.family(family);
        self.time(family, &[], time);
    }

    /// A sample that is a time.
    pub(super) fn time(&mut self, family: Family, labels: &[(&str, &str)], time: Duration) {
        self.line(format_args!("{}{} {}", family.name, labels_text(labels), time.as_secs_f64()));
    }

    /// A sample. Label values hold neither quotes, backslashes nor line ends: they are names of ours or tenants.
    pub(super) fn sample(&mut self, family: Family, labels: &[(&str, &str)], value: u64) {
        self.line(format_args!("{}{} {value}", family.name, labels_text(labels)));
    }

    /// A histogram's samples.
    pub(super) fn histogram(&mut self, family: Family, labels: &[(&str, &str)], histogram: &Histogram) {
        let name = family.name;
        let mut count = 0;
        for (bound, up_to) in histogram.cumulative() {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            let labels = labels_text(&[labels, &[("le", &bound)]].concat());
            self.line(format_args!("{name}_bucket{labels} {up_to}"));
            count = up_to;
        }
        let labels = labels_text(labels);
        self.line(format_args!("{name}_sum{labels} {}", histogram.seconds()));
        self.line(format_args!("{name}_count{labels} {count}"));
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{text}");
    }
}

fn labels_text(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{{{}}}", pairs.join(","))
}
