//! Frames: each is what the real encoder makes, and the client makes of each what its vector says.

use std::fmt::Debug;

use carillon_client::v1::{SessionRequest, SessionResponse};
use carillon_client::{Client, CommandError, Event};
use carillon_proto::frame::to_json;
use carillon_proto::v1;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::files::{self, FrameType, FrameVector, Part};
use crate::hub::Peer;
use crate::matching::{bytes, hex};
use crate::play::{Play, answering};
use crate::told::{of_kind, told};

/// The vectors with this part of a client.
fn with(part: Part) -> impl Iterator<Item = FrameVector> {
    let vectors = files::frames();
    assert!(vectors.iter().any(|vector| vector.client == part));
    vectors.into_iter().filter(move |vector| vector.client == part)
}

impl FrameVector {
    fn json(&self) -> &Value {
        self.json.as_ref().unwrap_or_else(|| panic!("«{}» has no JSON", self.name))
    }

    /// Its bytes, as the hub writes them and as they may be written.
    fn ways(&self) -> impl Iterator<Item = Vec<u8>> {
        let all = self.binary.iter().chain(&self.same.binary);
        all.map(|hex| bytes(hex)).collect::<Vec<_>>().into_iter()
    }

    fn without_id(&self) -> Value {
        let mut json = self.json().clone();
        json.as_object_mut().unwrap().remove("commandId");
        json
    }
}

/// A session of a client, opened.
async fn open(vector: &FrameVector) -> Play {
    let mut play = Play::new();
    play.connect(false);
    let opened = play.accepts(None, None, None).await;
    opened.unwrap_or_else(|wrong| panic!("«{}»: {wrong}", vector.name));
    play
}

fn agrees<T: Message + Default + Serialize + DeserializeOwned + PartialEq + Debug>(vector: &FrameVector) {
    let name = &vector.name;
    let meant: T = serde_json::from_value(vector.json().clone()).unwrap_or_else(|e| panic!("«{name}»: {e}"));
    let written = hex(&meant.encode_to_vec());
    assert_eq!(vector.binary.as_deref(), Some(&*written), "«{name}»: the encoder writes {written}");
    assert_eq!(serde_json::to_value(&meant).unwrap(), *vector.json(), "«{name}» is not canonical JSON");
    for way in vector.ways() {
        let read = T::decode(&*way).unwrap_or_else(|error| panic!("«{name}», {}: {error}", hex(&way)));
        assert_eq!(read, meant, "«{name}», {}", hex(&way));
    }
}

#[test]
fn frames_are_what_the_encoder_writes_and_reads() {
    for vector in files::frames() {
        match (vector.client, vector.of) {
            (Part::Ends, _) => {}
            (_, FrameType::SessionRequest) => agrees::<SessionRequest>(&vector),
            (_, FrameType::SessionResponse) => {
                agrees::<SessionResponse>(&vector);
                let text = to_json(&bytes(vector.binary.as_ref().unwrap()));
                let json: Value = serde_json::from_slice(&text).unwrap();
                assert_eq!(json, *vector.json(), "«{}»: what a bridge writes", vector.name);
            }
        }
    }
}

#[test]
fn hubs_read_every_form_of_a_command() {
    let requests = files::frames().into_iter().filter(|vector| vector.of == FrameType::SessionRequest);
    let mut forms = 0;
    for vector in requests {
        let meant: SessionRequest = serde_json::from_value(vector.json().clone()).unwrap();
        for text in &vector.same.json {
            let read: SessionRequest = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(read, meant, "{text}");
            forms += 1;
        }
    }
    assert!(forms > 0);
}

