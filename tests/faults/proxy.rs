//! Between the daemon and PostgreSQL: cuts, holds and refuses, at a chosen place of a
//! transaction that writes.
//!
//! Knows just enough of the protocol to see where such a transaction begins and commits.
//! Runs on threads of its own, so that a test which waits for the database cannot stop it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// A place in a transaction that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After so many bytes of it, or before its commit if it is shorter.
    Within(usize),
    /// Before so many messages of it have reached the server, the first being none.
    Message(usize),
    /// The commit has not reached the server.
    BeforeCommit,
    /// The server has committed, its answer has not reached the daemon.
    AfterCommit,
}

/// What happens at that place, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The connection breaks.
    Cut,
    /// Nothing gets any further until [`Proxy::release`].
    Hold,
}

#[derive(Default)]
struct State {
    armed: Option<(Place, Act)>,
    holding: bool,
    refusing: bool,
    closed: bool,
    pairs: Vec<(TcpStream, UnixStream)>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Dropped, it breaks every connection and takes no more.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens, in front of a server's socket.
    pub fn before(socket: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let taking = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if taking.state().closed {
                    return;
                }
                let server = UnixStream::connect(&socket);
                if let Ok(server) = server
                    && !taking.state().refusing
                {
                    serve(&taking, client, server);
                }
            }
        });
        Self { port, shared }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Waits for a transaction that writes, and acts in it.
    pub fn arm(&self, place: Place, act: Act) {
        self.shared.state().armed = Some((place, act));
    }

    /// Whether the act that was asked for is still to come.
    pub fn is_armed(&self) -> bool {
        self.shared.state().armed.is_some()
    }

    pub fn is_holding(&self) -> bool {
        self.shared.state().holding
    }

    /// Breaks every connection there is.
    pub fn cut(&self) {
        for (client, server) in self.shared.state().pairs.drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Whether new connections are turned away.
    pub fn refuse(&self, refusing: bool) {
        self.shared.state().refusing = refusing;
    }

    /// Lets everything through that is held, and asks for nothing more.
    pub fn release(&self) {
        let mut state = self.shared.state();
        state.armed = None;
        state.holding = false;
        drop(state);
        self.shared.released.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.release();
        self.cut();
        let wake = self.port;
        thread::spawn(move || TcpStream::connect(("127.0.0.1", wake)));
    }
}

fn serve(shared: &Arc<Shared>, client: TcpStream, server: UnixStream) {
    let _ = client.set_nodelay(true);
    let (Ok(from_client), Ok(to_client)) = (client.try_clone(), client.try_clone()) else { return };
    let (Ok(to_server), Ok(from_server)) = (server.try_clone(), server.try_clone()) else { return };
    shared.state().pairs.push((client, server));
    let deaf = Arc::<Mutex<bool>>::default();
    let asked = Asked {
        shared: Arc::clone(shared),
        deaf: Arc::clone(&deaf),
        within: None,
        from: from_client,
        to: to_server,
    };
    thread::spawn(move || asked.pump());
    thread::spawn(move || answer(from_server, to_client, &deaf));
}

/// From the server to the daemon, unless the answer is to be lost.
fn answer(mut from: UnixStream, mut to: TcpStream, deaf: &Mutex<bool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if *deaf.lock().unwrap() || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// From the daemon to the server.
struct Asked {
    shared: Arc<Shared>,
    deaf: Arc<Mutex<bool>>,
    /// Bytes and messages sent since a transaction that writes began.
    within: Option<(usize, usize)>,
    from: TcpStream,
    to: UnixStream,
}

impl Asked {
    fn pump(mut self) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = self.from.read(&mut buffer) {
            let sent = &buffer[..read];
            if !self.pass(sent) || self.to.write_all(sent).is_err() {
                break;
            }
        }
        let _ = self.to.shutdown(Shutdown::Both);
        let _ = self.from.shutdown(Shutdown::Both);
    }

    /// Whether the connection lives on; waits where it is held.
    fn pass(&mut self, sent: &[u8]) -> bool {
        let says = |words: &[u8]| sent.windows(words.len()).any(|window| window == words);
        if says(b"BEGIN ISOLATION LEVEL REPEATABLE READ\0") {
            self.within = Some((0, 0));
        }
        let Some((bytes, messages)) = self.within else { return true };
        let bytes = bytes + sent.len();
        let commits = says(b"COMMIT\0");
        let ends = commits || says(b"ROLLBACK\0");
        self.within = (!ends).then_some((bytes, messages + 1));
        let mut state = self.shared.state();
        let Some((place, act)) = state.armed else { return true };
        let here = match place {
            Place::Within(reach) => commits || bytes >= reach,
            Place::Message(number) => messages == number,
            Place::BeforeCommit | Place::AfterCommit => commits,
        };
        if !here {
            return true;
        }
        state.armed = None;
        match (act, place) {
            (Act::Cut, Place::AfterCommit) => {
                *self.deaf.lock().unwrap() = true;
                true
            }
            (Act::Cut, _) => false,
            (Act::Hold, place) => {
                // Held after the commit is held before its answer.
                if place == Place::AfterCommit {
                    if self.to.write_all(sent).is_err() {
                        return false;
                    }
                    *self.deaf.lock().unwrap() = true;
                }
                state.holding = true;
                while state.holding {
                    state = self.shared.released.wait(state).unwrap();
                }
                place != Place::AfterCommit
            }
        }
    }
}
