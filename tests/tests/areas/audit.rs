//! What users and administrators do and are refused is written down, by ids alone.

use std::fs;

use carillon_bridge::{AddressLimits, Options};
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{AdminClient, ClientOptions, Executor, v1};
use carillon_hub::audit::{SealKey, Verifier, files, for_each_line};
use carillon_hub::config::{AuditTo, LimitsSection, NamespaceSection, OnAuditFailure, RateSetting};
use carillon_hub::domain::namespace::Who;
use carillon_hub::domain::rate::Rate;
use carillon_tests::browser::{Beside, request};
use carillon_tests::hub::{Plan, TENANT};
use carillon_tests::story::message;
use carillon_tests::wire::{Opening, code, greeting, join};
use carillon_tests::{TestHub, Wire, hub};
use serde_json::{Value, json};

const SECRET_WORDS: &str = "nobody else must read this";

pub(crate) async fn audited() -> TestHub {
    hub().with(|config| config.audit.to = Some(AuditTo::File)).start().await
}

/// The lines of a hub that has stopped; the log is whole.
pub(crate) fn lines(plan: &Plan) -> Vec<Value> {
    let key = SealKey::new(fs::read(plan.folder().join("audit-key")).unwrap().trim_ascii()).unwrap();
    let (mut lines, mut verifier) = (Vec::new(), Verifier::new(&key, &[]));
    for file in files(&plan.folder().join("audit")).unwrap() {
        for_each_line(&file, |line| {
            verifier.line(line);
            assert!(!line.contains(SECRET_WORDS) && !line.contains("eyJ"), "{line}");
            lines.push(serde_json::from_str(line).unwrap());
        })
        .unwrap();
    }
    let report = verifier.finish(false);
    assert!(report.findings.is_empty(), "{report:?}");
    lines
}

/// The lines of an event.
pub(crate) fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[tokio::test]
async fn what_users_do_and_are_denied() {
    let hub = audited().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.joins(join("room:lobby")).await;
    let Kind::MessageSent(sent) = alice.asks(Command::MessageSend(message("room:lobby", SECRET_WORDS))).await
    else {
        panic!("it is sent");
    };
    let seq = sent.position.unwrap().seq;
    let delete = v1::MessageDelete { room: "room:lobby".into(), seq };
    alice.asks(Command::MessageDelete(delete)).await;
    let history = v1::HistoryGet { room: "room:lobby".into(), limit: 7, ..v1::HistoryGet::default() };
    alice.asks(Command::History(history)).await;
    assert_eq!(code(&alice.asks(Command::Join(join("conversation:none"))).await), "ACCESS_DENIED");
    let wrong = alice.asks(Command::MessageSend(message("conversation:none", SECRET_WORDS))).await;
    assert_eq!(code(&wrong), "ACCESS_DENIED");
    drop(alice);
    let lines = lines(&hub.stops().await);
    let opened = of(&lines, "session.opened")[0];
    assert_eq!((&opened["user"], &opened["tenant"]), (&Value::from("alice"), &Value::from(TENANT)));
    let session = &opened["session"];
    for (event, room, outcome) in [
        ("join", "room:lobby", "ok"),
        ("message_send", "room:lobby", "ok"),
        ("message_delete", "room:lobby", "ok"),
        ("history", "room:lobby", "ok"),
        ("join", "conversation:none", "refused"),
        ("message_send", "conversation:none", "refused"),
    ] {
        let found = of(&lines, event);
        let line = found.iter().find(|line| line["room"] == room).expect(event);
        assert_eq!((&line["outcome"], &line["session"]), (&Value::from(outcome), session), "{line}");
        assert!(line["token"].as_str().is_some_and(|hash| hash.len() == 64), "{line}");
        assert!(line["request"].as_str().is_some_and(|request| request.contains('/')), "{line}");
        if outcome == "refused" {
            assert_eq!(line["reason"], "ACCESS_DENIED");
        }
    }
    assert_eq!(of(&lines, "message_send")[0]["entry"], seq);
    assert_eq!(of(&lines, "message_delete")[0]["entry"], seq);
    assert_eq!(of(&lines, "history")[0]["count"], 7);
    assert_eq!(of(&lines, "session.ended").len(), 1);
    assert_eq!((of(&lines, "hub.started").len(), of(&lines, "hub.stopped").len()), (1, 1));
}

