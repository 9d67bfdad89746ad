//! What a process has used: processor time and memory, from `/proc`.

use std::fs;
use std::time::Duration;

/// `/proc` did not say what a process used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read /proc/PID/{0} of the measured process; has it ended?")]
pub(crate) struct UsageError(&'static str);

/// A running process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// A pid, or `self`.
    name: String,
}

impl Process {
    /// The process with this id.
    pub(crate) fn new(id: u32) -> Self {
        Self { name: id.to_string() }
    }

    /// This one.
    pub(crate) fn this() -> Self {
        Self { name: "self".to_owned() }
    }

    /// Processor time of all its threads, in user mode and in the kernel; in steps of a clock tick (10 ms).
    pub(crate) fn cpu(&self) -> Result<Duration, UsageError> {
        let stat = self.read("stat")?;
        let ticks = parse_ticks(&stat).ok_or(UsageError("stat"))?;
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Memory that is resident, bytes.
    pub(crate) fn resident(&self) -> Result<u64, UsageError> {
        let status = self.read("status")?;
        parse_resident(&status).ok_or(UsageError("status"))
    }

    fn read(&self, file: &'static str) -> Result<String, UsageError> {
        fs::read_to_string(format!("/proc/{}/{file}", self.name)).map_err(|_| UsageError(file))
    }
}

/// The sum of fields 14 and 15 (utime, stime). The second field is the name in brackets, which may hold anything.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 100 1000 10";
        assert_eq!(parse_ticks(stat), Some(42));
    }

    #[test]
    fn this_process_has_memory_and_time() {
        assert!(Process::this().resident().unwrap() > 100_000);
        Process::this().cpu().unwrap();
    }
}
