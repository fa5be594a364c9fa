//! A throw-away PostgreSQL cluster, one for each test binary; one database for each test.
//!
//! Started as an unprivileged user where the tests run as root, because PostgreSQL
//! refuses to; it ends with the process that started it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub struct Cluster {
    dir: TempDir,
    server: Child,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database.
pub fn database() -> String {
    let cluster = CLUSTER.get_or_init(Cluster::start);
    let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
    cluster.url(&name)
}

/// Where the server's programs are: `PG_BIN`, the PATH, or Debian's place.
pub fn programs() -> PathBuf {
    let candidates = std::env::var_os("PG_BIN").map(PathBuf::from).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    candidates
        .chain(debian.into_iter().rev())
        .chain(on_path)
        .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
        .expect("PostgreSQL's server programs (initdb, postgres); install postgresql, or set PG_BIN to their folder")
}

/// The user to run as: ourselves, or an unprivileged one if we are root.
fn unprivileged() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let fields: Vec<&str> = line.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    })
}

impl Cluster {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("dirsync-pg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let (data, socket) = (dir.path().join("data"), dir.path().join("socket"));
        let user = unprivileged();
        for folder in [&data, &socket] {
            std::fs::create_dir(folder).unwrap();
            if let Some((uid, gid)) = user {
                chown(folder, Some(uid), Some(gid)).unwrap();
            }
        }
        let program = |name: &str| {
            let mut command = Command::new(programs().join(name));
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made = program("initdb")
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let server = guarded(&program("postgres"), &data, &socket);
        let cluster = Self { dir, server };
        cluster.wait(&socket.join(".s.PGSQL.5432"));
        cluster
    }

    fn wait(&self, socket: &Path) {
        let started = Instant::now();
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "PostgreSQL did not start");
            std::thread::yield_now();
        }
        while !self.try_psql("postgres", "SELECT 1") {
            assert!(started.elapsed() < Duration::from_secs(30), "PostgreSQL does not answer");
        }
    }

    /// Ends the server, and with it every connection; the data stays.
    pub fn stop(&mut self) {
        drop(self.server.stdin.take());
        self.server.wait().unwrap();
    }

    /// Starts a server that was stopped.
    pub fn restart(&mut self) {
        let (data, socket) = (self.dir.path().join("data"), self.dir.path().join("socket"));
        self.server = guarded(&Command::new(programs().join("postgres")), &data, &socket);
        self.wait(&socket.join(".s.PGSQL.5432"));
    }

    /// The server's socket, for a proxy in front of it.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket/.s.PGSQL.5432")
    }

    pub fn url(&self, database: &str) -> String {
        let socket = self.dir.path().join("socket").display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{database}")
    }

    pub fn psql(&self, database: &str, sql: &str) {
        assert!(self.try_psql(database, sql), "psql: {sql}");
    }

    fn try_psql(&self, database: &str, sql: &str) -> bool {
        let url = self.url(database);
        let program = programs().join("psql");
        let program = if program.is_file() { program } else { PathBuf::from("psql") };
        Command::new(program)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// A static is never dropped, so the server must end by itself: a shell between us and
/// it reads a pipe that closes when this process ends, however it ends.
fn guarded(server: &Command, data: &Path, socket: &Path) -> Child {
    let script = r#""$0" "$@" & pid=$!; read -r _; kill -INT $pid; wait $pid"#;
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(script)
        .arg(server.get_program())
        .arg("-D")
        .arg(data)
        .arg("-k")
        .arg(socket);
    for setting in [
        "listen_addresses=",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=200",
    ] {
        command.args(["-c", setting]);
    }
    if let Some((uid, gid)) = unprivileged() {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("PostgreSQL's server program starts")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}