#[tokio::test]
async fn whose_joins_the_hub_ends() {
    let cases =
        NamespaceSection { name: "case".to_owned(), join: Who::Granted, ..NamespaceSection::default() };
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.namespaces.push(cases);
    });
    let hub = hub.start().await;
    let token = |can: Value| hub.token_that_says(&json!({"rooms": [{"room": "case:7", "can": can}]}));
    let mut alice = Wire::enters_with(&hub, v1::Hello { token: token(json!(["join"])), ..greeting() }).await;
    alice.joins(join("case:7")).await;
    alice.joins(join("room:lobby")).await;
    let refresh = v1::RefreshToken { token: token(json!([])) };
    assert!(matches!(alice.asks(Command::RefreshToken(refresh)).await, Kind::Done(_)));
    alice.until(|kind| matches!(kind, Kind::Left(_)).then_some(())).await;
    let lines = lines(&hub.stops().await);
    let [left] = of(&lines, "left")[..] else { panic!("one line: {lines:?}") };
    let said = ["user", "room", "outcome", "reason"].map(|part| left[part].as_str().unwrap_or_default());
    assert_eq!(said, ["alice", "case:7", "refused", "ACCESS_DENIED"]);
    assert_eq!(left["session"], of(&lines, "session.opened")[0]["session"]);
}

#[tokio::test]
async fn who_is_refused_and_why() {
    let hub = audited().await;
    let mut stranger = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    stranger.ask(Command::Hello(v1::Hello { token: "a.b.c".into(), ..greeting() }));
    assert_eq!(stranger.ends().await.1.reason, "INVALID_TOKEN");
    let execute = Executor::new(ClientOptions::new(hub.url()).token("a.b.c")).unwrap();
    execute.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await.unwrap_err();
    let user = AdminClient::new(ClientOptions::new(hub.url()).token(hub.token("alice")), TENANT).unwrap();
    user.get_statistics(v1::GetStatisticsRequest::default()).await.unwrap_err();
    let lines = lines(&hub.stops().await);
    let opened = of(&lines, "session.opened");
    assert_eq!((&opened[0]["outcome"], &opened[0]["reason"]), (&"refused".into(), &"INVALID_TOKEN".into()));
    let reasons: Vec<_> = of(&lines, "authentication").iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, ["INVALID_TOKEN", "PERMISSION_DENIED"]);
}

#[tokio::test]
async fn who_is_known_and_refused_is_named() {
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits.sessions_per_user = 1;
    });
    let hub = hub.start().await;
    let _first = Wire::enters(&hub, "alice").await;
    let mut second = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    second.ask(Command::Hello(v1::Hello { token: hub.token("alice"), ..greeting() }));
    assert_eq!(second.ends().await.1.reason, "CONNECTION_LIMIT_EXCEEDED");
    let everywhere =
        v1::RevokeTokensRequest { what: Some(What::Everybody(true)), everywhere: true, ..Default::default() };
    hub.admin().revoke_tokens(everywhere).await.unwrap_err();
    let before_ms = 1_000;
    let everybody =
        v1::RevokeTokensRequest { what: Some(What::Everybody(true)), before_ms, ..Default::default() };
    hub.admin().revoke_tokens(everybody).await.unwrap();
    let lines = lines(&hub.stops().await);
    let refused: Vec<_> =
        of(&lines, "session.opened").into_iter().filter(|line| line["outcome"] == "refused").collect();
    assert_eq!((&refused[0]["user"], refused.len()), (&"alice".into(), 1));
    let revoked = of(&lines, "revoke_tokens");
    assert_eq!((&revoked[0]["reason"], revoked.len()), (&"PERMISSION_DENIED".into(), 2));
    assert_eq!(revoked[1]["subject"], "everybody before 1000");
}

