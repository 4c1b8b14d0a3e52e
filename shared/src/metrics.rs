//! What every daemon shows to Prometheus: one recorder for the process, and its page. Knows no metric; docs/metrics.md lists
//! them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Media type of [`Metrics::page`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Connections served at once; a scraper needs one.
const CONNECTIONS: usize = 16;
/// How long a connection may take, all in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait after a connection could not be accepted: most likely files are short.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Upper bounds of durations, in seconds: from a keystroke's share to a request's timeout.
const SECONDS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The numbers of this process.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts counting for the whole process, which `name` and `version` identify. Call it once: what was counted before is
    /// lost.
    ///
    /// # Errors
    /// Somebody has started it already.
    pub fn install(name: &'static str, version: &'static str) -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
        metrics::describe_gauge!(
            "devpocket_build_info",
            "1; the labels say which program in which version answers"
        );
        metrics::gauge!("devpocket_build_info", "program" => name, "version" => version).set(1.0);
        Ok(Self(handle))
    }

    /// All numbers as they are now, as [`MEDIA_TYPE`].
    pub fn page(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }

    /// Serves the page as `GET /metrics` for ever. Whoever can reach the listener may read it.
    pub async fn serve(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        // They end with this.
        let mut scrapes = JoinSet::new();
        loop {
            while scrapes.try_join_next().is_some() {}
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let metrics = self.clone();
            scrapes.spawn(async move {
                let answer = service_fn(|request| {
                    let response = metrics.answer(&request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answer);
                // A scraper that went away has lost its page and nothing else.
                let _gone = timeout(PATIENCE, serving).await;
                drop(permit);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, page) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => (StatusCode::OK, self.page()),
            (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
            _ => (StatusCode::NOT_FOUND, String::new()),
        };
        let mut response = Response::new(Full::new(Bytes::from(page)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_on_the_page() {
        let metrics = Metrics::install("test", "1.2.3").unwrap();
        metrics::counter!("things_total", "kind" => "good").increment(3);
        metrics::histogram!("things_seconds").record(0.002);
        let page = metrics.page();
        for line in [
            "devpocket_build_info{program=\"test\",version=\"1.2.3\"} 1",
            "things_total{kind=\"good\"} 3",
            "things_seconds_bucket{le=\"0.0025\"} 1",
            "things_seconds_bucket{le=\"0.001\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        assert!(Metrics::install("test", "1.2.3").is_err(), "once");
    }
}
