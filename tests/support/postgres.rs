//! A throw-away PostgreSQL cluster, one for each test binary; one database for each test.
//!
//! Started as an unprivileged user where the tests run as root, because PostgreSQL
//! refuses to; it ends with the process that started it.

use std::io::Write;
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
    port: u16,
    settings: Vec<String>,
}

/// The port that names the socket where a test does not care.
const PORT: u16 = 5432;

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database.
pub fn database() -> String {
    let cluster = CLUSTER.get_or_init(Cluster::start);
    let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
    cluster.url(&name)
}

/// The URL of a copy, as people make one beside the original. Nobody may be connected to that.
pub fn copy(url: &str) -> String {
    let cluster = CLUSTER.get_or_init(Cluster::start);
    let original = url.rsplit('/').next().unwrap();
    let name = format!("{original}_copy");
    cluster.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {original}"));
    cluster.url(&name)
}

/// The socket of the cluster that [`database`] makes databases in.
pub fn socket() -> PathBuf {
    CLUSTER.get_or_init(Cluster::start).socket()
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
pub fn unprivileged() -> Option<(u32, u32)> {
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
        Self::start_with(PORT, &["listen_addresses="], &[])
    }

    /// A server with this port and these settings, `name=value`, and these files beside
    /// its data, which nobody but it can read.
    pub fn start_with(port: u16, settings: &[&str], files: &[(&str, &str)]) -> Self {
        let port_setting = format!("port={port}");
        let settings = settings.iter().copied().chain([port_setting.as_str()]);
        let settings: Vec<String> = settings.map(str::to_owned).collect();
        let dir = tempfile::Builder::new().prefix("dirsync-pg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let (data, socket) = (dir.path().join("data"), dir.path().join("socket"));
        let user = unprivileged();
        for folder in [&data, &socket] {
            std::fs::create_dir(folder).unwrap();
        }
        if let Some((uid, gid)) = user {
            for folder in [dir.path(), &data, &socket] {
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
        for (name, text) in files {
            let path = data.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = user {
                chown(&path, Some(uid), Some(gid)).unwrap();
            }
        }
        let server = guarded(&program("postgres"), &data, &socket, &settings);
        let cluster = Self { dir, server, port, settings };
        cluster.wait(&socket);
        cluster
    }

    fn wait(&self, folder: &Path) {
        let started = Instant::now();
        let socket = folder.join(format!(".s.PGSQL.{}", self.port));
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "PostgreSQL did not start");
            std::thread::yield_now();
        }
        while !self.try_psql("postgres", "SELECT 1") {
            assert!(started.elapsed() < Duration::from_secs(30), "PostgreSQL does not answer");
        }
    }

    /// Ends the server, and with it every connection; the data stays.
    pub fn stop(&mut self) {
        let mut shell = self.server.stdin.take().unwrap();
        shell.write_all(STAY).unwrap();
        drop(shell);
        self.server.wait().unwrap();
    }

    /// Starts a server that was stopped.
    pub fn restart(&mut self) {
        let (data, socket) = (self.dir.path().join("data"), self.dir.path().join("socket"));
        let program = Command::new(programs().join("postgres"));
        self.server = guarded(&program, &data, &socket, &self.settings);
        self.wait(&socket);
    }

    /// The server's socket, for a proxy in front of it.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket/.s.PGSQL.5432")
    }

    pub fn url(&self, database: &str) -> String {
        self.url_of("postgres", database)
    }

    /// The URL by which a role connects.
    pub fn url_of(&self, role: &str, database: &str) -> String {
        let socket = self.dir.path().join("socket").display().to_string().replace('/', "%2F");
        format!("postgres://{role}@{socket}:{}/{database}", self.port)
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

/// Tells the shell beside a server that its data is wanted again.
const STAY: &[u8] = b"stay\n";

/// A static is never dropped, so the server must end by itself, and take its data along: a
/// shell between us and it reads a pipe that closes when this process ends, however it ends.
fn guarded(server: &Command, data: &Path, socket: &Path, settings: &[String]) -> Child {
    let script = r#""$0" "$@" & pid=$!; read -r word; kill -INT $pid; wait $pid
        [ "$word" = stay ] || rm -rf "${2%/*}""#;
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(script)
        .arg(server.get_program())
        .arg("-D")
        .arg(data)
        .arg("-k")
        .arg(socket);
    let quick =
        ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"];
    for setting in quick.into_iter().chain(settings.iter().map(String::as_str)) {
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
