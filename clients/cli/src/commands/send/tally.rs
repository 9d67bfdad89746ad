//! What became of each line: stored, refused, or not known.

use carillon_client::{Code, CommandError, v1};

use super::flow::Line;
use crate::advice::describe;

/// Line numbers of each kind that are named; more are counted.
const NAMED: usize = 20;

/// The account of one run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    acknowledged: u64,
    /// Lines that the hub did not store.
    refused: Vec<u64>,
    /// Lines that it may have stored.
    unknown: Vec<u64>,
    /// Lines that have overtaken others.
    early: Vec<u64>,
    first: Option<anyhow::Error>,
}

impl Tally {
    /// Counts an outcome.
    pub(super) fn count(&mut self, line: &Line, outcome: Result<v1::MessageSent, CommandError>) {
        let Err(error) = outcome else {
            self.acknowledged += 1;
            return;
        };
        let refused = was_not_stored(&error) && !line.in_doubt;
        if refused { &mut self.refused } else { &mut self.unknown }.push(line.number);
        self.fail(anyhow::Error::new(error).context(format!("line {} was not acknowledged", line.number)));
    }

    /// This line is stored before one that was read before it.
    pub(super) fn overtook(&mut self, line: u64) {
        self.early.push(line);
    }

    /// Tells what nobody can put right any more.
    pub(super) fn warn(&self) {
        if !self.early.is_empty() {
            eprintln!("warning: stored before a line that the hub put off: {}", numbers(&self.early));
        }
    }

    /// No more is to be sent, for this reason; the first counts.
    pub(super) fn fail(&mut self, error: anyhow::Error) {
        self.first.get_or_insert(error);
    }

    /// Whether nothing has failed.
    pub(super) fn is_good(&self) -> bool {
        self.first.is_none()
    }

    /// The end, when `taken` lines were read: an error with the whole account where anything failed.
    pub(super) fn outcome(mut self, taken: u64) -> anyhow::Result<()> {
        let Some(first) = self.first else { return Ok(()) };
        // What was put off is counted after what has overtaken it.
        self.refused.sort_unstable();
        self.unknown.sort_unstable();
        let mut parts = vec![format!("{} acknowledged", self.acknowledged)];
        for (what, lines) in [("refused", &self.refused), ("unknown whether stored", &self.unknown)] {
            if !lines.is_empty() {
                parts.push(format!("{what}: {}", numbers(lines)));
            }
        }
        let account = format!("{}; nothing after line {taken} was sent", parts.join("; "));
        // The cause stays in the chain: what to do about it follows from it.
        let text = format!("{}\n{account}", describe(&first));
        Err(first.context(text))
    }
}

/// Whether the hub said no. Where its time ran out, its store did not answer, or it failed itself, the message may be there.
fn was_not_stored(error: &CommandError) -> bool {
    let CommandError::Refused(refusal) = error else { return false };
    !matches!(refusal.code, Code::DeadlineExceeded | Code::Unavailable | Code::Internal | Code::Other(_))
}

fn numbers(lines: &[u64]) -> String {
    let mut named: Vec<_> = lines.iter().take(NAMED).map(|line| format!("line {line}")).collect();
    if lines.len() > NAMED {
        named.push(format!("and {} more", lines.len() - NAMED));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_client::Refusal;
    use std::time::Duration;

    fn line(number: u64) -> Line {
        Line { number, text: String::new(), key: Vec::new(), in_doubt: false }
    }

    fn refused(code: Code) -> Result<v1::MessageSent, CommandError> {
        Err(CommandError::Refused(Refusal {
            code,
            message: "no".to_owned(),
            request_id: String::new(),
            retryable: false,
            retry_after: None,
            violations: Vec::new(),
        }))
    }

    #[test]
    fn lines_are_told_apart_by_what_became_of_them() {
        let mut tally = Tally::default();
        tally.count(&line(1), Ok(v1::MessageSent::default()));
        assert!(tally.is_good());
        tally.count(&line(4), refused(Code::InvalidArgument));
        tally.count(&line(2), refused(Code::RateLimited));
        tally.count(&line(3), refused(Code::DeadlineExceeded));
        tally.count(&line(5), Err(CommandError::TimedOut(Duration::from_secs(30))));
        tally.count(&line(6), refused(Code::Unavailable));
        tally.count(&Line { in_doubt: true, ..line(7) }, refused(Code::RateLimited));
        tally.count(&line(8), Ok(v1::MessageSent::default()));
        assert!(!tally.is_good());
        let error = tally.outcome(8).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 4 was not acknowledged: INVALID_ARGUMENT: no\n\
             2 acknowledged; refused: line 2, line 4; \
             unknown whether stored: line 3, line 5, line 6, line 7; nothing after line 8 was sent"
        );
        assert!(error.chain().any(|cause| cause.downcast_ref::<CommandError>().is_some()));
    }

    #[test]
    fn all_is_well_where_nothing_failed() {
        let mut tally = Tally::default();
        tally.count(&line(1), Ok(v1::MessageSent::default()));
        assert!(tally.outcome(1).is_ok());
    }
}
