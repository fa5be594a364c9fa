//! What the HTTP server answers, over a real socket, and what it refuses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_dirsync::config::Http;
use nexus_dirsync::daemon::{Board, Clock, Heartbeat, Shutdown, Status, Stopper};
use nexus_dirsync::http::{self, Readiness, Site, Unready};
use nexus_dirsync::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

struct Server {
    address: SocketAddr,
    stopper: Stopper,
    serving: JoinHandle<()>,
    asked: Arc<AtomicUsize>,
}

async fn start(ready: Result<(), Unready>) -> Server {
    start_with(ready, Duration::from_millis(500), Duration::from_secs(2)).await
}

async fn start_with(
    ready: Result<(), Unready>,
    header_timeout: Duration,
    request_timeout: Duration,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let limits = Http {
        listen: address,
        connections_max: 2,
        header_bytes_max: 8192,
        body_bytes_max: 16,
        header_timeout,
        request_timeout,
    };
    let metrics = Arc::new(Metrics::new());
    let board = Board::new(Arc::clone(&metrics), Clock::system());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let readiness = Readiness::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let ready = ready.clone();
        async { ready }
    });
    let site = Site { heartbeat: Heartbeat::default(), readiness, metrics, status: board.watch() };
    let (stopper, shutdown) = Shutdown::channel();
    let serving = tokio::spawn(http::serve(listener, site, limits, shutdown));
    Server { address, stopper, serving, asked }
}

impl Server {
    /// Sends `request` on a connection of its own and reads until the server closes it.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = Vec::new();
        let read = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("an end");
        // What was refused may end in a reset; the answer counts.
        drop(read);
        String::from_utf8(answer).expect("text")
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }
}

#[tokio::test]
async fn each_path_answers_and_everything_else_says_so() {
    let server = start(Ok(())).await;
    for (path, status, body) in [
        ("/livez", "200 OK", "alive"),
        ("/readyz", "200 OK", "ready"),
        ("/metrics", "200 OK", "dirsync_leader 0"),
        ("/status", "200 OK", "\"consecutive_failures\":0"),
        ("/secrets", "404 Not Found", "/secrets is not here; try /livez"),
    ] {
        let answer = server.get(path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {answer}");
        assert!(answer.contains(body), "{path}: {answer}");
    }
}

#[tokio::test]
async fn nothing_can_be_written_anywhere() {
    let server = start(Ok(())).await;
    for path in ["/livez", "/readyz", "/metrics", "/status"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "RESYNC"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
            );
            let answer = server.send(&request).await;
            let refused = answer.starts_with("HTTP/1.1 405 ") && answer.contains("use GET");
            assert!(refused, "{method} {path}: {answer}");
            assert!(answer.contains("allow: GET,HEAD"), "{method} {path}: {answer}");
        }
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = server.send(&head).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn status_can_be_read_back() {
    let server = start(Ok(())).await;
    let answer = server.get("/status").await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let status: Status = serde_json::from_str(body).expect("a status");
    assert_eq!(status.pid, std::process::id());
}

#[tokio::test]
async fn readiness_says_what_is_missing_and_is_not_asked_for_each_probe() {
    let server = start(Err(Unready::Database("the database is unreachable".to_owned()))).await;
    for _ in 0..5 {
        let answer = server.get("/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("the database is unreachable"), "{answer}");
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn too_much_is_refused() {
    let server = start(Ok(())).await;
    let head = format!("GET /livez HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(20_000));
    assert!(server.send(&head).await.starts_with("HTTP/1.1 431 "));
    let body = format!(
        "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 50\r\n\r\n{}",
        "x".repeat(50)
    );
    assert!(server.send(&body).await.starts_with("HTTP/1.1 413 "));
    let many = "a: b\r\n".repeat(500);
    let head = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    assert!(server.send(&head).await.starts_with("HTTP/1.1 431 "));
    let path = "x".repeat(20_000);
    let head = format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let answer = server.send(&head).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 414 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_not_waited_for() {
    let server = start(Ok(())).await;
    let (mut reading, mut writing) =
        TcpStream::connect(server.address).await.expect("a connection").into_split();
    // A byte now and then keeps a connection busy, but not for ever.
    let trickle = tokio::spawn(async move {
        for byte in b"GET /livez HTTP/1.1\r\nhost: x\r\nslow: ".iter().chain(&[b'x'; 10_000]) {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = Vec::new();
    let ended = timeout(SOON, reading.read_to_end(&mut answer)).await.expect("an end");
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{ended:?} {answer}");
    trickle.abort();
}

#[tokio::test]
async fn a_body_that_never_comes_holds_nobody_up() {
    let server = start(Ok(())).await;
    let request =
        "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\nx";
    let answer = server.send(request).await;
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
}

#[tokio::test]
async fn clients_that_only_hold_connections_do_not_shut_others_out() {
    let server = start(Ok(())).await;
    // As many as there may be, one silent and one idle after its answer.
    let _silent = TcpStream::connect(server.address).await.expect("a connection");
    let mut idle = TcpStream::connect(server.address).await.expect("a connection");
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request");
    let answer = timeout(SOON, server.get("/livez")).await.expect("a turn");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// A client that asks until nothing goes through any more, and reads no answer.
async fn deaf(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(2048).expect("a small buffer");
    let mut stream = socket.connect(server.address).await.expect("a connection");
    let requests = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    // The server reads no request while answers wait, so that this must get stuck.
    while let Ok(written) =
        timeout(Duration::from_millis(100), stream.write_all(requests.as_bytes())).await
    {
        written.expect("the server still listens");
    }
    stream
}

#[tokio::test]
async fn clients_that_read_no_answer_do_not_shut_others_out() {
    let server = start(Ok(())).await;
    let _deaf = [deaf(&server).await, deaf(&server).await];
    let answer = timeout(SOON, server.get("/livez")).await.expect("a turn");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_client_that_reads_no_answer() {
    let server = start_with(Ok(()), SOON * 12, SOON * 12).await;
    let _deaf = deaf(&server).await;
    server.stopper.stop();
    timeout(SOON, server.serving).await.expect("an end").expect("no panic");
}

/// However many there are, and however long they may stay: whoever asks is answered, and the
/// one that has waited longest is cut.
#[tokio::test]
async fn whoever_asks_nothing_makes_room() {
    let server = start_with(Ok(()), SOON * 12, SOON * 12).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost").await.expect("half a head");
        silent.push(stream);
        if silent.len() % 10 == 0 {
            let answer = timeout(SOON, server.get("/livez")).await.expect("a turn");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    }
    let mut rest = Vec::new();
    for stream in &mut silent[..98] {
        // Cut: an end or a reset.
        drop(timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is cut"));
        assert!(rest.is_empty(), "nothing was asked");
    }
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once() {
    let server = start(Ok(())).await;
    let mut idle = TcpStream::connect(server.address).await.expect("a connection");
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request");
    let mut start = [0; 12];
    idle.read_exact(&mut start).await.expect("an answer");
    server.stopper.stop();
    timeout(SOON, server.serving).await.expect("an end").expect("no panic");
}
