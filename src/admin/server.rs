//! Connections to the admin endpoints: few, short, and each for one request. What is asked here is
//! asked every few seconds at most, so a connection costs nothing that matters, and none can be
//! held open to keep others out.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;

use crate::runtime::Observer;

use super::guests::{Guests, RequestSeen};
use super::routes;

/// The head of a request must be here within this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection is closed after this, answered or not. Above a slow network's time for some tens
/// of kilobytes, and at most what Prometheus waits for (`scrape_timeout`, 10 s).
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Pause between two looks at the workers. It bounds how much is lost of what one has counted that
/// panics, and how late it is noticed that one hangs.
const BEAT: Duration = Duration::from_secs(1);

/// Serves until the process ends.
pub(super) async fn run(listener: TcpListener, observer: Arc<Observer>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::spawn({
        let observer = Arc::clone(&observer);
        async move {
            loop {
                observer.ask();
                tokio::time::sleep(BEAT).await;
            }
        }
    });
    let router = routes::router(observer);
    let mut guests = Guests::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                guests.room().await;
                let asked = RequestSeen::default();
                let task = tokio::spawn(serve(stream, router.clone(), asked.clone()));
                guests.come(task, asked);
            }
            Err(error) => {
                // Out of descriptors or memory: trying again at once would only spin.
                tracing::warn!(%error, "cannot accept for the admin endpoints");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: axum::Router, asked: RequestSeen) {
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        asked.set();
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever asked in no way that can be answered, or has left, hears nothing more.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
}
