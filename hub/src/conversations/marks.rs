//! Marks: how far the caller has got. A namespace without receipts keeps them too, for the unread counts, but shows
//! them to nobody else.

use crate::domain::error::Refusal;
use crate::domain::position::Seq;
use crate::store::Write;

use super::case::{Case, Decision};

/// Raises the caller's delivered mark, and where `read` the read mark, to `up_to`: 1 up to the head.
pub(super) fn raise(case: &Case<'_>, up_to: Seq, read: bool) -> Result<Decision, Refusal> {
    case.durable()?;
    let reached = case.reached("up_to", up_to)?;
    let marks = Write::Marks { delivered: up_to, read: if read { up_to } else { Seq(0) } };
    Ok(case.commit(vec![reached], vec![marks]))
}
