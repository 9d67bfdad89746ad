//! Tokens for the sessions of a benchmark.

use std::path::Path;

use super::target::TargetError;

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Given ones, taken in turn.
    Fixed(Vec<String>),
}

impl Credentials {
    /// These tokens, taken in turn.
    pub(super) fn fixed(tokens: Vec<String>) -> Self {
        Self::Fixed(tokens)
    }

    /// A user of its own for each session, under the secret in this file.
    pub(super) fn from_secret(file: &Path, _tenant: &str) -> Result<Self, TargetError> {
        Err(TargetError::Secret { file: file.to_owned(), reason: String::new() })
    }

    /// True when no session could be opened.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Fixed(tokens) if tokens.is_empty())
    }

    /// The token of session `index`.
    pub(super) fn token(&self, index: usize) -> String {
        match self {
            Self::Fixed(tokens) => tokens[index % tokens.len()].clone(),
        }
    }
}