#[tokio::test]
async fn what_administrators_do() {
    let hub = audited().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let admin = hub.admin();
    admin.get_room(v1::GetRoomRequest { room: "room:none".into(), ..Default::default() }).await.unwrap_err();
    let say = v1::SendMessageRequest {
        room: "room:lobby".into(),
        content: message("room:lobby", SECRET_WORDS).content,
        ..v1::SendMessageRequest::default()
    };
    admin.send_message(say).await.unwrap();
    let what = Some(What::User("alice".into()));
    admin.revoke_tokens(v1::RevokeTokensRequest { what, ..Default::default() }).await.unwrap();
    alice.ends_with("SESSION_INVALIDATED").await;
    let lines = lines(&hub.stops().await);
    let room = of(&lines, "get_room")[0];
    assert_eq!((&room["room"], &room["reason"]), (&"room:none".into(), &"NOT_FOUND".into()));
    let sent = of(&lines, "message_send")[0];
    assert_eq!((&sent["service"], &sent["room"]), (&"billing".into(), &"room:lobby".into()));
    assert!(of(&lines, "send_message").is_empty(), "it is said once");
    let revoked = of(&lines, "revoke_tokens")[0];
    assert_eq!((&revoked["subject"], &revoked["outcome"]), (&"user alice".into(), &"ok".into()));
    assert_eq!(of(&lines, "session.ended")[0]["reason"], "SESSION_INVALIDATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_say_where_it_was_asked_from() {
    let here = "127.0.0.1".parse().unwrap();
    let bridge = Beside::bind(|options| carillon_bridge::Options { trusted_proxies: vec![here], ..options });
    let hub = hub().with(|config| config.audit.to = Some(AuditTo::File)).start_with(&bridge).await;
    let agent = ("user-agent", "grpc-go/1".to_owned());
    let opening = Opening { metadata: vec![agent], ..Opening::default() };
    let mut alice = Wire::open(hub.hub.grpc_address(), opening).await;
    alice.greets(v1::Hello { token: hub.token("alice"), ..greeting() }).await;
    alice.joins(join("room:lobby")).await;
    let execute = Executor::new(ClientOptions::new(hub.url()).token("a.b.c")).unwrap();
    execute.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await.unwrap_err();
    hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    let origin = "https://app.example.org";
    let headers = [
        ("authorization", "Bearer d.e.f"),
        ("x-forwarded-for", "192.0.2.77"),
        ("user-agent", "browser/1"),
        ("origin", origin),
    ];
    let posted = request(bridge.address(), "POST", "/v1/commands", &headers, r#"{"rooms": {}}"#).await;
    assert_eq!(posted.status, 401, "{posted:?}");
    drop(alice);
    let lines = lines(&hub.stops().await);
    for event in ["session.opened", "join"] {
        let line = of(&lines, event)[0];
        assert_eq!((&line["address"], &line["agent"]), (&"127.0.0.1".into(), &"grpc-go/1".into()));
    }
    for event in ["session.ended", "get_statistics"] {
        assert_eq!(of(&lines, event)[0]["address"], "127.0.0.1", "{event}");
    }
    let refused = of(&lines, "authentication");
    assert_eq!(refused[0]["address"], "127.0.0.1");
    let browsers = ["address", "agent", "origin"].map(|name| refused[1][name].as_str().unwrap());
    assert_eq!(browsers, ["192.0.2.77", "browser/1", origin]);
}

#[tokio::test]
async fn an_address_that_tries_too_often_is_written_down() {
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.grpc.attempts_per_address = 2;
    });
    let hub = hub.start().await;
    let tries = || async {
        let execute = Executor::new(ClientOptions::new(hub.url()).token("a.b.c")).unwrap();
        execute.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await.unwrap_err();
    };
    for _ in 0..20 {
        tries().await;
    }
    let lines = lines(&hub.stops().await);
    let codes = |event| of(&lines, event).iter().map(|line| line["reason"].clone()).collect::<Vec<_>>();
    // That it is refused is written once a minute, however often it goes on.
    assert_eq!(codes("authentication"), ["INVALID_TOKEN", "INVALID_TOKEN", "TOO_MANY_CONNECTIONS"]);
}

