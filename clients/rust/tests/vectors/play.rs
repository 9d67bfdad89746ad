//! Plays a script: the caller's part and the hub's, around the real client.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{SessionRequest, SessionResponse};
use carillon_client::{Client, CommandError, ConnectError, Event, Events, TokenError, TokenReason};
use prost::Message;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::files::{Raw, Step};
use crate::hub::{Hub, Peer};
use crate::matching::{bytes, hex, matches};
use crate::told::{of_kind, told};

/// Longer than any client waits for anything.
const NEVER: Duration = Duration::from_mins(10);

type Asked = (TokenReason, oneshot::Sender<String>);

/// A script that is played.
pub struct Play {
    hub: Hub,
    peer: Option<Peer>,
    connecting: Option<JoinHandle<Result<(Client, Events), ConnectError>>>,
    client: Option<(Client, Events)>,
    calls: HashMap<String, JoinHandle<Result<Kind, CommandError>>>,
    /// What the client may be told.
    optional: Vec<Value>,
    ids: HashMap<String, u32>,
    keys: HashMap<String, Vec<u8>>,
    /// `None`: nobody looks, every token is the same.
    tokens: Option<mpsc::Receiver<Asked>>,
    /// When the last session ended.
    ended: Instant,
}

impl Play {
    pub fn new() -> Self {
        Self {
            hub: Hub::start(),
            peer: None,
            connecting: None,
            client: None,
            calls: HashMap::new(),
            optional: Vec::new(),
            ids: HashMap::new(),
            keys: HashMap::new(),
            tokens: None,
            ended: Instant::now(),
        }
    }

    /// Plays all steps; says at which it fails.
    pub async fn play(mut self, name: &str, steps: Vec<Step>) {
        let looks = steps.iter().any(|step| matches!(step, Step::Token { .. }));
        for (at, step) in steps.into_iter().enumerate() {
            let said = format!("«{name}», step {}: {step:?}", at + 1);
            if let Err(wrong) = self.step(step, looks).await {
                panic!("{said}: {wrong}");
            }
        }
    }

