//! Every decoder that strangers reach, as a function of any bytes: it must come back, and what it took must mean the same
//! when it is written and read again. `fuzz/run` looks for bytes with which this is not so; those that were found once,
//! and those that lead far into the decoders, are kept in `fuzz/corpora` and gone over by a test.

#![expect(clippy::expect_used, reason = "a finding is a panic")]

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use carillon_hub::access::authentication::{Algorithm, Authenticator, Key, Options, Secret};
use carillon_hub::config::Config;
use carillon_hub::domain::names::RoomName;
use carillon_hub::domain::time::Timestamp;
use carillon_hub::grpc::decode;
use carillon_proto::v1;
use prost::Message;

/// A decoder: it must take any bytes.
pub type Target = fn(&[u8]);

/// All decoders by name; `fuzz/corpora` has a folder for each.
pub const TARGETS: [(&str, Target); 6] = [
    ("proto_frame", proto_frame),
    ("json_frame", carillon_bridge::fuzzing::json_frame),
    ("room_name", room_name),
    ("configuration", configuration),
    ("token", token),
    ("last_event_id", carillon_bridge::fuzzing::last_event_id),
];

/// The decoder of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(other, _)| *other == name).map(|(_, target)| *target)
}

/// A frame of a session, and the same as a command without one.
fn proto_frame(bytes: &[u8]) {
    let _ = decode::input(Bytes::copy_from_slice(bytes), || Ok(()));
    if let Ok(request) = v1::ExecuteRequest::decode(bytes) {
        let _ = decode::execute(request);
    }
}

fn room_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(room) = RoomName::parse(text) {
        assert_eq!(room.as_str(), text);
        assert!(text.len() <= 255 && !text.chars().any(char::is_control), "{text:?}");
        assert!(text.split_once(':').is_some_and(|(namespace, _)| !namespace.is_empty()), "{text:?}");
    }
}

/// A file of settings. What is wrong in it is said without repeating a secret.
fn configuration(bytes: &[u8]) {
    const SECRET: &str = "Zm9yIG5vYm9keSdzIGV5ZXMgYnV0IG15IG93biE";
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = FOLDER.path().join("carillon.toml");
    let text = text.replace("SECRET", SECRET);
    std::fs::write(&path, &text).expect("a file");
    match Config::load_with(&path, []) {
        Ok(config) => {
            let shown = config.to_toml().expect("it can be shown");
            assert!(!shown.contains(SECRET));
        }
        Err(error) => {
            let said = error.to_string();
            // What stands where no secret belongs may be quoted.
            let is_secret = text.contains(&format!("secret = \"{SECRET}\""));
            assert!(!is_secret || !said.contains(SECRET) || text.matches(SECRET).count() > 1, "{said}");
        }
    }
}

/// A token as it is, and one that is signed rightly and claims these bytes.
fn token(bytes: &[u8]) {
    static SECRET: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
    static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| {
        let options = Options::new(Algorithm::Hs256, Key::Secret(Secret::new(SECRET)));
        Authenticator::new(options).expect("a good key")
    });
    let now = Timestamp(1_000_000);
    let text = String::from_utf8_lossy(bytes);
    assert!(AUTHENTICATOR.verify(&text, now).is_err(), "a token without a signature: {text}");
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}"), URL_SAFE_NO_PAD.encode(bytes));
    let key = jsonwebtoken::EncodingKey::from_secret(&SECRET);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256);
    let signature = signature.expect("it can be signed");
    let _ = AUTHENTICATOR.verify(&format!("{signed}.{signature}"), now);
}

/// The folder of a decoder's kept inputs.
pub fn corpus(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_inputs_are_taken() {
        for (name, target) in TARGETS {
            let files: Vec<_> = std::fs::read_dir(corpus(name)).expect(name).collect();
            assert!(!files.is_empty(), "{name} has no corpus");
            for file in files {
                target(&std::fs::read(file.expect("a file").path()).expect("it can be read"));
            }
        }
    }
}
