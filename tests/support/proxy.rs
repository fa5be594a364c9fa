//! A network that can be broken: a TCP proxy between a client and a server.
//!
//! It lives on a thread of its own, so that a test that blocks does not stop it, and
//! ends when it is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// The server behind the proxy.
#[derive(Clone, Debug)]
pub enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// Bytes go through.
    Whole,
    /// Connections stay, and no byte goes through: neither data nor an end. What was
    /// on its way arrives when the network is whole again.
    Stalled,
    /// Connections are reset, new ones too.
    Broken,
    /// The proxy is dropped.
    Gone,
}

pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy on a free port of this machine.
    pub fn start(upstream: Upstream) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (network, watched) = watch::channel(Network::Whole);
        let open = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&open);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, upstream, watched, counted));
        });
        Self { address, network, open, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections go through it now.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Resets every connection on both sides, and new ones at once.
    pub fn cut(&self) {
        self.network.send_replace(Network::Broken);
    }

    /// Lets nothing through any more, and tells neither side.
    pub fn stall(&self) {
        self.network.send_replace(Network::Stalled);
    }

    /// Lets everything through again.
    pub fn restore(&self) {
        self.network.send_replace(Network::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.send_replace(Network::Gone);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(
    listener: std::net::TcpListener,
    upstream: Upstream,
    network: watch::Receiver<Network>,
    open: Arc<AtomicUsize>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut gone = network.clone();
    loop {
        let client = tokio::select! {
            _ = gone.wait_for(|network| *network == Network::Gone) => return,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        let (upstream, network, open) = (upstream.clone(), network.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            open.fetch_add(1, Ordering::SeqCst);
            carry(client, upstream, network).await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// One connection, from end to end.
async fn carry(mut client: TcpStream, upstream: Upstream, network: watch::Receiver<Network>) {
    // What is not delivered when the network breaks is lost, and its sender told so.
    let _ = client.set_zero_linger();
    let mut broken = network.clone();
    let whole = async {
        passes(&network).await;
        match upstream {
            Upstream::Tcp(address) => {
                let mut server = TcpStream::connect(address).await?;
                server.set_zero_linger()?;
                join(client.split(), server.split(), &network).await
            }
            Upstream::Unix(path) => {
                let mut server = UnixStream::connect(path).await?;
                join(client.split(), server.split(), &network).await
            }
        }
    };
    tokio::select! {
        _ = broken.wait_for(|network| matches!(network, Network::Broken | Network::Gone)) => {}
        _ = whole => {}
    }
}

async fn join(
    (from_client, to_client): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (from_server, to_server): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    network: &watch::Receiver<Network>,
) -> io::Result<()> {
    let there = pump(from_client, to_server, network);
    let back = pump(from_server, to_client, network);
    tokio::try_join!(there, back).map(|_| ())
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    network: &watch::Receiver<Network>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        passes(network).await;
        match read? {
            0 => return to.shutdown().await,
            length => to.write_all(&buffer[..length]).await?,
        }
    }
}

async fn passes(network: &watch::Receiver<Network>) {
    // An error means that the proxy is gone, and so is this connection.
    let _ = network.clone().wait_for(|network| *network != Network::Stalled).await;
}
