//! Tells the collector of the spans that have ended, some at a time.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keys::tls;
use crate::domain::limits::STOP_REST;
use crate::domain::seldom::Seldom;
use crate::domain::time::Moment;
use crate::telemetry::traces::{Collector, Ended, Tracer, document};

/// Spans in one document at most.
const BATCH: usize = 512;
/// How long the first of them waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// A document that is not taken by then is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
/// On a stop all that wait have this long together: see [`STOP_REST`].
const LAST: Duration = Duration::from_millis(1_500);
const _: () =
    assert!(LAST.as_millis() < STOP_REST.as_millis(), "what is lost is said before tasks are cut off");
/// That spans were lost is said at most this often.
const SAID: Duration = Duration::from_mins(1);

/// Begins to tell of the spans of `tracer`, until `run` ends; then those that wait are told yet.
pub(super) fn start(
    collector: Option<Collector>,
    tracer: &Tracer,
    tasks: &TaskTracker,
    run: &CancellationToken,
) {
    if let Some((collector, told)) = collector.zip(tracer.told()) {
        tasks.spawn(Telling::new(collector, tracer.clone(), told).run(run.clone()));
    }
}

struct Telling {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    tracer: Tracer,
    told: mpsc::Receiver<Ended>,
    said: Seldom,
    /// Lost, and not said yet.
    lost: u64,
}

impl Telling {
    fn new(collector: Collector, tracer: Tracer, told: mpsc::Receiver<Ended>) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(collector.roots.as_ref()))
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { url: collector.url, client, tracer, told, said: Seldom::default(), lost: 0 }
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        let too_late = async {
            stop.cancelled().await;
            sleep(LAST).await;
        };
        tokio::select! {
            () = self.tell_all(&mut batch, &stop) => {}
            () = too_late => {}
        }
        let lost = self.lost + self.tracer.left_out() + (batch.len() + self.told.len()) as u64;
        if lost > 0 {
            tracing::warn!(lost, "spans were lost at the stop");
        }
    }

    /// Tells of them until `stop`, and then of those that wait.
    async fn tell_all(&mut self, batch: &mut Vec<Ended>, stop: &CancellationToken) {
        while let Some(more) = stop.run_until_cancelled(self.told.recv_many(batch, BATCH)).await {
            if more < BATCH {
                stop.run_until_cancelled(sleep(LINGER)).await;
                self.take_waiting(batch);
            }
            self.tell(batch).await;
        }
        self.take_waiting(batch);
        while !batch.is_empty() {
            self.tell(batch).await;
            self.take_waiting(batch);
        }
    }

    fn take_waiting(&mut self, batch: &mut Vec<Ended>) {
        while batch.len() < BATCH
            && let Ok(ended) = self.told.try_recv()
        {
            batch.push(ended);
        }
    }

    /// Tells of a batch, once: what the collector does not take is lost, and that is said.
    async fn tell(&mut self, batch: &mut Vec<Ended>) {
        let failed = match timeout(TIMEOUT, self.post(batch)).await {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some("no answer in time".to_owned()),
        };
        self.lost += self.tracer.left_out() + if failed.is_some() { batch.len() as u64 } else { 0 };
        batch.clear();
        if self.lost > 0
            && let Some(left_out) = self.said.admit_every(SAID, Moment::now())
        {
            let (lost, reason) = (std::mem::take(&mut self.lost), failed.unwrap_or_default());
            tracing::warn!(lost, left_out, reason, "spans were lost");
        }
    }

    async fn post(&self, spans: &[Ended]) -> Result<(), String> {
        let body = Full::new(Bytes::from(document(spans).to_string()));
        let mut request = Request::post(self.url.clone()).body(body).map_err(|error| error.to_string())?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.client.request(request).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Response;
    use http_body_util::{BodyExt, Empty};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::telemetry::traces::TraceContext;

    /// Tells a collector there of so many spans, all of which have ended before a stop.
    async fn stops_with(listener: &TcpListener, spans: usize) {
        let tracer = Tracer::new();
        let told = tracer.told().unwrap();
        let parent = TraceContext { trace: 7, span: 9, is_sampled: true };
        for _ in 0..spans {
            drop(tracer.entry(Some(parent), "step"));
        }
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap()).parse().unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        Telling::new(Collector { url, roots: None }, tracer, told).run(stop).await;
    }

    #[tokio::test]
    async fn all_that_wait_are_told_on_a_stop() {
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let heard = Arc::new(AtomicUsize::new(0));
        let (accepts, counts) = (Arc::clone(&listener), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = accepts.accept().await {
                let counts = Arc::clone(&counts);
                let counted = service_fn(move |request: Request<Incoming>| {
                    let counts = Arc::clone(&counts);
                    async move {
                        let body = request.into_body().collect().await?.to_bytes();
                        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
                        let spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array();
                        counts.fetch_add(spans.unwrap().len(), Ordering::Relaxed);
                        Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), counted));
            }
        });
        stops_with(&listener, 3 * BATCH + 1).await;
        assert_eq!(heard.load(Ordering::Relaxed), 3 * BATCH + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_does_not_answer_holds_up_no_stop() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let began = Instant::now();
        stops_with(&listener, 3 * BATCH).await;
        assert!(began.elapsed() < STOP_REST);
    }
}