#[tokio::test(start_paused = true)]
async fn the_client_tells_its_caller() {
    for vector in with(Part::Tells) {
        for way in vector.ways() {
            let mut play = open(&vector).await;
            let (peer, _, events) = play.sides();
            peer.send(way).await.unwrap();
            let event = told(events.next().await.unwrap());
            assert_eq!(event, vector.without_id(), "«{}»", vector.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_answers_its_callers_command() {
    for vector in with(Part::Answers) {
        for mut way in vector.ways() {
            let mut play = open(&vector).await;
            let (peer, client, _) = play.sides();
            let request: SessionRequest = serde_json::from_value(vector.call.clone().unwrap()).unwrap();
            let answer = async {
                let asked = SessionRequest::decode(peer.next().await.unwrap()).unwrap();
                way.extend(answering(asked.command_id));
                peer.send(way).await.unwrap();
            };
            let (answered, ()) = tokio::join!(client.call(request.command.unwrap()), answer);
            let answered = match answered {
                Ok(kind) => of_kind(kind),
                Err(CommandError::Refused(refusal)) => refused(&vector, &refusal),
                Err(other) => panic!("«{}»: {other}", vector.name),
            };
            assert_eq!(answered, vector.without_id(), "«{}»", vector.name);
        }
    }
}

/// An error as the caller has it. When it happened, the caller is not told.
fn refused(vector: &FrameVector, refusal: &carillon_client::Refusal) -> Value {
    let retry_after = refusal.retry_after.unwrap_or_default().as_millis();
    let violations = refusal.violations.iter();
    let error = v1::Error {
        code: refusal.code.name().to_owned(),
        message: refusal.message.clone(),
        time_ms: vector.json().pointer("/error/timeMs").map_or(0, |ms| ms.as_str().unwrap().parse().unwrap()),
        request_id: refusal.request_id.clone(),
        retryable: refusal.retryable,
        retry_after_ms: retry_after.try_into().unwrap(),
        violations: violations
            .map(|v| v1::Violation { field: v.field.clone(), rule: v.rule.clone() })
            .collect(),
    };
    json!({ "error": error })
}

#[tokio::test(start_paused = true)]
async fn the_client_ignores_what_it_does_not_know_and_carries_on() {
    let marker = json!({ "occupancy": { "room": "room:marker", "count": 1 } });
    let frame: SessionResponse = serde_json::from_value(marker.clone()).unwrap();
    for vector in with(Part::Ignores) {
        for way in vector.ways() {
            let mut play = open(&vector).await;
            let (peer, _, events) = play.sides();
            peer.send(way).await.unwrap();
            peer.send(frame.encode_to_vec()).await.unwrap();
            assert_eq!(told(events.next().await.unwrap()), marker, "«{}»", vector.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_ends_a_session_whose_frames_are_none_and_opens_another() {
    for vector in with(Part::Ends) {
        for hex in &vector.wrong.binary {
            let mut play = open(&vector).await;
            let (peer, _, events) = play.sides();
            peer.send(bytes(hex)).await.unwrap();
            let event = events.next().await.unwrap();
            let ended = matches!(&event, Event::Disconnected(how) if how.will_reconnect());
            assert!(ended, "«{}», {hex}: {event:?}", vector.name);
            play.accepts(None, None, None).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_sends_its_callers_commands() {
    for vector in with(Part::Sends) {
        let mut play = open(&vector).await;
        let (peer, client, _) = play.sides();
        let request: SessionRequest = serde_json::from_value(vector.json().clone()).unwrap();
        let key = request.idempotency_key.clone();
        let command = request.command.clone().unwrap();
        let asked = received(peer, client, key, command, &vector).await;
        let sent = SessionRequest { command_id: asked.command_id, ..request };
        assert_eq!(asked, sent, "«{}»", vector.name);
    }
}

/// What comes of a command; its bytes must be those of the encoder.
async fn received(
    peer: &mut Peer,
    client: &Client,
    key: bytes::Bytes,
    command: v1::session_request::Command,
    vector: &FrameVector,
) -> SessionRequest {
    let keyed = client.with_key(key.clone());
    let call = tokio::spawn(async move { keyed.call(command).await });
    let frame = peer.next().await.unwrap();
    call.abort();
    let mut asked = SessionRequest::decode(frame.clone()).unwrap();
    assert_eq!(asked.encode_to_vec(), frame, "«{}»", vector.name);
    if key.is_empty() {
        // The client gives one to what writes.
        asked.idempotency_key = key;
    }
    asked
}
