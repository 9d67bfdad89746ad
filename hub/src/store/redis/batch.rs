//! Outcomes that go to a server in one piece: asked, made durable and told to others together, each answered for itself.

use redis::{Arg, Cmd, Pipeline, Script, Value, cmd};

use crate::redis::Server;
use crate::redis::Way;
use crate::redis::slots::Address;
use crate::store::{CommitError, StoreError};

use super::answer::Answer;
use super::asked::{Asked, Waiter, What};
use super::barrier::Written;
use super::call::{Call, Failure};
use super::commit::Settled;
use super::publish::{self, Addressed};
use super::script;
use super::shared::Shared;

/// An outcome of which it is known what became of it.
pub(super) struct Carried {
    pub(super) settled: Settled,
    /// What is to be asked again: it was refused, as its slot is on its way to another server, or its script is not known there.
    pub(super) again: Option<(Call, What)>,
    pub(super) waiter: Waiter,
}

/// Commits outcomes whose homes are at a server's; gives what became of each, in order.
pub(super) async fn carry(shared: &Shared, address: &Address, asked: Vec<Asked>) -> Vec<Carried> {
    let (mut calls, mut others) = (Vec::with_capacity(asked.len()), Vec::with_capacity(asked.len()));
    for Asked { call, what, waiter } in asked {
        calls.push(call);
        others.push((what, waiter));
    }
    let (whats, waiters): (Vec<_>, Vec<_>) = others.into_iter().unzip();
    let settled: Vec<_> = match shared.link.server_at(address) {
        Some(server) => settle(shared, &server, calls, whats).await,
        None => whats.iter().map(|_| (StoreError::Unavailable.into(), None)).collect(),
    };
    let carried = |((settled, again), waiter)| Carried { settled, again, waiter };
    settled.into_iter().zip(waiters).map(carried).collect()
}

/// What became of one, and what is to be asked again.
type Settling = (Settled, Option<(Call, What)>);

async fn settle(shared: &Shared, server: &Server, calls: Vec<Call>, whats: Vec<What>) -> Vec<Settling> {
    let answers = ask(shared, server, calls).await;
    let waits = shared.waits_for_replicas();
    let addressed: Vec<Addressed> =
        if waits { whats.iter().map(What::addressed).collect() } else { Vec::new() };
    let settle = |(what, (answer, call)): (What, Answered)| -> Settling {
        if let Some(call) = call {
            return (StoreError::Unavailable.into(), Some((call, what)));
        }
        let settled = answer.map(Answer::new).map_err(StoreError::from);
        (settled.and_then(|answer| what.settle(shared, answer)).unwrap_or_else(Settled::from), None)
    };
    let (mut settled, again): (Vec<Settled>, Vec<_>) = whats.into_iter().zip(answers).map(settle).unzip();
    if waits {
        make_durable(shared, server, &mut settled, &addressed).await;
    }
    settled.into_iter().zip(again).collect()
}

/// An answer, and the call again where it was refused and is to be asked again.
type Answered = (Result<Value, Failure>, Option<Call>);

/// Asks all in one piece. What was refused is to be asked again: in its turn, as others may be on their way already that come after
/// it. Whose script the server did not know goes with it then, so that another who has scripts forgotten changes nothing.
async fn ask(shared: &Shared, server: &Server, calls: Vec<Call>) -> Vec<Answered> {
    let mut scripts = Vec::with_capacity(calls.len());
    let mut pipeline = Pipeline::with_capacity(calls.len());
    for call in calls {
        let (script, command) = call.into_parts();
        scripts.push(script);
        pipeline.add_command(command);
    }
    let answers = shared.send_all(server, Way::Writes, &pipeline).await;
    let with_call = |((answer, script), command): ((Result<Value, Failure>, &'static Script), &Cmd)| {
        let again = match answer {
            Err(Failure::Moving) => Some(Call::of_parts(script, command.clone())),
            Err(Failure::NoScript) => Some(Call::of_parts(script, with_text(command, script))),
            _ => None,
        };
        (answer, again)
    };
    answers.into_iter().zip(scripts).zip(pipeline.cmd_iter()).map(with_call).collect()
}

/// A call of a script with its text instead of its hash.
fn with_text(call: &Cmd, script: &Script) -> Cmd {
    let mut whole = cmd("EVAL");
    whole.arg(script::text_of(script));
    for argument in call.args_iter().skip(2) {
        if let Arg::Simple(bytes) = argument {
            whole.arg(bytes);
        }
    }
    whole
}

/// Waits until what was committed is durable, and only then tells other nodes. What is not, or is not told, is not
/// acknowledged; nor is it said what a condition that does not hold was checked against.
async fn make_durable(shared: &Shared, server: &Server, settled: &mut [Settled], addressed: &[Addressed]) {
    let shows = |settled: &Settled| matches!(settled.result, Ok(_) | Err(CommitError::Condition(_)));
    if !settled.iter().any(shows) {
        return;
    }
    if let Err(error) = shared.make_durable(&Written(server.clone())).await {
        for settled in settled.iter_mut().filter(|settled| shows(settled)) {
            *settled = error.clone().into();
        }
        return;
    }
    let (mut whose, mut commands) = (Vec::new(), Pipeline::new());
    for (place, (settled, addressed)) in settled.iter().zip(addressed).enumerate() {
        let Ok(committed) = &settled.result else { continue };
        if let Some(log) = addressed.log() {
            shared.note_durable(log, committed.position.seq);
        }
        for command in publish::commands(shared, addressed, settled) {
            whose.push(place);
            commands.add_command(command);
        }
    }
    let told = shared.send_all(server, Way::Reads, &commands).await;
    for ((place, told), command) in whose.into_iter().zip(told).zip(commands.cmd_iter()) {
        let told = match told {
            Err(Failure::Moving) => shared.send(command).await,
            told => told,
        };
        if let Err(failure) = told {
            settled[place] = StoreError::from(failure).into();
        }
    }
}
