//! Nobody fills the audit log with what they are refused, and nothing of it is left out without a word.

use carillon_client::v1::session_request::Command;
use carillon_client::{AdminClient, ClientOptions, Executor, v1};
use carillon_hub::config::{AuditTo, LimitsSection, RateSetting};
use carillon_hub::domain::limits::AUDIT_REFUSED;
use carillon_hub::domain::rate::Rate;
use carillon_tests::wire::{code, join};
use carillon_tests::{TestHub, Wire, hub};
use serde_json::{Value, json};

use crate::audit::{lines, of};

const TIMES: u64 = 200;
const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

async fn unlimited() -> TestHub {
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits = LimitsSection::off();
    });
    hub.start().await
}

/// How many of somebody's refusals are written, and how many are said not to be.
fn counted(lines: &[Value], part: &str, name: &str) -> (u64, u64) {
    let theirs = lines.iter().filter(|line| line[part] == name && line["outcome"] == "refused");
    summed(&theirs.cloned().collect::<Vec<_>>())
}

/// The same of these lines.
fn summed(lines: &[Value]) -> (u64, u64) {
    let summed = lines.iter().filter(|line| line["event"] == "refused");
    let summed: u64 = summed.map(|line| line["count"].as_u64().unwrap()).sum();
    let written = lines.iter().filter(|line| line["event"] != "refused");
    let left_out: u64 = written.clone().filter_map(|line| line["left_out"].as_u64()).sum();
    (written.count() as u64, summed + left_out)
}

#[tokio::test]
async fn what_one_user_is_refused_is_summed_up() {
    let hub = unlimited().await;
    let none = || v1::HistoryGet { room: "conversation:none".into(), ..Default::default() };
    let [alice, bob] = ["alice", "bob"]
        .map(|name| Executor::new(ClientOptions::new(hub.url()).token(hub.token(name))).unwrap());
    let mut session = Wire::enters(&hub, "alice").await;
    for _ in 0..TIMES {
        alice.call::<v1::HistoryPage>(Command::History(none())).await.unwrap_err();
        assert_eq!(code(&session.asks(Command::Join(join("conversation:none"))).await), "ACCESS_DENIED");
    }
    bob.call::<v1::HistoryPage>(Command::History(none())).await.unwrap_err();
    session.joins(join("room:lobby")).await;
    drop(session);
    let lines = lines(&hub.stops().await);
    let (written, left_out) = counted(&lines, "user", "alice");
    assert_eq!(written + left_out, 2 * TIMES, "each is counted once");
    // One more every ten seconds, however long this takes.
    assert!(written >= u64::from(AUDIT_REFUSED.burst) && written < TIMES, "{written}");
    assert_eq!(counted(&lines, "user", "bob"), (1, 0), "others have lines of their own");
    assert!(of(&lines, "join").iter().any(|line| line["outcome"] == "ok"), "what is done is written");
    let summed = of(&lines, "refused");
    assert!(summed.iter().all(|line| line["tenant"].is_string() && line["token"].is_null()), "{summed:?}");
}

#[tokio::test]
async fn what_one_service_is_refused_is_summed_up() {
    let hub = unlimited().await;
    let (admin, none) =
        (hub.admin(), || v1::GetRoomRequest { room: "room:none".into(), ..Default::default() });
    for _ in 0..TIMES {
        admin.get_room(none()).await.unwrap_err();
    }
    let lines = lines(&hub.stops().await);
    let (written, left_out) = counted(&lines, "service", "billing");
    assert_eq!(written + left_out, TIMES);
    assert!(written >= u64::from(AUDIT_REFUSED.burst) && written < TIMES, "{written}");
}

/// One for all tenants names another each time: it is one service all the same.
#[tokio::test]
async fn what_a_service_for_all_tenants_is_refused_is_summed_up() {
    let hub = unlimited().await;
    let token =
        hub.token_that_says(&json!({"sub": "ops", "svc": true, "tenants": "*", "abilities": ["send"]}));
    for nth in 0..TIMES {
        let options = ClientOptions::new(hub.url()).token(token.clone());
        let admin = AdminClient::new(options, format!("tenant-{nth}")).unwrap();
        admin.get_statistics(v1::GetStatisticsRequest::default()).await.unwrap_err();
    }
    let lines = lines(&hub.stops().await);
    let (written, left_out) = counted(&lines, "service", "ops");
    assert_eq!(written + left_out, TIMES);
    assert!(written >= u64::from(AUDIT_REFUSED.burst) && written < TIMES, "{written}");
    let summed = of(&lines, "refused");
    assert!(summed.iter().all(|line| line["tenant"].is_null()), "{summed:?}");
}

/// Nothing is lost at the end that no line was due for: of strangers, and of who was held back.
#[tokio::test]
async fn what_was_left_out_of_strangers_and_limits_is_said_at_the_end() {
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits =
            LimitsSection { commands: RateSetting(Some(Rate::new(1, HOUR))), ..LimitsSection::off() };
    });
    let hub = hub.start().await;
    let of = |token: &str| Executor::new(ClientOptions::new(hub.url()).token(token.to_owned())).unwrap();
    let (stranger, alice) = (of("a.b.c"), of(&hub.token("alice")));
    let rooms = || Command::Rooms(v1::RoomsGet::default());
    alice.call::<v1::RoomsPage>(rooms()).await.unwrap();
    for _ in 0..TIMES {
        stranger.call::<v1::RoomsPage>(rooms()).await.unwrap_err();
        alice.call::<v1::RoomsPage>(rooms()).await.unwrap_err();
    }
    let lines = lines(&hub.stops().await);
    let (written, left_out) = counted(&lines, "user", "alice");
    assert_eq!(written + left_out, TIMES);
    let of_nobody = lines.iter().filter(|line| line["user"].is_null() && line["service"].is_null());
    let of_nobody: Vec<_> = of_nobody.filter(|line| line["outcome"] == "refused").cloned().collect();
    let (written, left_out) = summed(&of_nobody);
    assert_eq!(written + left_out, TIMES);
    assert!(written < TIMES, "{written}");
}

/// While the hub runs, nothing that was left out waits for its end to be said.
#[tokio::test]
async fn what_was_left_out_is_said_by_and_by() {
    let folder = tempfile::tempdir().unwrap();
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.audit.folder = Some(folder.path().to_owned());
        config.audit.anchor_interval = std::time::Duration::from_millis(100);
        config.limits = LimitsSection::off();
    });
    let hub = hub.start().await;
    let alice = Executor::new(ClientOptions::new(hub.url()).token(hub.token("alice"))).unwrap();
    let none = || v1::HistoryGet { room: "conversation:none".into(), ..Default::default() };
    for _ in 0..TIMES {
        alice.call::<v1::HistoryPage>(Command::History(none())).await.unwrap_err();
    }
    let said = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            let files = carillon_hub::audit::files(folder.path()).unwrap();
            let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
            if texts.collect::<String>().contains("\"event\":\"refused\"") {
                return;
            }
            looks.tick().await;
        }
    };
    tokio::time::timeout(3 * carillon_tests::PATIENCE, said).await.expect("it is said");
    hub.stops().await;
}
