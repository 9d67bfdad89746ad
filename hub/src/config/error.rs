//! Why settings cannot be used.

use std::fmt;
use std::path::PathBuf;

/// Why settings cannot be used. The text names where, which key, and what is allowed; it never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read or made.
    #[error("{path}: {action}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// What failed, as `cannot be read`.
        action: &'static str,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}: line {line}: not valid TOML: {problem}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// Why, from the parser.
        problem: String,
    },
    /// A key is unknown, missing, of the wrong type or out of its bounds.
    #[error("{origin}: {key}: {problem}")]
    Key {
        /// Where its value comes from.
        origin: Origin,
        /// The key, as `grpc.listen`.
        key: String,
        /// What is allowed.
        problem: String,
    },
    /// The settings could not be written as TOML.
    #[error("the settings cannot be shown: {0}")]
    Show(String),
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// Neither: a default, or set by the program.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Program => f.write_str("settings"),
        }
    }
}
