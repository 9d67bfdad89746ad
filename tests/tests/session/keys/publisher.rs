//! An issuer: its keys, and the server at which it publishes them.

use std::sync::Arc;
use std::time::SystemTime;

use carillon_tests::hub::TENANT;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig, pki_types::PrivatePkcs8KeyDer};

/// An RSA key of the tests, of 2048 bits.
const RSA: &[u8] = include_bytes!("../../../../hub/src/access/authentication/testdata/rsa_private.pem");

/// A key pair under a name.
#[derive(Clone)]
pub(super) struct KeyPair {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
}

impl KeyPair {
    /// An Ed25519 key of this seed.
    pub(super) fn new(kid: &str, seed: u8) -> Self {
        // PKCS#8 (RFC 8410, 7): what stands before the key, then its 32 bytes.
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend([seed; 32]);
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, private: EncodingKey::from_ed_der(&der) }
    }

    /// The RSA key.
    pub(super) fn rsa(kid: &str) -> Self {
        let private = EncodingKey::from_rsa_pem(RSA).unwrap();
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, private }
    }

    /// What its issuer publishes.
    pub(super) fn public(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk
    }

    /// Its public half as a PEM file, of an Ed25519 key.
    pub(super) fn public_pem(&self) -> String {
        let x = self.public()["x"].as_str().unwrap().to_owned();
        // SubjectPublicKeyInfo (RFC 8410, 4): the 12 bytes before the key end where a character of base64 does.
        let body = format!("MCowBQYDK2VwAyEA{}=", x.replace('-', "+").replace('_', "/"));
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// A token of a user of [`TENANT`] that this key signed for an issuer.
    pub(super) fn token(&self, issuer: &str, user: &str) -> String {
        self.sign(&claims(issuer, user))
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.private).unwrap()
    }

    /// The header of its tokens.
    pub(super) fn header(&self) -> Header {
        Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) }
    }

    /// A token of alice with another header.
    pub(super) fn sign_under(&self, header: &Header, issuer: &str) -> String {
        encode(header, &claims(issuer, "alice"), &self.private).unwrap()
    }
}

/// Good claims for an hour.
pub(super) fn claims(issuer: &str, user: &str) -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    json!({"iss": issuer, "sub": user, "org": TENANT, "iat": now - 10, "exp": now + 3_600})
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// This, and the end of the connection.
    Text(String),
    /// This, and nothing more, until it is something else.
    Begun(String),
    /// Nothing, until it is something else.
    Held,
}

/// The server's answer with this status and these headers and body.
pub(super) fn answer(head: &str, body: &str) -> Answer {
    Answer::Text(format!(
        "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// The answer with these keys.
pub(super) fn keys(keys: &[&KeyPair]) -> Answer {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    answer("200 OK\r\ncontent-type: application/json", &json!({"keys": keys}).to_string())
}

/// A server that publishes keys.
pub(super) struct Publisher {
    /// Its address, as `http://127.0.0.1:1/keys`.
    pub(super) url: String,
    answer: watch::Sender<Answer>,
    asked: watch::Receiver<usize>,
    serving: AbortHandle,
}

impl Publisher {
    /// Serves, and answers with this at first.
    pub(super) async fn start(first: Answer) -> Self {
        Self::start_with(first, None).await
    }

    /// The same over TLS, as a server of this name or address. Gives its certificate as PEM.
    pub(super) async fn start_as(name: &str, first: Answer) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let private = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], private.into())
            .unwrap();
        (Self::start_with(first, Some(TlsAcceptor::from(Arc::new(config)))).await, made.cert.pem())
    }

    async fn start_with(first: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/keys", listener.local_addr().unwrap());
        let (answer, answers) = watch::channel(first);
        let (count, asked) = watch::channel(0);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (tls, count, answers) = (tls.clone(), count.clone(), answers.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else { return serve(socket, count, answers).await };
                    // Who does not believe the certificate goes before anything is asked.
                    if let Ok(socket) = tls.accept(socket).await {
                        serve(socket, count, answers).await;
                    }
                });
            }
        });
        Self { url, answer, asked, serving: serving.abort_handle() }
    }

    /// Answers with this from now on, those too who wait for an answer.
    pub(super) fn answers(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    /// How often it was asked so far.
    pub(super) fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Waits until it was asked this often.
    pub(super) async fn is_asked(&self, times: usize) {
        let mut asked = self.asked.clone();
        let patience = 2 * carillon_tests::people::PATIENCE;
        tokio::time::timeout(patience, asked.wait_for(|count| *count >= times)).await.unwrap().unwrap();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads a request's head and answers it. Whoever is asked does not mind that the other has gone.
async fn serve(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    asked: watch::Sender<usize>,
    mut answers: watch::Receiver<Answer>,
) {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    while socket.read_line(&mut line).await.is_ok_and(|bytes| bytes > 2) {
        line.clear();
    }
    asked.send_modify(|count| *count += 1);
    loop {
        let now = answers.borrow_and_update().clone();
        let (text, whole) = match now {
            Answer::Text(text) => (text, true),
            Answer::Begun(text) => (text, false),
            Answer::Held => (String::new(), false),
        };
        let _ = socket.write_all(text.as_bytes()).await;
        let _ = socket.flush().await;
        if whole {
            let _ = socket.shutdown().await;
            return;
        }
        let another = answers.changed().await.is_ok();
        if !another || !text.is_empty() {
            return;
        }
    }
}