/// On connections of their own, and on those of a proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_bridge_turns_away_by_itself() {
    let limits = AddressLimits { unauthenticated: 100, attempts_per_minute: 2 };
    for trusted_proxies in [Vec::new(), vec!["127.0.0.1".parse().unwrap()]] {
        let bridge = Beside::bind(|options| Options { addresses: Some(limits), trusted_proxies, ..options });
        let hub = hub().with(|config| config.audit.to = Some(AuditTo::File)).start_with(&bridge).await;
        let asks = |path, headers| request(bridge.address(), "GET", path, headers, "");
        let evil = [("origin", "https://evil.example"), ("user-agent", "words/1")];
        assert_eq!(asks("/v1/events", &evil).await.status, 403);
        assert_eq!(asks("/v1/session", &[]).await.status, 426);
        let mut turned_away = 0;
        for _ in 0..10 {
            let status = asks("/v1/events", &[("authorization", "Bearer a.b.c")]).await.status;
            assert!(status == 401 || status == 429, "{status}");
            turned_away += u32::from(status == 429);
        }
        // One more where the bridge has not seen yet that a connection before has ended.
        assert!(turned_away >= 8, "{turned_away}");
        let counted = request(hub.hub.http_address(), "GET", "/metrics", &[], "").await.body;
        for (why, times) in [("origin", 1), ("handshake", 1), ("too_many", turned_away)] {
            let line = format!("carillon_bridge_turned_away_total{{why=\"{why}\"}} {times}");
            assert!(counted.contains(&line), "{line}");
        }
        let lines = lines(&hub.stops().await);
        let told = of(&lines, "bridge.turned_away");
        let reasons: Vec<_> = told.iter().map(|line| line["reason"].as_str().unwrap()).collect();
        // Of an address that has too many, once a minute.
        assert_eq!(reasons, ["ACCESS_DENIED", "PROTOCOL_ERROR", "TOO_MANY_CONNECTIONS"]);
        let said = ["address", "agent", "origin"].map(|part| told[0][part].as_str().unwrap_or_default());
        assert_eq!(said, ["127.0.0.1", "words/1", "https://evil.example"]);
        assert_eq!(told[2]["address"], "127.0.0.1");
    }
}

#[tokio::test]
async fn who_does_too_much_is_told_of_once_a_second() {
    let one = RateSetting(Some(Rate::new(1, std::time::Duration::from_hours(1))));
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits = LimitsSection { send: one, ..LimitsSection::off() };
    });
    let hub = hub.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    for _ in 0..20 {
        alice.asks(Command::MessageSend(message("room:lobby", "words"))).await;
    }
    let lines = lines(&hub.stops().await);
    assert_eq!(of(&lines, "message_send").len(), 1);
    let limited = of(&lines, "limit");
    assert_eq!((&limited[0]["user"], &limited[0]["reason"]), (&"alice".into(), &"RATE_LIMITED".into()));
    assert!(limited.len() < 19, "not a line for each");
}

