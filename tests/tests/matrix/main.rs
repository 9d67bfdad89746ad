//! Every command over every way into the hub by everybody: what each is answered is compared with one table for each kind
//! of room: `expected.txt`, `granted.txt`, `asked.txt` and `roles.txt`. A row is a command; `session` says that it needs one. A column is
//! who asks; a cell is `ok` or an error's code, and holds for all ways. `admin.txt` is the same for `AdminService`.

#![expect(clippy::panic, reason = "what helpers find wrong fails the test")]

mod admin;
mod callers;
mod commands;
mod office;
mod sheets;
mod ways;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use carillon_tests::browser::Beside;
use carillon_tests::hub;
use prost::Message;
use prost_types::{FieldDescriptorProto, FileDescriptorSet};

use callers::Scene;
use commands::COMMANDS;
use office::Office;
use sheets::Sheet;
use ways::{WAYS, Way};

/// What was answered, by command and caller.
type Table = BTreeMap<(&'static str, &'static str), String>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_do_the_same_over_every_way() {
    let bridge = Beside::bind(|options| options);
    let (office, address) = Office::opens().await;
    let hub = hub().with(|config| {
        sheets::add_namespaces(config);
        config.authorizer.url = Some(format!("http://{address}"));
        config.authorizer.cache = Duration::ZERO;
        config.authorizer.breaker_open = Duration::from_millis(100);
    });
    let hub = hub.start_with(&bridge).await;
    let scene = Scene::new(&hub, bridge.address(), office);
    let mut differences = String::new();
    for (sheet, way) in Sheet::ALL.into_iter().flat_map(|sheet| WAYS.map(|way| (sheet, way))) {
        let columns = sheet.callers().iter().map(|caller| column(&scene, sheet, way, caller));
        let found: Table = futures::future::join_all(columns).await.into_iter().flatten().collect();
        compare(&render(&found, sheet, way), &expected_of(sheet, way), way, &mut differences);
    }
    assert!(differences.is_empty(), "{differences}");
}

/// A command that the protocol gets is in the table too.
#[test]
fn the_table_has_every_command() {
    let set = FileDescriptorSet::decode(carillon_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let request = set.file.iter().flat_map(|file| &file.message_type).find(|m| m.name() == "SessionRequest");
    let fields = request.expect("the message").field.iter().filter(|field| field.oneof_index.is_some());
    let unanswered = ["hello", "pong", "goodbye"];
    let missing: Vec<_> = fields
        .map(FieldDescriptorProto::name)
        .filter(|name| !unanswered.contains(name))
        .filter(|name| !COMMANDS.iter().any(|command| command.name.starts_with(name)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What one caller is answered to each command that the way has.
async fn column(scene: &Scene<'_>, sheet: Sheet, way: Way, caller: &'static str) -> Table {
    let mut entrance = scene.enters(sheet, way, caller).await;
    let mut column = Table::new();
    // What is about another room or none changes nothing in this one.
    let outside = scene.place(sheet, caller).await;
    for command in sheet.commands().filter(|command| way.has(command)) {
        let own = if command.here { Some(scene.place(sheet, caller).await) } else { None };
        let verdict = entrance.does((command.make)(own.as_ref().unwrap_or(&outside))).await;
        column.insert((command.name, caller), verdict);
    }
    column
}

/// The table as the file has it.
fn render(found: &Table, sheet: Sheet, way: Way) -> Vec<String> {
    let rows = sheet.commands().filter(|command| way.has(command));
    rows.map(|command| {
        let mut row = format!("{:<22}{:<9}", command.name, if command.session { "session" } else { "any" });
        for caller in sheet.callers() {
            let verdict = found.get(&(command.name, *caller)).map_or("-", String::as_str);
            let _ = write!(row, "{verdict:<19}");
        }
        row.trim_end().to_owned()
    })
    .collect()
}

/// The rows of the file that a way has.
fn expected_of(sheet: Sheet, way: Way) -> Vec<String> {
    let rows: Vec<_> = rows_of(sheet.expected()).collect();
    assert_eq!(rows.len(), sheet.commands().count(), "{sheet:?} has a row for each command");
    let has = |row: &&str| {
        let name = row.split_whitespace().next();
        sheet.commands().any(|command| Some(command.name) == name && way.has(command))
    };
    rows.into_iter().filter(has).map(str::to_owned).collect()
}

/// The rows of a table without what is said of it.
fn rows_of(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// Codes of those who may not enter a room: a stream that resumes is told that it is not in it, and not why.
const NOT_IN: [&str; 3] = ["ACCESS_DENIED", "PERMISSION_DENIED", "NOT_FOUND"];

fn is_as_expected(found: &str, expected: &str) -> bool {
    let says = |(found, expected)| {
        found == expected
            || found == ways::LEFT && NOT_IN.contains(&expected)
            || found == ways::LATE && expected == "UNAVAILABLE"
    };
    let (found, expected) = (found.split_whitespace(), expected.split_whitespace());
    found.clone().count() == expected.clone().count() && found.zip(expected).all(says)
}

fn compare(found: &[String], expected: &[String], way: Way, into: &mut String) {
    for (found, expected) in found.iter().zip(expected) {
        if !is_as_expected(found, expected) {
            let _ = write!(into, "\n{way:?}\n  found    {found}\n  expected {expected}");
        }
    }
    assert_eq!(found.len(), expected.len(), "{way:?}");
}
