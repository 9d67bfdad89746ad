//! Who may do what is answered by a service of the organisation's own, over gRPC.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_client::v1;
use carillon_client::v1::authorizer_service_server::{AuthorizerService, AuthorizerServiceServer};
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_hub::config::{Config, NamespaceSection};
use carillon_hub::domain::namespace::Who;
use carillon_tests::browser::{Beside, Speaks, WebSocket};
use carillon_tests::certificates::terminates;
use carillon_tests::story::{member, message};
use carillon_tests::wire::{code, greeting, join};
use carillon_tests::{Authority, PATIENCE, TestHub, Wire, hub};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

/// Lets alice and carol follow and send, and others follow, until told to shut bob out; fails or never answers where told
/// to.
#[derive(Default)]
pub(crate) struct Office {
    asked: AtomicUsize,
    /// What was asked about, in order.
    pub(crate) rooms: Mutex<Vec<String>>,
    /// Told of each question.
    pub(crate) rings: Notify,
    pub(crate) shuts_out: AtomicBool,
    pub(crate) fails: AtomicBool,
    pub(crate) hangs: AtomicBool,
}

/// Where the office is asked.
struct Door(Arc<Office>);

#[tonic::async_trait]
impl AuthorizerService for Door {
    async fn check(&self, request: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        self.0.rooms.lock().expect("nobody panics here").push(request.get_ref().room.clone());
        self.0.rings.notify_one();
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(Status::internal("secret words that are for no log"));
        }
        let bearer = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if bearer != Some("Bearer hub-secret") {
            return Err(Status::unauthenticated("who are you"));
        }
        let asked = request.into_inner();
        let refuses = match asked.room.as_str() {
            "case:unknown" => Some(Status::not_found("no such case")),
            "case:closed" => Some(Status::permission_denied("closed")),
            "case:odd" => Some(Status::invalid_argument("odd")),
            "case:early" => Some(Status::failed_precondition("too early")),
            "case:outside" => Some(Status::out_of_range("outside")),
            "case:twice" => Some(Status::already_exists("twice")),
            "case:breaks" => Some(Status::internal("breaks")),
            _ => None,
        };
        if let Some(status) = refuses {
            return Err(status);
        }
        let writes = asked.user == "alice" || asked.user == "carol";
        let allowed = (asked.room.starts_with("case:open") || asked.room.starts_with("conversation:"))
            && (asked.capability == "join" || asked.capability == "history" || writes)
            && !(asked.user == "bob" && self.0.shuts_out.load(Ordering::SeqCst));
        // Whatever comes next is asked again, so that a test sees what it changes.
        Ok(Response::new(v1::CheckResponse { allowed, ttl_ms: 1 }))
    }
}

/// An office that listens, and where.
pub(crate) async fn opens() -> (Arc<Office>, SocketAddr) {
    let office = Arc::new(Office::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = AuthorizerServiceServer::new(Door(Arc::clone(&office)));
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    (office, address)
}

pub(crate) fn asking(config: &mut Config, address: SocketAddr) {
    config.namespaces.push(NamespaceSection {
        name: "case".to_owned(),
        join: Who::Authorizer,
        send: Who::Authorizer,
        ..NamespaceSection::default()
    });
    config.authorizer.url = Some(format!("http://{address}"));
    config.authorizer.token = Some("hub-secret".to_owned().into());
    config.authorizer.cache = Duration::from_millis(1);
    config.authorizer.timeout = Duration::from_millis(300);
    config.authorizer.breaker_failures = 3;
    config.authorizer.breaker_open = Duration::from_hours(1);
}

#[tokio::test]
async fn the_office_says_who_may_do_what() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| asking(config, address)).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut bob = Wire::enters(&hub, "bob").await;
    alice.joins(join("case:open")).await;
    bob.joins(join("case:open")).await;
    let say = |words: &str| Command::MessageSend(message("case:open", words));
    assert!(matches!(alice.asks(say("words")).await, Kind::MessageSent(_)));
    let heard = bob.until(|kind| matches!(kind, Kind::Message(_)).then_some(()));
    heard.await;
    assert_eq!(code(&bob.asks(say("words")).await), "ACCESS_DENIED");
    assert_eq!(code(&alice.asks(Command::Join(join("case:shut"))).await), "ACCESS_DENIED");
    // Rooms that do not go by it are not asked about.
    let before = office.asked.load(Ordering::SeqCst);
    alice.joins(join("room:lobby")).await;
    assert_eq!(office.asked.load(Ordering::SeqCst), before);
}

