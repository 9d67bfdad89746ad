//! A random mix of commands of three users in one conversation, with a simple model beside it.

use std::collections::{BTreeMap, BTreeSet};

use carillon_client::{Client, CommandError, Event, v1};
use carillon_tests::hub;
use carillon_tests::story::{seq_of, text_of};
use v1::Role;

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const STEPS: u64 = 80;

/// A small generator: runs are the same for the same seed.
struct Dice(u64);

impl Dice {
    /// A number below `most`.
    fn roll(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// What was accepted, at its seq.
#[derive(Clone, Debug)]
enum Accepted {
    Sent(String),
    Edited(u64, String),
    Deleted(u64),
    Reacted(u64, String, bool),
}

/// A message as it should read.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    sender: String,
    words: Option<String>,
    version: u32,
    reactions: BTreeMap<String, BTreeSet<String>>,
}

/// One user's part: what was accepted of it. Whatever may fail as another was faster may fail in that way only.
async fn plays(client: Client, room: String, who: &'static str, seed: u64) -> Vec<(u64, String, Accepted)> {
    let mut dice = Dice(seed);
    let mut done = Vec::new();
    let mut head = 1;
    for step in 0..STEPS {
        let words = format!("{who} {step}");
        let target = 1 + dice.roll(head);
        let key = ["+1", "-1"][dice.roll(2) as usize].to_owned();
        let outcome = match dice.roll(10) {
            0..=3 => client
                .send(&room, &words)
                .await
                .map(|sent| (sent.position.unwrap().seq, Accepted::Sent(words))),
            4..=6 => {
                let edited = client.edit(&room, target, &words).await;
                edited.map(|accepted| (seq_of(&accepted), Accepted::Edited(target, words)))
            }
            7 => match client.delete(&room, target).await {
                // Deleted by someone else before: no entry of this one's.
                Ok(accepted) if accepted.duplicate => continue,
                deleted => deleted.map(|accepted| (seq_of(&accepted), Accepted::Deleted(target))),
            },
            _ => {
                let add = dice.roll(3) > 0;
                let reacted = client.react(&room, target, &key, add).await;
                reacted.map(|accepted| (seq_of(&accepted), Accepted::Reacted(target, key, add)))
            }
        };
        match outcome {
            Ok((seq, accepted)) => {
                head = head.max(seq);
                done.push((seq, who.to_owned(), accepted));
            }
            Err(CommandError::Refused(refusal)) => {
                let code = refusal.code.name();
                assert!(["NOT_FOUND", "CONFLICT", "PERMISSION_DENIED"].contains(&code), "{refusal}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    done
}

fn model(log: &BTreeMap<u64, (String, Accepted)>) -> BTreeMap<u64, Known> {
    let mut messages: BTreeMap<u64, Known> = BTreeMap::new();
    for (seq, (who, accepted)) in log {
        match accepted {
            Accepted::Sent(words) => {
                let known =
                    Known { sender: who.clone(), words: Some(words.clone()), version: 1, ..Known::default() };
                messages.insert(*seq, known);
            }
            Accepted::Edited(target, words) => {
                let message = messages.get_mut(target).expect("only messages are edited");
                assert!(message.sender == *who && message.words.is_some(), "{who} edits {message:?}");
                message.words = Some(words.clone());
                message.version += 1;
            }
            Accepted::Deleted(target) => {
                let message = messages.get_mut(target).expect("only messages are deleted");
                assert!(message.sender == *who || who == "alice");
                message.words = None;
                message.reactions.clear();
            }
            Accepted::Reacted(target, key, add) => {
                let message = messages.get_mut(target).expect("only messages are reacted to");
                assert!(message.words.is_some());
                let users = message.reactions.entry(key.clone()).or_default();
                _ = if *add { users.insert(who.clone()) } else { users.remove(who) };
                message.reactions.retain(|_, users| !users.is_empty());
            }
        }
    }
    messages
}

fn known(message: &v1::Message) -> Known {
    let reactions = message.reactions.iter().map(|r| (r.key.clone(), r.users.iter().cloned().collect()));
    Known {
        sender: message.header.as_ref().unwrap().sender.clone(),
        words: message.content.as_ref().map(|content| text_of(Some(content)).to_owned()),
        version: message.version,
        reactions: reactions.collect(),
    }
}

#[tokio::test]
async fn history_is_what_was_accepted_and_all_saw_the_same() {
    let hub = hub().start().await;
    for seed in [1, 20_250_101] {
        let mut people = Vec::new();
        for user in USERS {
            people.push(hub.enters(user).await);
        }
        let room = people[0].creates(&[("bob", Role::Member), ("carol", Role::Member)]).await;
        let mut begin = 0;
        for person in &people {
            begin = person.joins(&room).await.position.unwrap().seq;
        }
        let plays = USERS.iter().zip(&people).zip(seed..).map(|((who, person), seed)| {
            tokio::spawn(plays(person.client.clone(), room.clone(), *who, seed))
        });
        let mut log = BTreeMap::new();
        for play in plays.collect::<Vec<_>>() {
            for (seq, who, accepted) in play.await.unwrap() {
                assert!(log.insert(seq, (who, accepted)).is_none(), "{seq} was given twice");
            }
        }
        let head = begin + log.len() as u64;
        assert!(log.keys().copied().eq(begin + 1..=head), "no holes");
        let mut orders = Vec::new();
        for person in &mut people {
            let heard = person.hears_through(&room, head).await;
            orders.push(
                heard.into_iter().filter(|event| event.entry().is_some()).map(blank).collect::<Vec<_>>(),
            );
        }
        assert!(orders.iter().all(|order| *order == orders[0]), "everyone sees the same, in the same order");
        assert_eq!(orders[0].len(), log.len());
        let history = people[2].reads(&room).await.into_iter().filter_map(|event| match event {
            Event::Message(message) => Some((carillon_tests::seq(&message), known(&message))),
            _ => None,
        });
        assert_eq!(history.collect::<BTreeMap<_, _>>(), model(&log), "seed {seed}");
    }
}

/// An entry without what may differ between whoever is fast and whoever is slow: an edit may be blank already.
fn blank(event: Event) -> (u64, String) {
    let seq = event.entry().map_or(0, |(_, header)| header.seq);
    let kind = match event {
        Event::Message(message) => format!("message of {}", message.header.unwrap().sender),
        Event::MessageEdited(edited) => format!("edit {} of {}", edited.version, edited.target_seq),
        Event::MessageDeleted(deleted) => format!("deletion of {}", deleted.target_seq),
        Event::Reaction(reaction) => format!("{} {} to {}", reaction.key, reaction.add, reaction.target_seq),
        other => panic!("{other:?}"),
    };
    (seq, kind)
}
