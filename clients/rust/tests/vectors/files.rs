//! The files, read so that a field or a step that is not known here fails.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A frame, and what a client makes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameVector {
    pub name: String,
    #[serde(rename = "type")]
    pub of: FrameType,
    pub client: Part,
    /// The command that a reply answers.
    pub call: Option<Value>,
    pub json: Option<Value>,
    pub binary: Option<String>,
    #[serde(default)]
    pub same: Forms,
    #[serde(default)]
    pub wrong: Forms,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum FrameType {
    SessionRequest,
    SessionResponse,
}

/// The client's part.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    Sends,
    Tells,
    Answers,
    Deals,
    Ignores,
    Ends,
}

/// Frames as written: hexadecimal digits, and texts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forms {
    #[serde(default)]
    pub binary: Vec<String>,
    #[serde(default)]
    pub json: Vec<String>,
}

/// A part of a session's life.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub name: String,
    pub why: String,
    #[serde(default)]
    pub each: Vec<String>,
    pub steps: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Step {
    // The caller.
    Connect {},
    Call {
        command: Value,
        r#as: String,
    },
    Close {},
    Answered {
        call: String,
        with: Value,
    },
    Refused {
        call: String,
        code: String,
    },
    Ended {
        call: String,
    },
    Token {
        reason: String,
        give: String,
    },
    Told {
        event: Value,
        #[serde(default)]
        optional: bool,
    },
    // The hub.
    Opens {
        after_ms: Option<u64>,
    },
    Receives {
        frame: Value,
        r#as: Option<String>,
        key: Option<String>,
    },
    Sends {
        frame: Option<Value>,
        raw: Option<Raw>,
        to: Option<String>,
    },
    Accepts {
        hello: Option<Value>,
        connected: Option<Value>,
        after_ms: Option<u64>,
    },
    Breaks {},
    Ends {
        code: String,
    },
    Left {},
    // Time.
    Quiet {
        ms: u64,
    },
    Passes {
        ms: u64,
    },
}

/// One frame in both forms, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub binary: String,
    #[expect(dead_code, reason = "this client speaks gRPC alone")]
    pub json: String,
}

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../tests/vectors", name].iter().collect()
}

fn all<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let mut paths: Vec<_> = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let lists = paths.iter().map(|path| {
        let text = fs::read_to_string(path).unwrap();
        serde_json::from_str::<Vec<T>>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    lists.flatten().collect()
}

pub fn frames() -> Vec<FrameVector> {
    all("frames")
}

/// The scripts, one for each value of `each`, with its name.
pub fn scripts() -> Vec<(String, Vec<Step>)> {
    let once = |script: &Script, name: String, text: &str| {
        let steps = serde_json::from_str(text).unwrap_or_else(|error| panic!("«{}»: {error}", script.name));
        (name, steps)
    };
    let each = all::<Script>("sessions").into_iter().flat_map(|script| {
        assert!(!script.why.is_empty(), "«{}» says why", script.name);
        let text = serde_json::to_string(&script.steps).unwrap();
        match &script.each[..] {
            [] => vec![once(&script, script.name.clone(), &text)],
            values => {
                let played = |value: &String| {
                    once(&script, format!("{}: {value}", script.name), &text.replace("$each", value))
                };
                values.iter().map(played).collect()
            }
        }
    });
    each.collect()
}

#[test]
fn what_is_not_known_here_is_refused() {
    let is_step = |text: &str| serde_json::from_str::<Step>(text).is_ok();
    assert!(is_step(r#"{"do": "quiet", "ms": 1}"#) && is_step(r#"{"do": "breaks"}"#));
    for text in [
        r#"{"do": "dances"}"#,
        r#"{"do": "quiet"}"#,
        r#"{"do": "quiet", "ms": 1, "code": "GOING_AWAY"}"#,
        r#"{"do": "breaks", "ms": 1}"#,
        r#"{"do": "sends", "raw": {"binary": "", "json": "{}", "text": ""}}"#,
        r#"{"ms": 1}"#,
    ] {
        assert!(!is_step(text), "{text}");
    }
    let frame = r#"{"name": "a", "type": "SessionRequest", "client": "deals"}"#;
    assert!(serde_json::from_str::<FrameVector>(frame).is_ok());
    for (known, unknown) in [("deals", "drops"), ("SessionRequest", "ExecuteRequest"), ("name", "title")] {
        assert!(serde_json::from_str::<FrameVector>(&frame.replace(known, unknown)).is_err(), "{unknown}");
    }
}
