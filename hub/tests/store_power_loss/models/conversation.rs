//! A room with members.

use std::collections::{BTreeMap, BTreeSet};

use carillon_hub::domain::content::Pairs;
use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::sqlite::SqliteStore;
use carillon_hub::store::{Store, Write};

use super::{log, message, name, now};
use crate::disk::Random;
use crate::lanes::{Ask, Model, Tenant, user};

/// A room that is created, its members and their marks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conversation {
    created: bool,
    members: BTreeSet<u64>,
    marks: BTreeMap<u64, Marks>,
    /// The number at each entry.
    numbers: Vec<u64>,
}

#[derive(Clone, Debug)]
pub(crate) enum ConversationStep {
    Create,
    Add(u64),
    Remove(u64),
    Send(u64),
    Mark(u64, u64, u64),
}

impl Conversation {
    const ROOM: &str = "room:1";
    const USERS: u64 = 4;

    fn push(&mut self, is_message: bool) -> (Seq, u64) {
        let number = self.numbers.last().copied().unwrap_or(0) + u64::from(is_message);
        self.numbers.push(number);
        (Seq(self.numbers.len() as u64), number)
    }

    fn add(&mut self, who: u64) {
        let (_, number) = self.push(false);
        if self.members.insert(who) && number > 0 {
            let marks = self.marks.entry(who).or_default();
            *marks = marks.joined(number);
        }
    }
}

impl Model for Conversation {
    type Step = ConversationStep;

    fn next(&self, random: &mut Random) -> ConversationStep {
        let (who, head) = (random.below(Self::USERS), self.numbers.len() as u64);
        match random.below(8) {
            _ if !self.created => ConversationStep::Create,
            0 => ConversationStep::Add(who),
            1 => ConversationStep::Remove(who),
            2 | 3 => ConversationStep::Send(who),
            _ => ConversationStep::Mark(who, random.below(head + 1), random.below(head + 1)),
        }
    }

    fn ask(&self, tenant: &Tenant, step: &ConversationStep) -> Ask {
        let change = |who: u64, change| {
            Write::Append(EntryBody::Membership { user: user(&name(who)), change, role: Role::Member })
        };
        let (who, writes) = match step {
            ConversationStep::Create => {
                let body = EntryBody::Room { created: true, metadata: Pairs::default() };
                let added = [0, 1].map(|who| change(who, MembershipChange::Added));
                (0, [Write::Create { direct: false }, Write::Append(body)].into_iter().chain(added).collect())
            }
            ConversationStep::Add(who) => (*who, vec![change(*who, MembershipChange::Added)]),
            ConversationStep::Remove(who) => (*who, vec![change(*who, MembershipChange::Removed)]),
            ConversationStep::Send(who) => (*who, vec![message("hello")]),
            ConversationStep::Mark(who, delivered, read) => {
                (*who, vec![Write::Marks { delivered: Seq(*delivered), read: Seq(*read) }])
            }
        };
        tenant.in_room(Self::ROOM, &name(who), writes)
    }

    fn apply(&mut self, step: &ConversationStep) {
        match step {
            ConversationStep::Create => {
                self.created = true;
                self.push(false);
                [0, 1].into_iter().for_each(|who| self.add(who));
            }
            ConversationStep::Add(who) => self.add(*who),
            ConversationStep::Remove(who) => {
                self.push(false);
                self.members.remove(who);
            }
            ConversationStep::Send(who) => {
                let (seq, read_number) = self.push(true);
                self.marks.insert(*who, Marks { delivered: seq, read: seq, read_number });
            }
            ConversationStep::Mark(who, delivered, read) => {
                let number = read.checked_sub(1).map_or(0, |index| self.numbers[index as usize]);
                let before = self.marks.get(who).copied().unwrap_or_default();
                let raised = before.raised(Seq(*delivered), Seq(*read), number);
                if raised != Marks::default() {
                    self.marks.insert(*who, raised);
                }
            }
        }
    }

    fn read(store: &SqliteStore, tenant: &Tenant) -> Result<Self, String> {
        let key = tenant.room(Self::ROOM);
        let room = now(store.room(&key))?;
        let listed = now(store.members(&key, None, 100))?;
        if room.as_ref().map_or(0, |room| room.members) as usize != listed.len() {
            return Err("the count of members is not theirs".to_owned());
        }
        let (mut members, mut marks) = (BTreeSet::new(), BTreeMap::new());
        for who in 0..Self::USERS {
            if listed.iter().any(|member| member.user == user(&name(who))) {
                members.insert(who);
            }
            let of_user = now(store.marks(&key, &user(&name(who))))?;
            if of_user != Marks::default() {
                marks.insert(who, of_user);
            }
        }
        let numbers = log(store, tenant, Self::ROOM)?.entries.iter().map(|entry| entry.number).collect();
        Ok(Self { created: room.is_some_and(|room| room.created), members, marks, numbers })
    }
}
