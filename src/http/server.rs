//! Accepts connections within limits, and ends them gracefully.
//!
//! Owns the sockets: axum's own server limits neither connections, nor the size of a
//! head, nor the time it may take to arrive. Must not know any path.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::{Site, router};
use crate::config::Http;
use crate::daemon::Shutdown;

/// The pause after a connection could not be accepted: the process may be out of
/// file descriptors, and trying on at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long answers that have begun may go on after a stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Serves `site` until a stop is asked for, then lets answers that have begun end,
/// but waits for no client that does not read them.
pub async fn serve(listener: TcpListener, site: Site, limits: Http, shutdown: Shutdown) {
    let service = TowerToHyperService::new(router(site, &limits));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(usize::try_from(limits.header_bytes_max).unwrap_or(usize::MAX));
    let most = usize::try_from(limits.connections_max).unwrap_or(1);
    let mut connections = JoinSet::new();
    let mut open: VecDeque<Open> = VecDeque::new();
    while let Ok(accepted) = shutdown.unless_stopped(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        open.retain(|connection| !connection.task.is_finished());
        match accepted {
            Ok((stream, _)) => {
                if open.len() >= most {
                    make_room(&mut open);
                }
                let answering = Arc::new(AtomicBool::new(false));
                let service = Counting { service: service.clone(), answering: answering.clone() };
                let served =
                    connection(http.clone(), stream, service, limits.clone(), shutdown.clone());
                open.push_back(Open { task: connections.spawn(served), answering });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_GRACE, ended).await.is_err() {
        tracing::debug!("connections are cut whose clients do not read");
        connections.shutdown().await;
    }
}

/// A connection, the oldest first.
struct Open {
    task: AbortHandle,
    /// Whether a whole request came, and its answer is being made.
    answering: Arc<AtomicBool>,
}

/// Cuts the connection that has waited longest for a request; where none waits, the oldest.
/// Nobody has to wait for others to end: a probe must be answered while somebody holds every
/// connection open.
fn make_room(open: &mut VecDeque<Open>) {
    let idle = open.iter().position(|connection| !connection.answering.load(Ordering::Relaxed));
    if let Some(connection) = open.remove(idle.unwrap_or_default()) {
        tracing::debug!("a connection is cut to make room (http.connections_max)");
        connection.task.abort();
    }
}

/// Tells whether a request is being answered.
struct Counting {
    service: TowerToHyperService<axum::Router>,
    answering: Arc<AtomicBool>,
}

impl Service<Request<Incoming>> for Counting {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answering = Arc::clone(&self.answering);
        answering.store(true, Ordering::Relaxed);
        let answer = self.service.call(request);
        async move {
            let answer = answer.await;
            answering.store(false, Ordering::Relaxed);
            answer
        }
        .boxed()
    }
}

/// Serves one connection. It takes requests for `header_timeout`; one that has begun by
/// then has `request_timeout` more. So nobody holds a connection for longer than both.
async fn connection(
    http: http1::Builder,
    stream: TcpStream,
    service: Counting,
    limits: Http,
    shutdown: Shutdown,
) {
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = old_or_stopped(limits.header_timeout, &shutdown) => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = timeout(limits.request_timeout, connection).await else {
                tracing::debug!("a connection is cut whose client does not read");
                return;
            };
            ended
        }
    };
    if let Err(error) = ended {
        // Clients go away and send nonsense all the time.
        tracing::debug!(%error, "a connection ended badly");
    }
}

async fn old_or_stopped(age: Duration, shutdown: &Shutdown) {
    tokio::select! {
        () = sleep(age) => {}
        _ = shutdown.stopped() => {}
    }
}
