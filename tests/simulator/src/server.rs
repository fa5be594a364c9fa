//! The network side: a listener on loopback, on a thread and runtime of its own, that carries calls to the service
//! and replies back, with latency, compression and the broken connections faults ask for.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use tokio::sync::oneshot;

use crate::control;
use crate::service::{Body, Call, Reply, Service, Wire};

/// The largest request body read; a batch of twenty is far below.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Below this, compression only costs.
const MIN_COMPRESSED: usize = 512;

/// A listening server; stops when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(service: Arc<Service>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, service.options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("graph-simulator")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                let router = Router::new().fallback(handle).with_state(service);
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
                tokio::select! {
                    result = async { axum::serve(listener, router).await } => result.expect("serving never ends"),
                    _ = stopped => {}
                }
            });
            // Hanging answers would keep an orderly shutdown waiting for ever.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("graph-simulator".to_owned()).spawn(run)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only if the thread has ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the simulator's thread panicked");
        }
    }
}

async fn handle(State(service): State<Arc<Service>>, request: Request) -> Response<HttpBody> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_REQUEST).await else {
        return status_only(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let call = Call {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        in_batch: false,
    };
    if let Some(reply) = control::answer(&service, &call) {
        return respond(reply, false);
    }
    let _under_way = UnderWay::new(&service);
    let reply = service.answer(&call);
    let delay = service.options.latency + reply.delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if reply.wire == Wire::Silent {
        std::future::pending::<()>().await;
    }
    let gzip = call.headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    respond(reply, gzip.is_some_and(|accepted| accepted.contains("gzip")))
}

/// One request of the caller's, from its arrival to its answer or to the end of the connection.
struct UnderWay<'s>(&'s Service);

impl<'s> UnderWay<'s> {
    fn new(service: &'s Service) -> Self {
        service.recorder().begin();
        Self(service)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.recorder().end();
    }
}

fn respond(reply: Reply, gzip: bool) -> Response<HttpBody> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = status_only(status);
    let headers = response.headers_mut();
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value))
        {
            headers.insert(name, value);
        }
    }
    if let Some(content_type) = reply.body.content_type() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    let mut bytes = into_bytes(reply.body);
    if reply.wire == Wire::Truncated {
        bytes.truncate(bytes.len() / 2);
    }
    if gzip && bytes.len() >= MIN_COMPRESSED && reply.wire != Wire::Cut {
        bytes = compress(&bytes);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() =
        if reply.wire == Wire::Cut { cut(headers, bytes) } else { HttpBody::from(bytes) };
    response
}

/// Announces the whole body, sends half of it and breaks the connection.
fn cut(headers: &mut axum::http::HeaderMap, mut bytes: Vec<u8>) -> HttpBody {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len().max(2)));
    bytes.truncate(bytes.len() / 2);
    let parts: [io::Result<Bytes>; 2] =
        [Ok(bytes.into()), Err(io::ErrorKind::ConnectionReset.into())];
    HttpBody::from_stream(stream::iter(parts))
}

fn into_bytes(body: Body) -> Vec<u8> {
    match body {
        Body::Empty => Vec::new(),
        Body::Json(bytes) => bytes,
        Body::Text(text) | Body::Html(text) => text.into_bytes(),
    }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn status_only(status: StatusCode) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = status;
    response
}
