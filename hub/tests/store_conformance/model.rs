//! Random outcomes against the store and against a model of a few lines, with reopenings at random moments.

use std::collections::{BTreeMap, BTreeSet};

use carillon_hub::domain::content::Content;
use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{EntryRange, PageBound, Store, Write};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::*;

/// Stories told, each of up to 120 steps.
const STORIES: u32 = 40;

/// A step of a story. Rooms, users and targets are chosen modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Send { room: u8, user: u8, key: Option<u8> },
    Edit { room: u8, user: u8, target: u8 },
    Delete { room: u8, user: u8, target: u8 },
    React { room: u8, user: u8, target: u8, add: bool },
    Mark { room: u8, user: u8, delivered: u8, read: u8 },
    Join { room: u8, user: u8 },
    Leave { room: u8, user: u8 },
    Reopen { close: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (room, user, target) = (0..3_u8, 0..4_u8, any::<u8>());
    let step = prop_oneof![
        8 => (room.clone(), user.clone(), prop::option::of(0..20_u8)).prop_map(|(room, user, key)| Step::Send { room, user, key }),
        2 => (room.clone(), user.clone(), target).prop_map(|(room, user, target)| Step::Edit { room, user, target }),
        2 => (room.clone(), user.clone(), target).prop_map(|(room, user, target)| Step::Delete { room, user, target }),
        2 => (room.clone(), user.clone(), target, any::<bool>())
            .prop_map(|(room, user, target, add)| Step::React { room, user, target, add }),
        3 => (room.clone(), user.clone(), target, target)
            .prop_map(|(room, user, delivered, read)| Step::Mark { room, user, delivered, read }),
        1 => (room.clone(), user.clone()).prop_map(|(room, user)| Step::Join { room, user }),
        1 => (room, user).prop_map(|(room, user)| Step::Leave { room, user }),
        1 => any::<bool>().prop_map(|close| Step::Reopen { close }),
    ];
    prop::collection::vec(step, 1..120)
}

#[derive(Clone, Debug, Default)]
struct ModelMessage {
    content: Option<Content>,
    version: u32,
    reactions: BTreeSet<u8>,
}

#[derive(Default)]
struct ModelRoom {
    /// Per entry: the message, where it is one.
    entries: Vec<Option<ModelMessage>>,
    numbers: Vec<u64>,
    marks: BTreeMap<u8, Marks>,
    members: BTreeSet<u8>,
}

impl ModelRoom {
    fn push(&mut self, message: Option<ModelMessage>) -> u64 {
        let number = self.numbers.last().copied().unwrap_or(0) + u64::from(message.is_some());
        self.entries.push(message);
        self.numbers.push(number);
        self.entries.len() as u64
    }

    fn alive(&mut self, target: u64) -> Option<&mut ModelMessage> {
        let message = self.entries.get_mut(usize::try_from(target).ok()?.checked_sub(1)?)?.as_mut()?;
        message.content.is_some().then_some(message)
    }
}

#[derive(Default)]
struct Model {
    rooms: BTreeMap<u8, ModelRoom>,
    keys: BTreeMap<(u8, u8, u8), u64>,
    sent: u64,
}

fn room_name(room: u8) -> String {
    format!("conversation:{room}")
}

fn user_name(user: u8) -> String {
    format!("user{user}")
}

async fn apply<F: Fixture>(scene: &mut Scene<F>, model: &mut Model, step: Step) {
    match step {
        Step::Send { room, user, key } => {
            let content = format!("message {}", model.sent);
            model.sent += 1;
            let mut outcome = send(&room_name(room), &user_name(user), &content);
            if let Some(key) = key {
                outcome = outcome.keyed(&key.to_string(), 1);
            }
            let committed = scene.commit(outcome).await;
            let known = key.and_then(|key| model.keys.get(&(room, user, key)).copied());
            assert_eq!(committed.duplicate, known.is_some());
            let seq = known.unwrap_or_else(|| {
                let state = model.rooms.entry(room).or_default();
                let message =
                    ModelMessage { content: Some(text(&content)), version: 1, ..ModelMessage::default() };
                let seq = state.push(Some(message));
                let number = *state.numbers.last().unwrap();
                state.marks.insert(user, Marks { delivered: Seq(seq), read: Seq(seq), read_number: number });
                if let Some(key) = key {
                    model.keys.insert((room, user, key), seq);
                }
                seq
            });
            assert_eq!(committed.position.seq, Seq(seq));
        }
        Step::Mark { room, user, delivered, read } => {
            let outcome = in_room(&room_name(room), &user_name(user));
            let Some(state) = model.rooms.get_mut(&room) else { return };
            let head = state.entries.len() as u64;
            let (delivered, read) = (u64::from(delivered) % (head + 1), u64::from(read) % (head + 1));
            let number = if read == 0 { 0 } else { state.numbers[read as usize - 1] };
            let marks = state.marks.entry(user).or_default();
            *marks = marks.raised(Seq(delivered), Seq(read), number);
            let write = Write::Marks { delivered: Seq(delivered), read: Seq(read) };
            assert_eq!(scene.commit(outcome.writing(write)).await.marks, Some(*marks));
        }
        Step::Reopen { close: true } => scene.close_and_open().await,
        Step::Reopen { close: false } => scene.reopen(),
        Step::Join { .. } | Step::Leave { .. } => apply_member(scene, model, step).await,
        Step::Edit { .. } | Step::Delete { .. } | Step::React { .. } => {
            apply_to_message(scene, model, step).await
        }
    }
}

