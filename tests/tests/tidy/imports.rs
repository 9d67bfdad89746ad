//! Who imports whom. Within the hub imports go downward only; between crates, ends never know each other.

use crate::files::{self, TextFile};

/// The hub's modules, and what each may import, the lowest first.
const MODULES: [(&str, &[&str]); 19] = [
    ("domain", &[]),
    ("redis", &["domain"]),
    ("store", &["domain", "redis"]),
    ("bus", &["domain", "redis", "store"]),
    ("access", &["domain", "store"]),
    ("telemetry", &["domain", "redis", "store", "bus"]),
    ("audit", &["domain", "store", "telemetry"]),
    // The areas: none knows another.
    ("conversations", &["domain", "store", "access"]),
    ("presence", &["domain", "store", "bus", "access"]),
    ("inbox", &["domain", "store", "access"]),
    ("events", &["domain", "store", "access"]),
    ("administration", &["domain", "store", "access"]),
    ("delivery", &["domain", "store", "bus"]),
    ("config", &["domain", "redis", "access", "audit", "telemetry"]),
    (
        "session",
        &[
            "domain",
            "store",
            "bus",
            "access",
            "audit",
            "conversations",
            "presence",
            "inbox",
            "events",
            "administration",
            "delivery",
            "telemetry",
            "config",
        ],
    ),
    ("grpc", &["domain", "store", "access", "audit", "administration", "delivery", "session", "telemetry"]),
    ("http", &["domain", "store", "telemetry"]),
    (
        "app",
        &[
            "domain",
            "redis",
            "store",
            "bus",
            "access",
            "audit",
            "telemetry",
            "presence",
            "administration",
            "delivery",
            "config",
            "session",
            "grpc",
            "http",
        ],
    ),
    ("lib", &[]),
];

/// The parts of the command that run a hub, read its settings or make its tokens; all others are clients.
const COMMANDS_WITH_A_HUB: [&str; 13] = [
    // It goes over the audit log as the hub does.
    "clients/cli/src/commands/admin/audit.rs",
    // Its log and its settings are the hub's.
    "clients/cli/src/commands/bridge",
    "clients/cli/src/browsers.rs",
    "clients/cli/src/hub_process.rs",
    "clients/cli/src/dev_tokens.rs",
    "clients/cli/src/commands/serve.rs",
    // It opens a store that no hub has open.
    "clients/cli/src/commands/store.rs",
    "clients/cli/src/commands/hub.rs",
    "clients/cli/src/commands/config.rs",
    "clients/cli/src/commands/token.rs",
    "clients/cli/src/bench/credentials.rs",
    // Its scenarios need tokens of their own: short ones, and ones that are wrong.
    "clients/cli/src/stress/",
    // What it costs to store is measured without a hub around it.
    "clients/cli/src/bench/store/",
];

/// The hub's module that a file belongs to.
fn module(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("hub/src/")?;
    Some(rest.split_once('/').map_or(rest.trim_end_matches(".rs"), |(module, _)| module))
}

fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

/// The names after each `prefix` in a line of code.
fn after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let pieces = if is_code(line) { line.split(prefix).skip(1) } else { "".split(prefix).skip(1) };
    pieces.map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        rest.split_at(end.unwrap_or(rest.len())).0
    })
}

/// How many modules a file is below the crate's root.
fn depth(path: &str) -> usize {
    let rest = path.trim_start_matches("hub/src/").trim_end_matches(".rs").trim_end_matches("/mod");
    rest.split('/').count()
}

fn hub_files(files: &[TextFile]) -> impl Iterator<Item = (&TextFile, &str)> {
    files.iter().filter_map(|file| Some((file, module(&file.path)?)))
}

