//! A session's life: each script, played.

use std::collections::BTreeSet;

use carillon_proto::wire::WIRE_TABLE;

use crate::files::{self, Step};
use crate::play::Play;

#[tokio::test(start_paused = true)]
async fn the_client_does_what_the_scripts_say() {
    let scripts = files::scripts();
    assert!(scripts.len() > 80, "{} scripts", scripts.len());
    for (name, steps) in scripts {
        Play::new().play(&name, steps).await;
    }
}

#[test]
fn every_code_ends_a_session_and_refuses_one() {
    let scripts = files::scripts();
    let codes = |found: fn(&Step) -> Option<String>| -> BTreeSet<String> {
        scripts.iter().flat_map(|(_, steps)| steps).filter_map(found).collect()
    };
    let all: BTreeSet<_> = WIRE_TABLE.iter().map(|row| row.name.to_owned()).collect();
    let said = |kind: &'static str| {
        let of = codes(|step| match step {
            Step::Sends { frame: Some(frame), .. } => {
                let (kind, body) = frame.as_object()?.iter().next()?;
                Some(format!("{kind} {}", body.get("code")?.as_str()?))
            }
            _ => None,
        });
        let prefix = format!("{kind} ");
        of.iter().filter_map(|name| Some(name.strip_prefix(&prefix)?.to_owned())).collect::<BTreeSet<_>>()
    };
    let ends = codes(|step| match step {
        Step::Ends { code } => Some(code.clone()),
        _ => None,
    });
    for (what, codes) in [("error", said("error")), ("disconnected", said("disconnected")), ("an end", ends)]
    {
        let missing: Vec<_> = all.difference(&codes).collect();
        assert!(missing.is_empty(), "no script has {what} with {missing:?}");
    }
}