async fn apply_member<F: Fixture>(scene: &Scene<F>, model: &mut Model, step: Step) {
    let (room, user, change) = match step {
        Step::Join { room, user } => (room, user, MembershipChange::Added),
        Step::Leave { room, user } => (room, user, MembershipChange::Left),
        _ => return,
    };
    let name = user_name(user);
    scene.commit(append(&room_name(room), &name, membership(&name, change, Role::Member))).await;
    let state = model.rooms.entry(room).or_default();
    let number = state.push(None).checked_sub(1).map_or(0, |last| state.numbers[last as usize]);
    if change.ends() {
        state.members.remove(&user);
    } else if state.members.insert(user) {
        let marks = state.marks.entry(user).or_default();
        *marks = marks.joined(number);
    }
}

async fn apply_to_message<F: Fixture>(scene: &Scene<F>, model: &mut Model, step: Step) {
    let (room, user, target) = match step {
        Step::Edit { room, user, target }
        | Step::Delete { room, user, target }
        | Step::React { room, user, target, .. } => (room, user, target),
        _ => return,
    };
    let Some(state) = model.rooms.get_mut(&room) else { return };
    let target = u64::from(target) % state.entries.len() as u64 + 1;
    let content = format!("edit {}", model.sent);
    model.sent += 1;
    let body = match step {
        Step::Edit { .. } => edit(target, &content),
        Step::Delete { .. } => deletion(target),
        Step::React { add, .. } => reaction(target, "k", add),
        _ => return,
    };
    let outcome = append(&room_name(room), &user_name(user), body);
    let Some(message) = state.alive(target) else {
        assert!(scene.fails(outcome).await);
        return;
    };
    match step {
        Step::Edit { .. } => (message.content, message.version) = (Some(text(&content)), message.version + 1),
        Step::Delete { .. } => {
            *message = ModelMessage { version: message.version, ..ModelMessage::default() }
        }
        Step::React { add: true, .. } => _ = message.reactions.insert(user),
        _ => _ = message.reactions.remove(&user),
    }
    let seq = state.push(None);
    assert_eq!(scene.commit(outcome).await.position.seq, Seq(seq));
}

async fn compare<F: Fixture>(scene: &Scene<F>, model: &Model) {
    let stored = scene.store().stored_bytes(&tenant()).await.unwrap();
    assert_eq!(stored, crate::stored::summed(scene).await);
    for (room, state) in &model.rooms {
        let name = room_name(*room);
        let bound = PageBound { items: 1_000, bytes: usize::MAX };
        let page = scene.store().entries(&room_key(&name), EntryRange::After(Seq(0)), bound).await.unwrap();
        assert_eq!(page.entries.len(), state.entries.len());
        for (index, entry) in page.entries.iter().enumerate() {
            assert_eq!((entry.seq, entry.number), (Seq(index as u64 + 1), state.numbers[index]));
            if let EntryBody::Message(message) = &entry.body {
                let expected = state.entries[index].as_ref().unwrap();
                assert_eq!((&message.content, message.version), (&expected.content, expected.version));
                let users: Vec<_> = expected.reactions.iter().map(|who| user(&user_name(*who))).collect();
                let read = message.reactions.first().map(|summary| summary.users.clone()).unwrap_or_default();
                assert_eq!(read, users);
            } else {
                assert!(state.entries[index].is_none());
            }
        }
        for who in 0..4 {
            let who_name = user(&user_name(who));
            let marks = scene.store().marks(&room_key(&name), &who_name).await.unwrap();
            assert_eq!(marks, state.marks.get(&who).copied().unwrap_or_default());
            let member = scene.store().member(&room_key(&name), &who_name).await.unwrap();
            assert_eq!(member.is_some(), state.members.contains(&who));
        }
        let head = scene.store().room(&room_key(&name)).await.unwrap().unwrap();
        assert_eq!(head.members as usize, state.members.len());
        assert_eq!(head.head, page.head);
    }
}

pub(crate) async fn random_outcomes_match_the_model<F: Fixture>() {
    // On a thread of its own: within a task, futures that are polled by another executor starve.
    std::thread::spawn(tell_random_stories::<F>).join().unwrap();
}

fn tell_random_stories<F: Fixture>() {
    let mut runner =
        TestRunner::new(Config { cases: STORIES, failure_persistence: None, ..Config::default() });
    let told = runner.run(&steps(), |story| {
        futures::executor::block_on(async {
            let (mut scene, mut model) = (Scene::<F>::new(), Model::default());
            for step in story {
                apply(&mut scene, &mut model, step).await;
            }
            compare(&scene, &model).await;
            scene.reopen();
            compare(&scene, &model).await;
        });
        Ok(())
    });
    told.unwrap();
}
