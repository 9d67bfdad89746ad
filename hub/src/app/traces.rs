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
use crate::domain::time::Moment;
use crate::telemetry::Seldom;
use crate::telemetry::traces::{Collector, Ended, Tracer, document};

/// Spans in one document at most.
const BATCH: usize = 512;
/// How long the first of them waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// A document that is not taken by then is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
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
}

impl Telling {
    fn new(collector: Collector, tracer: Tracer, told: mpsc::Receiver<Ended>) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(collector.roots.as_ref()))
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { url: collector.url, client, tracer, told, said: Seldom::default() }
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        while let Some(more) = stop.run_until_cancelled(self.told.recv_many(&mut batch, BATCH)).await {
            if more < BATCH {
                stop.run_until_cancelled(sleep(LINGER)).await;
                self.take_waiting(&mut batch);
            }
            self.tell(&mut batch).await;
        }
        self.take_waiting(&mut batch);
        if !batch.is_empty() {
            self.tell(&mut batch).await;
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
    async fn tell(&self, batch: &mut Vec<Ended>) {
        let spans = std::mem::take(batch);
        let failed = match timeout(TIMEOUT, self.post(&spans)).await {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some("no answer in time".to_owned()),
        };
        let lost = self.tracer.left_out() + if failed.is_some() { spans.len() as u64 } else { 0 };
        if lost > 0
            && let Some(left_out) = self.said.admit_every(SAID, Moment::now())
        {
            let reason = failed.unwrap_or_default();
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
