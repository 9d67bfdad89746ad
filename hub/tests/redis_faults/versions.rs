//! Nodes of this version beside nodes of the one before, as in a rolling upgrade: an effect that either has applied is applied by
//! neither again.

use carillon_test_redis::{Keeps, Server};

/// The script that this version applies effects by, and the one of the version before.
const SCRIPTS: [&str; 2] = [
    concat!(
        include_str!("../../src/store/redis/lua/common.lua"),
        include_str!("../../src/store/redis/lua/inbox_state.lua"),
        include_str!("../../src/store/redis/lua/apply.lua"),
    ),
    concat!(
        include_str!("../../src/store/redis/lua/common.lua"),
        include_str!("../../src/store/redis/lua/inbox_state.lua"),
        include_str!("apply_before.lua"),
    ),
];
const NOW: usize = 0;
const BEFORE: usize = 1;
const PARTITION: &str = "carillon:{7}:";
const SOURCE: u16 = 12;

/// Has an item applied by nodes of a version: whether they took it for one that was not yet.
fn is_new(server: &Server, version: usize, epoch: u64, number: u64) -> bool {
    let client = ::redis::Client::open(server.url()).unwrap();
    let script = ::redis::Script::new(SCRIPTS[version]);
    let mut call = script.key(PARTITION);
    call.arg(SOURCE).arg(&epoch.to_le_bytes()).arg(number).arg(1).arg("").arg("");
    call.arg("2").arg("acme").arg("conversation:a").arg(1).arg("1").arg("bob");
    let answer: Vec<::redis::Value> = call.invoke(&mut client.get_connection().unwrap()).unwrap();
    answer[0] == ::redis::Value::BulkString(b"ok".to_vec())
}

#[test]
fn an_effect_that_one_version_has_applied_is_applied_by_no_other_again() {
    let server = Server::start(Keeps::Nothing);
    for epoch in 1..=3 {
        let first = 100 * epoch;
        for (number, by) in [(1, BEFORE), (2, NOW), (3, BEFORE), (4, BEFORE), (5, NOW), (6, NOW)] {
            assert!(is_new(&server, by, epoch, first + number));
            for version in [NOW, BEFORE] {
                assert!(!is_new(&server, version, epoch, first + number), "{number} of epoch {epoch}");
            }
        }
        // A node that has not gone over to this epoch puts in what is of the one before.
        if epoch > 1 {
            assert!(!is_new(&server, NOW, epoch - 1, first - 94));
        }
    }
    assert_eq!(server.command::<u64>(&format!("HLEN {PARTITION}fx")), 2);
}