/// That it is asked again after a while is nothing that a session has under way.
#[tokio::test]
async fn a_session_that_follows_by_its_leave_rests_as_others_do() {
    let (_office, address) = opens().await;
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| asking(config, address)).start_with(&bridge).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.joins(join("case:open")).await;
    let mut bob = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("bob")).await;
    bob.joins("case:open").await;
    for turn in 0..50 {
        let words = turn.to_string();
        let said = alice.asks(Command::MessageSend(message("case:open", &words))).await;
        assert!(matches!(said, Kind::MessageSent(_)));
        assert_eq!(bob.hears().await, words);
    }
    let past = hub.written_past();
    assert!(past >= 25, "{past}");
}

#[tokio::test]
async fn an_office_that_fails_lets_nobody_in_and_is_left_alone() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| asking(config, address)).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    office.fails.store(true, Ordering::SeqCst);
    for user in ["bob", "carol", "dave", "erin", "frank"] {
        let mut user = Wire::enters(&hub, user).await;
        let Kind::Error(error) = user.asks(Command::Join(join("case:open"))).await else { panic!("joined") };
        assert_eq!((error.code.as_str(), error.retryable), ("UNAVAILABLE", true));
        assert!(!error.message.contains("secret"));
    }
    assert_eq!(office.asked.load(Ordering::SeqCst), 3, "then nobody asks any more");
    alice.joins(join("room:lobby")).await;
}

#[tokio::test]
async fn one_user_closes_the_office_to_nobody() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| asking(config, address)).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut mallory = Wire::enters(&hub, "mallory").await;
    // A status that is about the question is a no, and is remembered as one.
    for (number, room) in ["unknown", "closed", "odd", "early", "outside", "twice"].into_iter().enumerate() {
        assert_eq!(code(&mallory.asks(Command::Join(join(&format!("case:{room}")))).await), "ACCESS_DENIED");
        assert_eq!(office.asked.load(Ordering::SeqCst), number + 1);
    }
    // And one on which the office fails concerns who asked it.
    for _ in 0..6 {
        assert_eq!(code(&mallory.asks(Command::Join(join("case:breaks"))).await), "UNAVAILABLE");
    }
    alice.joins(join("case:open")).await;
}

#[tokio::test]
async fn an_office_that_does_not_answer_holds_up_nobody_for_long() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| asking(config, address)).start().await;
    office.hangs.store(true, Ordering::SeqCst);
    let mut alice = Wire::enters(&hub, "alice").await;
    let asked = alice.ask(Command::Join(join("case:open")));
    // What does not go by it is answered meanwhile.
    assert!(matches!(alice.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    assert_eq!(code(&alice.answer(asked).await), "UNAVAILABLE");
    office.hangs.store(false, Ordering::SeqCst);
    alice.joins(join("case:open")).await;
}

#[tokio::test]
async fn what_waits_for_an_office_holds_up_no_other_room() {
    let (office, address) = opens().await;
    // Longer than a command may take.
    let patient = |config: &mut Config| {
        asking(config, address);
        config.authorizer.timeout = Duration::from_secs(30);
    };
    let hub = hub().with(patient).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    office.hangs.store(true, Ordering::SeqCst);
    let say = |room: &str| Command::MessageSend(message(room, "words"));
    let asked: Vec<_> = (0..3).map(|_| alice.ask(say("case:open"))).collect();
    office.rings.notified().await;
    assert!(matches!(alice.asks(say("room:lobby")).await, Kind::MessageSent(_)));
    for asked in asked {
        assert_eq!(code(&alice.answer(asked).await), "DEADLINE_EXCEEDED");
    }
}

#[tokio::test]
async fn within_tls_an_office_is_asked_whose_authority_is_trusted() {
    let (office, plain) = opens().await;
    let authority = Authority::new();
    let address = terminates(&authority.signs_local(), plain).await;
    let plan = |ca: PathBuf| {
        hub().with(|config| {
            asking(config, address);
            config.authorizer.url = Some(format!("https://{address}"));
            config.authorizer.ca = Some(ca);
            config.authorizer.timeout = Duration::from_secs(10);
        })
    };
    let strange = plan(Authority::new().file()).start().await;
    let mut alice = Wire::enters(&strange, "alice").await;
    assert_eq!(code(&alice.asks(Command::Join(join("case:open"))).await), "UNAVAILABLE");
    assert_eq!(office.asked.load(Ordering::SeqCst), 0);
    let hub = plan(authority.file()).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.joins(join("case:open")).await;
    assert_eq!(code(&alice.asks(Command::Join(join("case:shut"))).await), "ACCESS_DENIED");
    let why = plan("/nowhere/ca.pem".into()).fails_to_start().await;
    assert!(why.contains("/nowhere/ca.pem: cannot be read"), "{why}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_allowed_where_that_is_configured() {
    // A port where nobody listens any more.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hub = hub().with(|config| {
        asking(config, address);
        config.authorizer.unreachable = carillon_hub::config::Unreachable::Allow;
    });
    let hub = hub.start().await;
    Wire::enters(&hub, "alice").await.joins(join("case:open")).await;
}

