//! Outcomes that go to a server in one piece: asked, made durable and told to others together, each answered for itself.

use redis::{Pipeline, Value};

use crate::redis::Server;
use crate::redis::Way;
use crate::redis::slots::Address;
use crate::store::{CommitError, StoreError};

use super::answer::Answer;
use super::asked::{Asked, Effects, Place, Reply, What};
use super::barrier::Written;
use super::call::{Call, Failure};
use super::commit::Settled;
use super::publish::{self, Addressed};
use super::script;
use super::shared::Shared;

/// An outcome of which it is known what became of it.
pub(super) struct Carried {
    pub(super) settled: Settled,
    pub(super) effects: Effects,
    pub(super) place: Place,
    pub(super) reply: Reply,
}

/// Commits outcomes whose homes are at a server's; gives what became of each, in order.
pub(super) async fn carry(shared: &Shared, address: &Address, asked: Vec<Asked>) -> Vec<Carried> {
    let (mut calls, mut others) = (Vec::with_capacity(asked.len()), Vec::with_capacity(asked.len()));
    for Asked { call, what, effects, place, reply, .. } in asked {
        calls.push(call);
        others.push((what, (effects, place, reply)));
    }
    let (whats, waiting): (Vec<_>, Vec<_>) = others.into_iter().unzip();
    let settled = match shared.link.server_at(address) {
        Some(server) => settle(shared, &server, calls, whats).await,
        None => whats.iter().map(|_| StoreError::Unavailable.into()).collect(),
    };
    let carried = settled.into_iter().zip(waiting);
    carried.map(|(settled, (effects, place, reply))| Carried { settled, effects, place, reply }).collect()
}

async fn settle(shared: &Shared, server: &Server, calls: Vec<Call>, whats: Vec<What>) -> Vec<Settled> {
    let answers = ask(shared, server, calls).await;
    let waits = shared.waits_for_replicas();
    let addressed: Vec<Addressed> =
        if waits { whats.iter().map(What::addressed).collect() } else { Vec::new() };
    let settle = |(what, answer): (What, Result<Value, Failure>)| {
        let settled = answer.map(Answer::new).map_err(StoreError::from);
        settled.and_then(|answer| what.settle(shared, answer)).unwrap_or_else(Settled::from)
    };
    let mut settled: Vec<Settled> = whats.into_iter().zip(answers).map(settle).collect();
    if waits {
        make_durable(shared, server, &mut settled, &addressed).await;
    }
    settled
}

/// Asks all in one piece; once more those whose script the server did not know.
async fn ask(shared: &Shared, server: &Server, calls: Vec<Call>) -> Vec<Result<Value, Failure>> {
    let mut scripts = Vec::with_capacity(calls.len());
    let mut pipeline = Pipeline::with_capacity(calls.len());
    for call in calls {
        let (script, command) = call.into_parts();
        scripts.push(script);
        pipeline.add_command(command);
    }
    let mut answers = shared.send_all(server, Way::Writes, &pipeline).await;
    let is_unknown = |answer: &Result<Value, Failure>| matches!(answer, Err(Failure::NoScript));
    let unknown: Vec<usize> = (0..answers.len()).filter(|place| is_unknown(&answers[*place])).collect();
    if unknown.is_empty() {
        return answers;
    }
    for script in script::all() {
        if unknown.iter().any(|place| scripts[*place].get_hash() == script.get_hash()) {
            // Where it is not loaded the calls say so again.
            let _ = script.load_async(&mut server.over(Way::Writes)).await;
        }
    }
    let mut again = Pipeline::with_capacity(unknown.len());
    for command in unknown.iter().filter_map(|place| pipeline.cmd_iter().nth(*place)) {
        again.add_command(command.clone());
    }
    let others = shared.send_all(server, Way::Writes, &again).await;
    for (place, answer) in unknown.into_iter().zip(others) {
        answers[place] = answer;
    }
    answers
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
        if let Some(room) = addressed.room() {
            shared.note_durable(&room, committed.position.seq);
        }
        for command in publish::commands(shared, addressed, settled) {
            whose.push(place);
            commands.add_command(command);
        }
    }
    let told = shared.send_all(server, Way::Reads, &commands).await;
    for (place, told) in whose.into_iter().zip(told) {
        if let Err(failure) = told {
            settled[place] = StoreError::from(failure).into();
        }
    }
}
