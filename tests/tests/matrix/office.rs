//! An authoriser for the rooms that go by one.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use carillon_client::v1;
use carillon_client::v1::authorizer_service_server::{AuthorizerService, AuthorizerServiceServer};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// Lets everybody do everything in rooms that are being prepared. After that: `writer` everything, `reader` what reads,
/// and nobody else anything; about `unanswered` it fails.
#[derive(Clone, Default)]
pub(crate) struct Office(Arc<Inner>);

#[derive(Default)]
struct Inner {
    prepared: Mutex<HashSet<String>>,
    /// Rooms about which it has failed.
    failed: watch::Sender<HashSet<String>>,
}

impl Office {
    /// One that listens, and where.
    pub(crate) async fn opens() -> (Self, SocketAddr) {
        let office = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let service = AuthorizerServiceServer::new(office.clone());
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        (office, address)
    }

    /// A room is being prepared, or is no more.
    pub(crate) fn prepares(&self, room: &str, prepares: bool) {
        let mut rooms = self.0.prepared.lock().expect("nobody panics here");
        if prepares {
            rooms.insert(room.to_owned());
        } else {
            rooms.remove(room);
        }
    }

    /// Waits until it has failed about a room.
    pub(crate) async fn has_failed(&self, room: &str) {
        let mut failed = self.0.failed.subscribe();
        failed.wait_for(|rooms| rooms.contains(room)).await.expect("it is there");
    }
}

#[tonic::async_trait]
impl AuthorizerService for Office {
    async fn check(&self, request: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        let asked = request.into_inner();
        let prepares = self.0.prepared.lock().expect("nobody panics here").contains(&asked.room);
        let reads = ["join", "history", "presence", "members", "mark"].contains(&asked.capability.as_str());
        let allowed = match asked.user.as_str() {
            _ if prepares => true,
            "unanswered" => {
                self.0.failed.send_modify(|rooms| rooms.extend([asked.room]));
                return Err(Status::internal("not now"));
            }
            "writer" => true,
            "reader" => reads,
            _ => false,
        };
        Ok(Response::new(v1::CheckResponse { allowed, ttl_ms: 0 }))
    }
}
