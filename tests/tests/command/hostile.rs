//! What strangers do to the hub's ports: they are ended, and others are served. Who is slow is waited for elsewhere, with
//! shorter limits in time.

use carillon_tests::command::carillon;

const FLOODS: [&str; 13] = [
    "rapid_reset",
    "continuation",
    "long_headers",
    "header_bomb",
    "empty_data",
    "pings",
    "settings",
    "windows",
    "huge_message",
    "compressed",
    "request_headers",
    "socket_pings",
    "socket_fragments",
];

#[test]
fn floods_are_ended_and_others_are_served() {
    let bench =
        ["bench", "hostile", "--self", "--json", "--seconds", "0.3", "--attackers", "2", "--pairs", "2"];
    let ran = carillon(bench).arg("--only").arg(FLOODS.join(",")).run().good();
    let outcomes = ran.objects();
    let names: Vec<_> = outcomes.iter().map(|outcome| outcome["attack"].as_str().unwrap()).collect();
    assert_eq!(names[0], "none");
    assert_eq!(names[1..], FLOODS);
    for outcome in &outcomes {
        assert!(outcome["sent"].as_u64() > Some(0) && outcome["sent"] == outcome["heard"], "{outcome}");
        let is_attack = outcome["attack"] != "none";
        assert_eq!(outcome["ended"].as_u64() > Some(0), is_attack, "{outcome}");
    }
}