/// What is said in a room, or that it was left.
pub(crate) fn heard(kind: &Kind) -> Option<Result<String, v1::LeaveReason>> {
    match kind {
        Kind::Message(message) => Some(Ok(message.room.clone())),
        Kind::Left(left) => Some(Err(left.reason())),
        _ => None,
    }
}

#[tokio::test]
async fn whom_the_office_lets_in_no_more_hears_no_more() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| asking(config, address)).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut bob = Wire::enters(&hub, "bob").await;
    for room in ["case:open", "room:lobby"] {
        alice.joins(join(room)).await;
        bob.joins(join(room)).await;
    }
    // While it cannot be asked, whom it let in stays.
    office.fails.store(true, Ordering::SeqCst);
    let before = office.asked.load(Ordering::SeqCst);
    let asked_again = async {
        while office.asked.load(Ordering::SeqCst) < before + 4 {
            office.rings.notified().await;
        }
    };
    timeout(PATIENCE, asked_again).await.expect("it is asked again while they follow");
    office.fails.store(false, Ordering::SeqCst);
    alice.ask(Command::MessageSend(message("case:open", "words")));
    assert_eq!(alice.until(heard).await, Ok("case:open".to_owned()));
    assert_eq!(bob.until(heard).await, Ok("case:open".to_owned()));
    office.shuts_out.store(true, Ordering::SeqCst);
    assert_eq!(bob.until(heard).await, Err(v1::LeaveReason::Denied));
    for room in ["case:open", "room:lobby"] {
        alice.ask(Command::MessageSend(message(room, "words")));
        assert_eq!(alice.until(heard).await, Ok(room.to_owned()), "she may still");
    }
    assert_eq!(bob.until(heard).await, Ok("room:lobby".to_owned()), "where nobody asks he stays");
    assert_eq!(code(&bob.asks(Command::Join(join("case:open"))).await), "ACCESS_DENIED");
}

#[tokio::test]
async fn the_office_is_asked_again_when_a_token_is_renewed() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| {
        asking(config, address);
        // By itself it would not be asked again before this test is over; what it says is still remembered for 1 ms.
        config.authorizer.cache = Duration::from_hours(1);
    });
    let hub = hub.start().await;
    let mut bob = Wire::enters(&hub, "bob").await;
    bob.joins(join("case:open")).await;
    office.shuts_out.store(true, Ordering::SeqCst);
    let refresh = Command::RefreshToken(v1::RefreshToken { token: hub.token("bob") });
    assert!(matches!(bob.asks(refresh).await, Kind::Done(_)));
    assert_eq!(bob.until(heard).await, Err(v1::LeaveReason::Denied));
}

/// A user whose token names these roles.
async fn enters_as(hub: &TestHub, user: &str, roles: &[&str]) -> Wire {
    let token = hub.token_that_says(&json!({"sub": user, "roles": roles}));
    Wire::enters_with(hub, v1::Hello { token, ..greeting() }).await
}

/// A hub where a role lets follow and type, which the office is not asked about then.
async fn with_inspectors(address: SocketAddr) -> TestHub {
    let may = ["room.join", "message.type"].map(str::to_owned).to_vec();
    let hub = hub().with(|config| {
        asking(config, address);
        // By itself it would not be asked again before this test is over.
        config.authorizer.cache = Duration::from_hours(1);
        for namespace in config.namespaces.iter_mut().filter(|namespace| namespace.name == "case") {
            namespace.token_roles.insert("inspector".to_owned(), may.clone());
        }
    });
    hub.start().await
}

async fn loses_the_role(hub: &TestHub, wire: &mut Wire, user: &str) {
    let refresh = Command::RefreshToken(v1::RefreshToken { token: hub.token(user) });
    assert!(matches!(wire.asks(refresh).await, Kind::Done(_)));
}