#[tokio::test]
async fn what_a_service_does_too_much_is_told_of_once_a_minute() {
    let so_much = |burst| RateSetting(Some(Rate::new(burst, std::time::Duration::from_hours(1))));
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits =
            LimitsSection { service: so_much(12), messages_per_tenant: so_much(1), ..LimitsSection::off() };
    });
    let hub = hub.start().await;
    let admin = hub.admin();
    let send = || v1::SendMessageRequest {
        room: "room:lobby".to_owned(),
        content: Some(carillon_client::text("words")),
        ..Default::default()
    };
    let users = v1::UserList { users: vec!["alice".to_owned()] };
    let notify = || v1::SendNotificationRequest {
        audience: Some(v1::send_notification_request::Audience::Users(users.clone())),
        kind: "reminder".to_owned(),
        title: "now".to_owned(),
        ..Default::default()
    };
    // Past the tenant's bucket, then past the service's own.
    admin.send_message(send()).await.unwrap();
    for _ in 0..10 {
        admin.send_message(send()).await.unwrap_err();
        admin.send_notification(notify()).await.unwrap_err();
        let _ = admin.get_statistics(v1::GetStatisticsRequest::default()).await;
    }
    let lines = lines(&hub.stops().await);
    let [limited] = of(&lines, "limit")[..] else { panic!("one line: {lines:?}") };
    let said = ["service", "outcome", "reason"].map(|part| limited[part].as_str().unwrap_or_default());
    assert_eq!(said, ["billing", "refused", "RATE_LIMITED"]);
    assert!(of(&lines, "send_notification").is_empty() && of(&lines, "message_send").len() == 1);
    assert!(of(&lines, "get_statistics").iter().all(|line| line["outcome"] == "ok"));
}

#[tokio::test]
async fn that_a_tenant_is_full_is_told_once_a_minute_of_each_and_counted_once() {
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits = LimitsSection { bytes_per_tenant: 400, ..LimitsSection::off() };
    });
    let hub = hub.start().await;
    let (admin, mut alice) = (hub.admin(), Wire::enters(&hub, "alice").await);
    let long = SECRET_WORDS.repeat(10);
    let execute = Executor::new(ClientOptions::new(hub.url()).token(hub.token("alice"))).unwrap();
    let send = || Command::MessageSend(message("room:lobby", &long));
    assert!(matches!(alice.asks(send()).await, Kind::MessageSent(_)));
    for number in 0..10 {
        assert_eq!(code(&alice.asks(send()).await), "MESSAGE_TOO_LARGE");
        execute.call::<v1::MessageSent>(send()).await.unwrap_err();
        let content = Some(carillon_client::text(&long));
        let send = v1::SendMessageRequest { room: "room:lobby".into(), content, ..Default::default() };
        admin.send_message(send).await.unwrap_err();
        let (room, metadata) = (format!("conversation:{number}"), [("k".to_owned(), long.clone())].into());
        admin.create_room(v1::CreateRoomRequest { room, metadata, ..Default::default() }).await.unwrap_err();
    }
    let counted = request(hub.hub.http_address(), "GET", "/metrics", &[], "").await.body;
    for (name, count) in [("message_send", 30), ("create_room", 10)] {
        let line =
            format!("carillon_commands_total{{command=\"{name}\",status=\"MESSAGE_TOO_LARGE\"}} {count}\n");
        assert!(counted.contains(&line), "{name}: {counted}");
    }
    drop(alice);
    let lines = lines(&hub.stops().await);
    let limited = of(&lines, "limit");
    let who = |line: &&Value| [&line["user"], &line["service"]].map(|who| who.as_str().map(str::to_owned));
    let told: Vec<_> = limited.iter().map(who).collect();
    assert_eq!(told, [[Some("alice".to_owned()), None], [None, Some("billing".to_owned())]]);
    assert!(limited.iter().all(|line| line["reason"] == "MESSAGE_TOO_LARGE"), "{limited:?}");
    assert!(of(&lines, "message_send").len() == 1 && of(&lines, "create_room").is_empty(), "{lines:?}");
}

#[tokio::test]
async fn without_a_log_nothing_is_written() {
    let hub = hub().with(|config| config.audit.on_failure = OnAuditFailure::Refuse).start().await;
    Wire::enters(&hub, "alice").await;
    let plan = hub.stops().await;
    assert!(!plan.folder().join("audit").exists() && !plan.folder().join("audit-key").exists());
}
