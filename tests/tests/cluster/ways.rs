//! Ways to reach Redis: within TLS, as an ACL user, over a socket of this machine; and what is said where that fails.

use std::net::TcpListener;
use std::time::Duration;

use carillon_hub::config::Config;
use carillon_tests::certificates::Authority;
use carillon_tests::command::carillon;
use carillon_tests::{Cluster, Keeps, Plan, Redis, hub, seq, words};

use crate::faults::ROOM;

/// Of the ACL user that nodes are.
const PASSWORD: &str = "a-password-nobody-prints";

/// What a server speaks TLS with, as on its command line.
fn certificates(authority: &Authority) -> [String; 8] {
    let pair = authority.signs_local();
    let file = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let (certificate, key, ca) = (file(&pair.certificate), file(&pair.key), file(&authority.file()));
    let named = ["--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file", "--tls-auth-clients"];
    let [of_cert, of_key, of_ca, of_clients] = named.map(str::to_owned);
    [of_cert, certificate, of_key, key, of_ca, ca, of_clients, "no".to_owned()]
}

/// A server within TLS, and its URL.
fn within_tls(authority: &Authority) -> (Redis, String) {
    let certificates = certificates(authority);
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = free.local_addr().expect("it is bound").port().to_string();
    drop(free);
    let mut settings = vec!["--bind", "127.0.0.1", "--tls-port", &port];
    settings.extend(certificates.iter().map(String::as_str));
    (Redis::start_with(Keeps::EverySecond, &settings), format!("rediss://localhost:{port}"))
}

/// Nobody is let in but the user `node`, who has the password.
fn asks_for_a_password(redis: &Redis) {
    redis.command::<()>(&format!("ACL SETUSER node on >{PASSWORD} ~carillon:* &carillon:* +@all"));
    redis.command::<()>("ACL SETUSER default off");
}

fn as_user(user: &str, password: &str) -> impl FnOnce(&mut Config) + use<> {
    let (user, password) = (user.to_owned(), password.to_owned());
    move |config| {
        config.redis.user = Some(user);
        config.redis.password = Some(password.into());
    }
}

fn impatient(config: &mut Config) {
    config.redis.connect_timeout = Duration::from_secs(2);
    config.redis.answer_timeout = Duration::from_secs(2);
}

/// Two nodes, and two people who talk over them.
async fn talk(plan: impl Fn() -> Plan) {
    let (one, other) = (plan().start().await, plan().start().await);
    let (alice, mut bob) = (one.enters("alice").await, other.enters("bob").await);
    alice.joins(ROOM).await;
    bob.joins(ROOM).await;
    for n in 1..=5 {
        assert_eq!(alice.says(ROOM, "hello").await, n);
        let heard = bob.hears(ROOM).await;
        assert_eq!((seq(&heard), words(&heard)), (n, "hello"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_a_redis_on_a_socket() {
    let redis = Redis::start(Keeps::EverySecond);
    assert!(redis.url().starts_with("unix:///"));
    talk(|| hub().node_of(&redis)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_a_redis_within_tls_as_a_user() {
    let authority = Authority::new();
    let (redis, url) = within_tls(&authority);
    asks_for_a_password(&redis);
    let ca = authority.file();
    talk(|| {
        let plan = hub().node_at(&url).with(as_user("node", PASSWORD));
        plan.with(|config| config.redis.ca = Some(ca.clone()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_a_cluster_within_tls() {
    let authority = Authority::new();
    let certificates = certificates(&authority);
    let settings: Vec<_> = certificates.iter().map(String::as_str).collect();
    let start = || Cluster::start_within_tls(false, Keeps::EverySecond, &settings);
    let cluster = tokio::task::block_in_place(start);
    let urls = cluster.urls_within_tls();
    assert_eq!(urls.len(), cluster.servers.len());
    let ca = authority.file();
    talk(|| {
        let plan = hub().node_at(&urls[0]).with(|config| config.redis.cluster = true);
        plan.with(|config| config.redis.ca = Some(ca.clone()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_whose_authority_is_not_trusted_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_redis, url) = within_tls(&authority);
    for ca in [None, Some(other.file())] {
        let said =
            hub().node_at(&url).with(impatient).with(|config| config.redis.ca = ca).fails_to_start().await;
        assert!(said.contains("redis cannot be reached") && said.contains("certificate"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_at_the_start_and_never_shown() {
    let redis = Redis::start(Keeps::EverySecond);
    asks_for_a_password(&redis);
    for (user, password) in [("node", "a-wrong-one"), ("nobody", PASSWORD)] {
        let plan = hub().node_of(&redis).with(as_user(user, password));
        let said = plan.fails_to_start().await;
        assert!(said.contains("redis cannot be reached: the user or the password is wrong"), "{said}");
        assert!(!said.contains(password), "{said}");
    }
    let said = hub().node_of(&redis).fails_to_start().await;
    assert!(said.contains("it wants a user or a password"), "{said}");
    // The command says the same, with a password in the URL.
    let path = redis.url().trim_start_matches("unix://").to_owned();
    let data = tempfile::tempdir().unwrap();
    let url = format!("redis+unix://{path}?user=node&pass=a-wrong-one");
    let serve = carillon([
        "serve",
        "--dev",
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--bridge",
        "127.0.0.1:0",
    ]);
    let ran =
        tokio::task::block_in_place(|| serve.arg("--data").arg(data.path()).arg("--redis").arg(&url).run());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("the user or the password is wrong"), "{ran:?}");
    assert!(!ran.err.contains("a-wrong-one") && !ran.out.contains("a-wrong-one"), "{ran:?}");
}
