//! What the transport counts of who opens a session, until it is known who they are.

use crate::domain::error::{ErrorCode, Refusal};

use super::driver::Session;

/// One attempt to open a session. Dropping it is a failure: whoever it was left without saying who they are.
pub trait Attempt: Send {
    /// Others are to be asked about what was shown. `TOO_MANY_CONNECTIONS` where too many attempts failed there, whatever
    /// else is good beside this one.
    fn asks_others(&mut self) -> Result<(), Refusal>;

    /// What was shown is refused. Gives what whoever showed it is told: that, or that too many failed.
    fn is_refused(&mut self, refusal: Refusal) -> Refusal;

    /// It is known whose it is.
    fn succeeded(self: Box<Self>);

    /// It has ended without that, for this reason; `None` where the client left.
    fn ended(self: Box<Self>, reason: Option<ErrorCode>);
}

impl Session {
    /// The same, whose opening is counted as this attempt.
    #[must_use]
    pub fn as_attempt(mut self, attempt: Box<dyn Attempt>) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Counts one for which others are to be asked.
    pub(super) fn may_ask_others(&mut self) -> Result<(), Refusal> {
        self.attempt.as_mut().map_or(Ok(()), |attempt| attempt.asks_others())
    }

    /// What whoever was refused is told.
    pub(super) fn told_as_refused(&mut self, refusal: Refusal) -> Refusal {
        match &mut self.attempt {
            Some(attempt) => attempt.is_refused(refusal),
            None => refusal,
        }
    }
}