    async fn step(&mut self, step: Step, looks_at_tokens: bool) -> Result<(), String> {
        match step {
            Step::Connect {} => self.connect(looks_at_tokens),
            Step::Call { command, r#as } => return self.call(command, r#as).await,
            Step::Close {} => self.close().await,
            Step::Answered { call, with } => return self.answered(&call, &with).await,
            Step::Refused { call, code } => return self.refused(&call, &code).await,
            Step::Ended { call } => return self.call_ended(&call).await,
            Step::Token { reason, give } => return self.token(&reason, give).await,
            Step::Told { event, optional: true } => self.optional.push(event),
            Step::Told { event, optional: false } => return self.told(&event).await,
            Step::Opens { after_ms } => return self.opens(after_ms).await,
            Step::Receives { frame, r#as, key } => return self.receives(&frame, r#as, key).await,
            Step::Sends { frame, raw, to } => return self.sends(frame, raw, to).await,
            Step::Accepts { hello, connected, after_ms } => {
                return self.accepts(hello, connected, after_ms).await;
            }
            Step::Breaks {} => self.end(None).await,
            Step::Ends { code } => self.end(Some(&code)).await,
            Step::Left {} => return self.left().await,
            Step::Quiet { ms } => return self.quiet(ms).await,
            Step::Passes { ms } => passes(ms).await,
        }
        Ok(())
    }

    pub fn connect(&mut self, looks_at_tokens: bool) {
        let mut options = self.hub.options();
        if looks_at_tokens {
            let (ask, asked) = mpsc::channel::<Asked>(4);
            self.tokens = Some(asked);
            options = options.token_provider(move |reason| {
                let ask = ask.clone();
                async move {
                    let gone = |_| TokenError { message: "the script is over".to_owned(), permanent: true };
                    let (give, given) = oneshot::channel();
                    let _ = ask.send((reason, give)).await;
                    given.await.map_err(gone)
                }
            });
        } else {
            options = options.token_provider(|_| std::future::ready(Ok("token".to_owned())));
        }
        self.connecting = Some(tokio::spawn(Client::connect(options)));
    }

    /// The client, once its first session is open.
    async fn client(&mut self) -> Result<&mut (Client, Events), String> {
        if let Some(connecting) = self.connecting.take() {
            let opened = timeout(NEVER, connecting).await.map_err(|_| "the client does not open")?;
            self.client = Some(opened.unwrap().map_err(|error| error.to_string())?);
        }
        self.client.as_mut().ok_or_else(|| "there is no client".to_owned())
    }

    async fn call(&mut self, command: Value, name: String) -> Result<(), String> {
        let request: SessionRequest = serde_json::from_value(command).map_err(|error| error.to_string())?;
        let command = request.command.ok_or("no command")?;
        let client = self.client().await?.0.clone();
        self.calls.insert(name, tokio::spawn(async move { client.call(command).await }));
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn close(&mut self) {
        if let Some((client, _events)) = self.client.take() {
            // Its goodbye is waited for, and the hub is yet to receive it.
            tokio::spawn(client.close());
            tokio::task::yield_now().await;
        }
    }

    async fn outcome(&mut self, name: &str) -> Result<Result<Kind, CommandError>, String> {
        let call = self.calls.remove(name).ok_or("no such call")?;
        Ok(timeout(NEVER, call).await.map_err(|_| "the call does not return")?.unwrap())
    }

    async fn answered(&mut self, name: &str, with: &Value) -> Result<(), String> {
        if name == "connect" {
            let connected = Kind::Connected((*self.client().await?.0.connected()).clone());
            return expect(with, &of_kind(connected));
        }
        expect(with, &of_kind(self.outcome(name).await?.map_err(|error| error.to_string())?))
    }

    async fn refused(&mut self, name: &str, code: &str) -> Result<(), String> {
        let refusal = if name == "connect" {
            let connecting = self.connecting.take().ok_or("the client does not connect")?;
            let opened = timeout(NEVER, connecting).await.map_err(|_| "the client does not give up")?;
            match opened.unwrap() {
                Err(ConnectError::Refused(refusal)) => refusal,
                other => return Err(format!("{other:?}")),
            }
        } else {
            match self.outcome(name).await? {
                Err(CommandError::Refused(refusal)) => refusal,
                other => return Err(format!("{other:?}")),
            }
        };
        expect(&json!(code), &json!(refusal.code.name()))
    }

    async fn call_ended(&mut self, name: &str) -> Result<(), String> {
        match self.outcome(name).await? {
            Err(CommandError::Ended(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    async fn token(&mut self, reason: &str, give: String) -> Result<(), String> {
        let tokens = self.tokens.as_mut().ok_or("nobody asks for tokens yet")?;
        let asked = timeout(NEVER, tokens.recv()).await;
        let (why, answer) = asked.ok().flatten().ok_or("the client asks for no token")?;
        let _ = answer.send(give);
        expect(&json!(reason), &json!(format!("{why:?}").to_lowercase()))
    }

    async fn told(&mut self, expected: &Value) -> Result<(), String> {
        loop {
            let events = &mut self.client().await?.1;
            let event = timeout(NEVER, events.next()).await.map_err(|_| "nothing is told")?;
            let event = told(event.ok_or("the events have ended")?);
            if is_told(expected, &event) {
                self.optional.clear();
                return Ok(());
            }
            self.may_be_told(&event)?;
        }
    }

    fn may_be_told(&mut self, event: &Value) -> Result<(), String> {
        let at = self.optional.iter().position(|optional| is_told(optional, event));
        self.optional.remove(at.ok_or_else(|| format!("{event} is told"))?);
        Ok(())
    }

    async fn opens(&mut self, after_ms: Option<u64>) -> Result<(), String> {
        let peer = timeout(NEVER, self.hub.sessions.recv()).await;
        self.peer = Some(peer.ok().flatten().ok_or("the client does not come")?);
        let waited = self.ended.elapsed();
        match after_ms {
            Some(ms) if waited < Duration::from_millis(ms) => Err(format!("it comes after {waited:?}")),
            _ => Ok(()),
        }
    }

    async fn receives(
        &mut self,
        frame: &Value,
        name: Option<String>,
        key: Option<String>,
    ) -> Result<(), String> {
        let peer = self.peer.as_mut().ok_or("there is no session")?;
        let received = timeout(NEVER, peer.next()).await.map_err(|_| "the client sends nothing")?;
        let received = received.ok_or("the client has left")?;
        let request = SessionRequest::decode(received).map_err(|error| error.to_string())?;
        if request.command_id == 0 {
            return Err("a command without an id".to_owned());
        }
        if let Some(key) = key {
            let bytes = request.idempotency_key.to_vec();
            if !(8..=64).contains(&bytes.len()) || *self.keys.entry(key).or_insert(bytes.clone()) != bytes {
                return Err(format!("its key is {}", hex(&bytes)));
            }
        }
        if let Some(name) = name {
            self.ids.insert(name, request.command_id);
        }
        expect(frame, &serde_json::to_value(&request).unwrap())
    }

    async fn sends(
        &mut self,
        frame: Option<Value>,
        raw: Option<Raw>,
        to: Option<String>,
    ) -> Result<(), String> {
        let mut encoded = match (frame, raw) {
            (Some(frame), None) => {
                let response: SessionResponse =
                    serde_json::from_value(frame).map_err(|error| error.to_string())?;
                response.encode_to_vec()
            }
            (None, Some(raw)) => bytes(&raw.binary),
            _ => return Err("either a frame or its bytes".to_owned()),
        };
        if let Some(to) = to {
            encoded.extend(answering(*self.ids.get(&to).ok_or("no such command came")?));
        }
        self.peer.as_mut().ok_or("there is no session")?.send(encoded).await
    }

    /// Opens the next session, and has the caller told of it.
    pub async fn accepts(
        &mut self,
        hello: Option<Value>,
        connected: Option<Value>,
        after_ms: Option<u64>,
    ) -> Result<(), String> {
        self.opens(after_ms).await?;
        let hello = hello.unwrap_or_else(|| json!({}));
        self.receives(&json!({ "hello": hello }), Some("hello".to_owned()), None).await?;
        let mut opened = json!({
            "session": "5e5500000000000000000000000000aa",
            "user": "alice",
            "tenant": "acme",
            "heartbeat": { "intervalMs": 25_000, "timeoutMs": 60_000 },
            "inbox": { "epoch": "1" },
        });
        if let Some(Value::Object(more)) = connected {
            opened.as_object_mut().unwrap().extend(more);
        }
        self.sends(Some(json!({ "connected": opened })), None, Some("hello".to_owned())).await?;
        self.told(&json!({ "connected": { "user": "alice" } })).await
    }

    async fn end(&mut self, code: Option<&str>) {
        self.ended = Instant::now();
        if let (Some(peer), Some(code)) = (self.peer.take(), code) {
            peer.end(code).await;
        }
    }

    async fn left(&mut self) -> Result<(), String> {
        self.ended = Instant::now();
        let mut peer = self.peer.take().ok_or("there is no session")?;
        match timeout(NEVER, peer.next()).await {
            Ok(None) => Ok(()),
            Ok(Some(frame)) => Err(format!("the client sends {}", hex(&frame))),
            Err(_) => Err("the client stays".to_owned()),
        }
    }

    /// Nothing happens for so long: no event but those that may be, no frame, no session.
    async fn quiet(&mut self, ms: u64) -> Result<(), String> {
        let over = passes(ms);
        tokio::pin!(over);
        let mut events_go_on = self.connecting.is_none() && self.client.is_some();
        loop {
            let event = tokio::select! {
                biased;
                event = next_event(&mut self.client), if events_go_on => event,
                Some(frame) = next_frame(&mut self.peer) => {
                    return Err(format!("the client sends {}", hex(&frame)));
                }
                Some(_) = self.hub.sessions.recv() => return Err("the client comes again".to_owned()),
                () = &mut over => return Ok(()),
            };
            match event {
                Some(event) => self.may_be_told(&told(event))?,
                None => events_go_on = false,
            }
        }
    }

    /// The hub's side of the open session, and the client.
    pub fn sides(&mut self) -> (&mut Peer, &Client, &mut Events) {
        let (client, events) = self.client.as_mut().expect("the client is open");
        (self.peer.as_mut().expect("a session is open"), client, events)
    }
}

/// The time that stands still passes, with all that it brings about.
async fn passes(ms: u64) {
    let _ = timeout(Duration::from_millis(ms), std::future::pending::<()>()).await;
}

async fn next_event(client: &mut Option<(Client, Events)>) -> Option<Event> {
    match client {
        Some((_, events)) => events.next().await,
        None => None,
    }
}

async fn next_frame(peer: &mut Option<Peer>) -> Option<Bytes> {
    match peer {
        Some(peer) => peer.next().await,
        None => None,
    }
}

/// What makes a frame the answer to this command: of a field that stands twice the last counts.
pub fn answering(id: u32) -> Vec<u8> {
    SessionResponse { command_id: id, kind: None }.encode_to_vec()
}

/// The wait before the next session is at least what is expected.
fn is_told(expected: &Value, actual: &Value) -> bool {
    let mut expected = expected.clone();
    let at_least = expected.pointer_mut("/disconnected/afterMs").map(Value::take);
    let waits = actual.pointer("/disconnected/afterMs").and_then(Value::as_u64);
    let wanted = at_least.as_ref().and_then(Value::as_u64);
    if let Some(Value::Object(disconnected)) = expected.get_mut("disconnected") {
        disconnected.remove("afterMs");
    }
    matches(&expected, actual) && wanted.is_none_or(|wanted| waits.is_some_and(|waits| waits >= wanted))
}

fn expect(expected: &Value, actual: &Value) -> Result<(), String> {
    if matches(expected, actual) { Ok(()) } else { Err(format!("instead of it {actual}")) }
}