#[test]
fn the_hubs_modules_import_downward_only() {
    let files = files::all();
    let mut found = Vec::new();
    for (file, module) in hub_files(&files) {
        let Some((_, below)) = MODULES.iter().find(|(name, _)| *name == module) else {
            found.push(format!("{}: the module {module} is not in the table", file.path));
            continue;
        };
        for (number, line) in file.production() {
            for name in after(line, "crate::") {
                if name != module && !below.contains(&name) {
                    found.push(format!("{}: {module} may not import {name}", file.at(number)));
                }
            }
            // The root by way of `super` would go round the table.
            if is_code(line) && line.contains(&"super::".repeat(depth(&file.path))) {
                found.push(format!("{}: names the crate's root by super", file.at(number)));
            }
        }
    }
    files::none("imports go downward", &found);
}

#[test]
fn every_module_in_the_table_is_there() {
    let files = files::all();
    let missing = MODULES.iter().filter(|(name, _)| hub_files(&files).all(|(_, module)| module != *name));
    let missing: Vec<_> = missing.map(|(name, _)| (*name).to_owned()).collect();
    files::none("in the table, and not in the hub", &missing);
}

#[test]
fn protobuf_stops_at_the_grpc_front() {
    let files = files::all();
    let mut found = Vec::new();
    for (file, module) in hub_files(&files).filter(|(_, module)| *module != "grpc") {
        for (number, line) in file.production().filter(|(_, line)| is_code(line)) {
            let frame = ["delivery", "session"].contains(&module)
                && ["carillon_proto::Frame;", "carillon_proto::shortcut::"]
                    .iter()
                    .any(|name| line.contains(name));
            let port = module == "app" && line.contains("carillon_proto::port::");
            if ["carillon_proto", "prost", "tonic::"].iter().any(|name| line.contains(name))
                && !frame
                && !port
            {
                found.push(format!("{}: {}", file.at(number), line.trim()));
            }
        }
    }
    files::none(
        "protobuf and tonic are grpc's; delivery and session know the frame and the way past a task, app the port",
        &found,
    );
}

#[test]
fn adapters_are_named_by_the_composition_alone() {
    let files = files::all();
    let mut found = Vec::new();
    for (file, _) in hub_files(&files).filter(|(_, module)| !["store", "app"].contains(module)) {
        let lines = file.production().filter(|(_, line)| is_code(line));
        let named = lines.filter(|(_, line)| line.contains("store::sqlite") || line.contains("rusqlite"));
        found.extend(named.map(|(number, line)| format!("{}: {}", file.at(number), line.trim())));
    }
    files::none("a concrete store", &found);
}

/// The files below `folder` that name any of `crates`.
fn naming(files: &[TextFile], folder: &str, crates: &[&str]) -> Vec<String> {
    let within = files.iter().filter(|file| file.path.starts_with(folder));
    let code = within.filter(|file| file.extension() == "rs" || file.path.ends_with("Cargo.toml"));
    let naming = code.filter(|file| {
        let names = |name: &&str| {
            file.text.lines().filter(|line| is_code(line)).any(|line| line.replace('-', "_").contains(*name))
        };
        crates.iter().any(names)
    });
    naming.map(|file| file.path.clone()).collect()
}

#[test]
fn ends_of_the_protocol_do_not_know_each_other() {
    let files = files::all();
    for (folder, others) in [
        ("proto/", &["carillon_hub", "carillon_client", "carillon_net"][..]),
        ("net/", &["carillon_proto", "carillon_hub", "carillon_client", "carillon_bridge"]),
        ("hub/", &["carillon_client"]),
        ("clients/rust/", &["carillon_hub"]),
        ("bridge/", &["carillon_hub", "carillon_client"]),
    ] {
        files::none(&format!("{folder} knows none of {others:?}"), &naming(&files, folder, others));
    }
}

#[test]
fn commands_of_clients_know_the_client_library_alone() {
    let files = files::all();
    let mut found = naming(&files, "clients/cli/src/", &["carillon_hub"]);
    found.retain(|path| {
        !COMMANDS_WITH_A_HUB.iter().any(|with| path.starts_with(with)) && !path.contains("/tests/")
    });
    files::none("a client's command that knows the hub", &found);
}