#[tokio::test]
async fn whom_a_role_let_in_stays_without_it_where_the_office_says_so() {
    let (office, address) = opens().await;
    let hub = with_inspectors(address).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.joins(join("case:open")).await;
    let mut inspectors = Vec::new();
    for user in ["ida", "ines"] {
        let mut wire = enters_as(&hub, user, &["inspector"]).await;
        wire.joins(join("case:open")).await;
        inspectors.push(wire);
    }
    let asked = office.asked.load(Ordering::SeqCst);
    loses_the_role(&hub, &mut inspectors[0], "ida").await;
    let is_asked = async {
        while office.asked.load(Ordering::SeqCst) == asked {
            office.rings.notified().await;
        }
    };
    timeout(PATIENCE, is_asked).await.expect("it is asked at once");
    // It never let them in: while it cannot be asked, nothing does.
    office.fails.store(true, Ordering::SeqCst);
    loses_the_role(&hub, &mut inspectors[1], "ines").await;
    assert_eq!(inspectors[1].until(heard).await, Err(v1::LeaveReason::Denied));
    assert_eq!(code(&inspectors[1].asks(Command::Join(join("case:open"))).await), "UNAVAILABLE");
    office.fails.store(false, Ordering::SeqCst);
    alice.ask(Command::MessageSend(message("case:open", "words")));
    assert_eq!(inspectors[0].until(heard).await, Ok("case:open".to_owned()), "the office lets her");
}

#[tokio::test]
async fn who_typed_by_a_role_does_not_without_it() {
    let (_office, address) = opens().await;
    let hub = with_inspectors(address).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut ida = enters_as(&hub, "ida", &["inspector"]).await;
    let mut carol = Wire::enters(&hub, "carol").await;
    for wire in [&mut alice, &mut ida, &mut carol] {
        wire.joins(join("case:open")).await;
    }
    let typing = |active| Command::Typing(v1::TypingSet { room: "case:open".to_owned(), active });
    let types = |kind: &Kind| match kind {
        Kind::Typing(typing) => Some((typing.user.clone(), typing.active)),
        _ => None,
    };
    assert!(matches!(ida.asks(typing(true)).await, Kind::Done(_)));
    assert_eq!(alice.until(types).await, ("ida".to_owned(), true));
    loses_the_role(&hub, &mut ida, "ida").await;
    assert_eq!(alice.until(types).await, ("ida".to_owned(), false));
    for wire in [&mut ida, &mut carol] {
        assert!(matches!(wire.asks(typing(true)).await, Kind::Done(_)));
    }
    assert_eq!(alice.until(types).await, ("carol".to_owned(), true));
}

#[tokio::test]
async fn who_may_not_send_does_not_type() {
    let (_office, address) = opens().await;
    let hub = hub().with(|config| asking(config, address)).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let mut carol = Wire::enters(&hub, "carol").await;
    for person in [&mut alice, &mut bob, &mut carol] {
        person.joins(join("case:open")).await;
        let typing = v1::TypingSet { room: "case:open".to_owned(), active: true };
        assert!(matches!(person.asks(Command::Typing(typing)).await, Kind::Done(_)));
    }
    let types = |kind: &Kind| if let Kind::Typing(typing) = kind { Some(typing.user.clone()) } else { None };
    assert_eq!(alice.until(types).await, "carol");
}

#[tokio::test]
async fn a_moderator_needs_no_office_to_delete() {
    let (office, address) = opens().await;
    let hub = hub().with(|config| {
        asking(config, address);
        for namespace in config.namespaces.iter_mut().filter(|namespace| namespace.name == "conversation") {
            namespace.send = Who::Authorizer;
        }
    });
    let hub = hub.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut carol = Wire::enters(&hub, "carol").await;
    let members = vec![member("carol", v1::Role::Member)];
    let create = v1::ConversationCreate { members, ..Default::default() };
    let created = alice.asks(Command::ConversationCreate(create)).await;
    let Kind::ConversationCreated(created) = created else { panic!("not created: {created:?}") };
    let sent = carol.asks(Command::MessageSend(message(&created.room, "words"))).await;
    let Kind::MessageSent(sent) = sent else { panic!("not sent: {sent:?}") };
    let seq = sent.position.unwrap_or_default().seq;
    office.fails.store(true, Ordering::SeqCst);
    let delete = || Command::MessageDelete(v1::MessageDelete { room: created.room.clone(), seq });
    let before = office.asked.load(Ordering::SeqCst);
    assert_eq!(code(&carol.asks(delete()).await), "UNAVAILABLE", "hers goes by the office");
    assert!(office.asked.load(Ordering::SeqCst) > before);
    let before = office.asked.load(Ordering::SeqCst);
    let deleted = alice.asks(delete()).await;
    assert!(matches!(deleted, Kind::EntryAccepted(_)), "{deleted:?}");
    assert_eq!(office.asked.load(Ordering::SeqCst), before);
}
