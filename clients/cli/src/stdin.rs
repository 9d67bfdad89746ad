//! Standard input, line by line, without stopping the runtime.

use std::io::{self, BufRead};

use tokio::sync::mpsc;

/// Lines that may wait to be used.
const LINES: usize = 256;

/// The lines of standard input, without their ends. The channel closes at its end, or after an error.
///
/// A thread reads them: it ends with the input or with the process, for a blocked read cannot be cancelled.
pub(crate) fn lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    lines
}
