//! The file and the variables that settings come from.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::{Kind, OneOf};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::check::Broken;
use super::error::{ConfigError, Origin};

/// What the names of variables begin with.
const PREFIX: &str = "CARILLON__";

/// Keys whose values are text whatever they look like: a secret of digits is not a number.
const TEXTS: [&str; 25] = [
    "auth.secret",
    "auth.secret_file",
    "auth.public_key_file",
    "auth.jwks_url",
    "auth.jwks_ca_file",
    "auth.issuer",
    "grpc.bridge_key",
    "grpc.bridge_key_file",
    "grpc.tls.certificate",
    "grpc.tls.key",
    "grpc.tls.client_ca",
    "bridge.tls.certificate",
    "bridge.tls.key",
    "authorizer.url",
    "authorizer.ca",
    "authorizer.token",
    "audit.folder",
    "audit.key",
    "audit.key_file",
    "redis.user",
    "redis.password",
    "redis.ca",
    "store.path",
    "traces.url",
    "traces.ca_file",
];

/// Keys whose values are never quoted, besides the secrets of `auth`.
const SECRETS: [&str; 4] = ["grpc.bridge_key", "authorizer.token", "audit.key", "redis.password"];

/// A file and variables over it, kept apart so that an error can tell which of them a value came from.
pub(super) struct Sources {
    path: PathBuf,
    file: Figment,
    variables: Figment,
}

impl Sources {
    /// Reads the file, and those of the variables whose names begin with [`PREFIX`].
    pub(super) fn read(
        path: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::File {
            path: path.to_owned(),
            action: "cannot be read",
            cause,
        })?;
        let file: Dict = Toml::from_str(&text).map_err(|error| {
            // The parser's own text quotes the line, which may hold a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            ConfigError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                problem: error.message().to_owned(),
            }
        })?;
        let file = Figment::from(figment::providers::Serialized::defaults(file));
        let mut ours: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        if let Some((name, _)) = ours.iter().find(|(name, _)| key_of(name).split('.').any(str::is_empty)) {
            let origin = Origin::Variable(name.clone());
            return Err(Broken::new(key_of(name), "no such key").at(origin));
        }
        // In one order, so that the same environment always gives the same settings.
        ours.sort();
        let variables = ours.into_iter().fold(Figment::new(), |figment, (name, value)| {
            let key = key_of(&name);
            let value = if TEXTS.contains(&key.as_str()) { Value::from(value) } else { parse(&value) };
            figment.merge((key, value))
        });
        Ok(Self { path: path.to_owned(), file, variables })
    }

    /// Both as one, variables over the file.
    pub(super) fn extract<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.file.clone().merge(&self.variables).extract().map_err(|error| {
            let mut key = error.path.join(".");
            if let Kind::MissingField(field) = &error.kind {
                key = format!("{key}.{field}");
            }
            let problem = describe(&key, &error.kind);
            self.blame(Broken::new(key, problem))
        })
    }

    /// The error with the place where the key's value came from.
    pub(super) fn blame(&self, broken: Broken) -> ConfigError {
        let from_variable = self.variables.find_value(&broken.key).is_ok();
        let origin = if from_variable {
            Origin::Variable(format!("{PREFIX}{}", broken.key.to_ascii_uppercase().replace('.', "__")))
        } else {
            Origin::File(self.path.clone())
        };
        broken.at(origin)
    }
}

/// `CARILLON__AUTH__CLAIMS__USER` is `auth.claims.user`.
fn key_of(variable: &str) -> String {
    variable[PREFIX.len()..].to_ascii_lowercase().replace("__", ".")
}

/// Numbers, booleans and lists (`[a, b]`) as such, anything else as text.
fn parse(value: &str) -> Value {
    value.parse().unwrap_or_else(|never| match never {})
}

fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key) || key.starts_with("auth.") && key.ends_with(".secret")
}

/// Whether secrets stand below this key: `auth`, `auth.keys`, `auth.issuers.0`, `grpc`.
fn holds_secrets(key: &str) -> bool {
    let mut parts = key.split('.');
    match parts.next() {
        Some("auth") => {
            parts.all(|part| part == "keys" || part == "issuers" || part.parse::<usize>().is_ok())
        }
        _ => SECRETS.iter().any(|secret| secret.split('.').next() == Some(key)),
    }
}

fn describe(key: &str, kind: &Kind) -> String {
    match kind {
        // What was found may be the secret itself.
        _ if is_secret(key) => "text in quotes".to_owned(),
        Kind::InvalidType(..) if holds_secrets(key) => {
            let list = key.ends_with("keys") || key.ends_with("issuers");
            if list { "a list of sections" } else { "a section" }.to_owned()
        }
        Kind::UnknownField(_, allowed) => format!("no such key, but {}", OneOf(allowed)),
        Kind::UnknownVariant(found, allowed) => format!("found \"{found}\", allowed: {}", OneOf(allowed)),
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("found {found}, allowed: {expected}")
        }
        Kind::MissingField(_) => "required".to_owned(),
        other => other.to_string(),
    }
}
