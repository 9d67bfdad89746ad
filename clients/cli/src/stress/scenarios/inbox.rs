//! Notifications to users, to a room's members and to all: every device has each once and in order, and what one device
//! reads or deletes the others are told in the same order, with the same count.

use std::collections::BTreeSet;

use carillon_client::{AdminClient, Event, v1};

use crate::stress::fault::{Fault, Outcome, same, within};
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::world::{PATIENCE, World, key};

const DEVICES: usize = 3;
const STEPS: usize = 40;
/// The step before which the connection of one device is lost.
const CUT_EVERY: usize = 9;
const USERS: u64 = 2;

/// What the owner's inbox must hold.
#[derive(Default)]
struct Model {
    /// Every notification that was ever sent to the owner, in order.
    sent: Vec<String>,
    unread: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// The count after each change.
    counts: Vec<u64>,
}

/// What a device was told.
#[derive(Default)]
struct Told {
    notifications: Vec<String>,
    counts: Vec<u64>,
}

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let admin = world.admin()?;
    let names = ["owner".to_owned(), "other".to_owned()];
    world.conversation("inbox", &names).await?;
    let mut devices: Vec<Person> = Vec::new();
    for _ in 0..DEVICES {
        devices.push(world.enters("owner").await?);
    }
    let line = world.line().await?;
    let mut shaky = Person::connect("owner", world.options_over(&line, "owner")?).await?;
    let other = world.enters("other").await?;

    let mut model = Model::default();
    for step in 1..=STEPS {
        if step % CUT_EVERY == 0 {
            line.cut();
        }
        if model.sent.is_empty() || random.percent(60) {
            notify(&admin, &mut random, &mut model, step).await?;
        } else if let Some(device) = random.pick(&devices) {
            let wanted: Vec<_> = model.sent.iter().filter(|_| random.percent(20)).cloned().collect();
            change(device, &mut random, &mut model, wanted).await?;
        }
    }
    for device in &mut devices {
        hears(device, &model, true).await?;
        lists(device, &model).await?;
    }
    // Changes are told to those who are there; notifications to all, sooner or later.
    hears(&mut shaky, &model, false).await?;
    lists(&shaky, &model).await?;
    comes_later(&world, &model).await?;
    for person in devices.into_iter().chain([shaky, other]) {
        person.leaves().await;
    }
    Ok(Counts::default().with("notifications", model.sent.len()).with("changes", model.counts.len()))
}

async fn notify(admin: &AdminClient, random: &mut Random, model: &mut Model, step: usize) -> Outcome<()> {
    use v1::send_notification_request::Audience;
    let list = |users: &[&str]| {
        Audience::Users(v1::UserList { users: users.iter().map(ToString::to_string).collect() })
    };
    let (audience, recipients) = match random.below(5) {
        0 => (list(&["owner"]), 1),
        1 => (list(&["owner", "other"]), 2),
        2 => (Audience::RoomMembers("conversation:inbox".to_owned()), 2),
        3 => (Audience::AllUsers(true), USERS),
        _ => (list(&["other"]), 1),
    };
    let others = matches!(&audience, Audience::Users(list) if !list.users.iter().any(|user| user == "owner"));
    let request = v1::SendNotificationRequest {
        idempotency_key: key(random).into(),
        audience: Some(audience),
        kind: "stress".to_owned(),
        title: format!("step {step}"),
        ..v1::SendNotificationRequest::default()
    };
    let sent = admin.send_notification(request.clone()).await?;
    same("recipients", (sent.recipients, sent.duplicate), (recipients, false))?;
    if random.percent(30) {
        let again = admin.send_notification(request).await?;
        same("a repetition", (again.id.as_str(), again.duplicate), (sent.id.as_str(), true))?;
    }
    if !others {
        model.unread.insert(sent.id.clone());
        model.sent.push(sent.id);
    }
    Ok(())
}

async fn change(
    device: &Person,
    random: &mut Random,
    model: &mut Model,
    mut ids: Vec<String>,
) -> Outcome<()> {
    // An unknown id is skipped.
    ids.push("nosuch".to_owned());
    let changes = if random.percent(60) {
        device.client.notification_read(ids.clone()).await?;
        ids.iter().any(|id| model.unread.contains(id))
    } else {
        device.client.notification_delete(ids.clone()).await?;
        let there = |id: &&String| model.sent.contains(id) && !model.deleted.contains(*id);
        let gone: Vec<_> = ids.iter().filter(there).cloned().collect();
        model.deleted.extend(gone.iter().cloned());
        !gone.is_empty()
    };
    for id in &ids {
        model.unread.remove(id);
    }
    // What changes nothing is told to nobody.
    if changes {
        model.counts.push(model.unread.len() as u64);
    }
    Ok(())
}

/// Takes events until all notifications, and where asked all changes, have come. What was deleted while the device had
/// no connection does not come any more: where changes are not asked for, deleted ones may be missing.
async fn hears(device: &mut Person, model: &Model, changes: bool) -> Outcome<()> {
    let wanted: Vec<&String> = model.sent.iter().filter(|id| changes || !model.deleted.contains(*id)).collect();
    let mut told = Told::default();
    let wait = async {
        while !wanted.iter().all(|id| told.notifications.contains(id))
            || (changes && told.counts.len() < model.counts.len())
        {
            match device.next().await? {
                Event::Notification(notification) => told.notifications.push(notification.id),
                Event::NotificationState(state) => told.counts.push(state.inbox_unread),
                Event::InboxTruncated => return Err(Fault::broken("the inbox was truncated")),
                _ => {}
            }
        }
        Ok(())
    };
    let waited = within(PATIENCE, "a device has all notifications and changes", wait).await;
    let expected: Vec<_> =
        model.sent.iter().filter(|id| wanted.contains(id) || told.notifications.contains(id)).collect();
    same("the notifications of a device", told.notifications.iter().collect(), expected)?;
    if changes {
        same("the counts that a device was told", &told.counts, &model.counts)?;
    }
    waited
}

/// The inbox itself is as it must be.
async fn lists(device: &Person, model: &Model) -> Outcome<()> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let get = v1::NotificationsGet { cursor, limit: 7, ..v1::NotificationsGet::default() };
        let page = device.client.notifications(get).await?;
        same("unread in the list", page.inbox_unread, model.unread.len() as u64)?;
        for notification in page.notifications {
            same("read", notification.read, !model.unread.contains(&notification.id))?;
            ids.push(notification.id);
        }
        if page.next_cursor.is_empty() {
            break;
        }
        cursor = page.next_cursor;
    }
    let expected: Vec<_> = model.sent.iter().rev().filter(|id| !model.deleted.contains(*id)).cloned().collect();
    same("the list", ids, expected)
}

/// A device that was not there finds the same.
async fn comes_later(world: &World, model: &Model) -> Outcome<()> {
    let late = world.enters("owner").await?;
    same("unread at connect", late.client.connected().inbox_unread, model.unread.len() as u64)?;
    lists(&late, model).await?;
    late.leaves().await;
    Ok(())
}
