//! A network that can be broken: a TCP proxy between a client and a server.
//!
//! It lives on a thread of its own, so that a test that blocks does not stop it, and
//! ends when it is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    /// The same, but for connections that have said [`SPARED`].
    StalledButLead,
    /// Connections are reset, new ones too.
    Broken,
    /// The proxy is dropped.
    Gone,
}

/// What the connection of the lead calls itself, and no other one.
const SPARED: &[u8] = b"'nexus-dirsync leader'";

#[derive(Clone, Copy, Debug)]
struct State {
    network: Network,
    /// Connections with a lower number are stalled, whatever the others are.
    hushed: usize,
}

/// One connection.
struct Wire {
    number: usize,
    is_spared: AtomicBool,
}

pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<State>,
    open: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy on a free port of this machine.
    pub fn start(upstream: Upstream) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { network: Network::Whole, hushed: 0 };
        let (network, watched) = watch::channel(state);
        let (open, accepted) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counted = (Arc::clone(&open), Arc::clone(&accepted));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, upstream, watched, counted));
        });
        Self { address, network, open, accepted, thread: Some(thread) }
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
        self.turn(Network::Broken);
    }

    /// Lets nothing through any more, and tells neither side.
    pub fn stall(&self) {
        self.turn(Network::Stalled);
    }

    /// The same for all but the connection of the lead.
    pub fn stall_all_but_the_lead(&self) {
        self.turn(Network::StalledButLead);
    }

    /// Lets nothing through any more on the connections that there are; new ones serve.
    pub fn hush(&self) {
        let hushed = self.accepted.load(Ordering::SeqCst);
        self.network.send_modify(|state| state.hushed = hushed);
    }

    /// Lets everything through again.
    pub fn restore(&self) {
        self.network.send_replace(State { network: Network::Whole, hushed: 0 });
    }

    fn turn(&self, network: Network) {
        self.network.send_modify(|state| state.network = network);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.turn(Network::Gone);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(
    listener: std::net::TcpListener,
    upstream: Upstream,
    network: watch::Receiver<State>,
    (open, accepted): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut gone = network.clone();
    loop {
        let client = tokio::select! {
            _ = gone.wait_for(|state| state.network == Network::Gone) => return,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        let (upstream, network, open) = (upstream.clone(), network.clone(), Arc::clone(&open));
        let number = accepted.fetch_add(1, Ordering::SeqCst);
        let wire = Wire { number, is_spared: AtomicBool::default() };
        tokio::spawn(async move {
            open.fetch_add(1, Ordering::SeqCst);
            carry(client, upstream, network, &wire).await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// One connection, from end to end.
async fn carry(
    mut client: TcpStream,
    upstream: Upstream,
    network: watch::Receiver<State>,
    wire: &Wire,
) {
    // What is not delivered when the network breaks is lost, and its sender told so.
    let _ = client.set_zero_linger();
    let mut broken = network.clone();
    let whole = async {
        passes(&network, wire).await;
        match upstream {
            Upstream::Tcp(address) => {
                let mut server = TcpStream::connect(address).await?;
                server.set_zero_linger()?;
                join(client.split(), server.split(), &network, wire).await
            }
            Upstream::Unix(path) => {
                let mut server = UnixStream::connect(path).await?;
                join(client.split(), server.split(), &network, wire).await
            }
        }
    };
    tokio::select! {
        _ = broken.wait_for(|state| matches!(state.network, Network::Broken | Network::Gone)) => {}
        _ = whole => {}
    }
}

async fn join(
    (from_client, to_client): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (from_server, to_server): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    network: &watch::Receiver<State>,
    wire: &Wire,
) -> io::Result<()> {
    let there = pump(from_client, to_server, network, wire);
    let back = pump(from_server, to_client, network, wire);
    tokio::try_join!(there, back).map(|_| ())
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    network: &watch::Receiver<State>,
    wire: &Wire,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        let said = &buffer[..*read.as_ref().unwrap_or(&0)];
        if said.windows(SPARED.len()).any(|words| words == SPARED) {
            wire.is_spared.store(true, Ordering::SeqCst);
        }
        passes(network, wire).await;
        match read? {
            0 => return to.shutdown().await,
            length => to.write_all(&buffer[..length]).await?,
        }
    }
}

async fn passes(network: &watch::Receiver<State>, wire: &Wire) {
    let through = |state: &State| match state.network {
        Network::Stalled => false,
        Network::StalledButLead => wire.is_spared.load(Ordering::SeqCst),
        _ => wire.number >= state.hushed,
    };
    // An error means that the proxy is gone, and so is this connection.
    let _ = network.clone().wait_for(through).await;
}
