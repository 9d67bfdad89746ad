//! What a hub hears of a bridge that is apart: a hub that the test plays.

use carillon_client::v1::{self, session_request, session_response};
use carillon_proto::v1::hub_service_server::{HubService, HubServiceServer};
use carillon_tests::browser::{Beside, Speaks, WebSocket};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

/// Answers `hello`, and says how what it was sent has ended.
struct Played(mpsc::Sender<Result<(), Code>>);

#[tonic::async_trait]
impl HubService for Played {
    type SessionStream = BoxStream<'static, Result<v1::SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let state = (request.into_inner(), self.0.clone());
        let frames = stream::unfold(state, async |(mut requests, ended)| {
            match requests.message().await {
                Ok(Some(request)) => {
                    assert!(matches!(request.command, Some(session_request::Command::Hello(_))));
                    let kind = Some(session_response::Kind::Connected(v1::Connected::default()));
                    let response = v1::SessionResponse { command_id: request.command_id, kind };
                    return Some((Ok(response), (requests, ended)));
                }
                Ok(None) => ended.send(Ok(())).await.unwrap(),
                Err(status) => ended.send(Err(status.code())).await.unwrap(),
            }
            None
        });
        Ok(Response::new(frames.boxed()))
    }

    async fn execute(&self, _: Request<v1::ExecuteRequest>) -> Result<Response<v1::ExecuteResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn create_ticket(
        &self,
        _: Request<v1::CreateTicketRequest>,
    ) -> Result<Response<v1::CreateTicketResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_closes_ends_the_hubs_stream_in_order() {
    let (ended, mut ends) = mpsc::channel(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let hub = tonic::transport::Server::builder().add_service(HubServiceServer::new(Played(ended)));
    let serving = tokio::spawn(hub.serve_with_incoming(incoming));
    let drain = CancellationToken::new();
    let bridge = Beside::apart(&[url], &drain);

    let mut leaver = WebSocket::open(bridge.address(), Speaks::Proto).await;
    leaver.greets(v1::Hello::default()).await;
    leaver.send(Message::Close(None)).await;
    assert_eq!(ends.recv().await, Some(Ok(())), "what it was sent is cut off by nobody");
    serving.abort();
}
