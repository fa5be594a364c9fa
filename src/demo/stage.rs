//! The place where the demonstration happens: a temporary folder with configuration,
//! secret, registry and database, and a simulated Microsoft Graph.
//!
//! Owns what is set up, and that all of it goes when it is dropped. Nothing of the
//! caller's configuration gets in.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use graph_simulator::{Options, Simulator};
use tempfile::TempDir;
use uuid::Uuid;

use super::{REGISTRY, company};
use crate::config::Sources;
use crate::registry::{self, Registry};

/// Why the stage could not be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A file, a folder or a port could not be had.
    #[error("setting the demo up failed while {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The folder for temporary files has a name that no setting can hold.
    #[error("the folder for temporary files, {}, is not named in UTF-8; set TMPDIR", .0.display())]
    Path(PathBuf),
    /// The registry that ships is no good.
    #[error("the built-in registry cannot be used")]
    Registry(#[from] registry::Error),
}

/// Everything that the daemon needs, in one place.
#[derive(Debug)]
pub struct Stage {
    pub(super) simulator: Simulator,
    pub(super) registry: Registry,
    /// Where the daemon will listen.
    pub(super) address: SocketAddr,
    folder: TempDir,
}

impl Stage {
    /// Sets it.
    pub fn set() -> Result<Self, StageError> {
        let folder = tempfile::Builder::new()
            .prefix("nexus-dirsync-demo-")
            .tempdir()
            .map_err(doing("making a temporary folder"))?;
        let registry_file = folder.path().join("registry.toml");
        write(&registry_file, REGISTRY)?;
        let registry = registry::load(&registry_file)?;

        let (client_id, secret) = (Uuid::new_v4(), Uuid::new_v4().to_string());
        write(&folder.path().join("secret"), &secret)?;
        let options = Options {
            client_id: Some(client_id.to_string()),
            client_secret: Some(secret),
            ..Options::default()
        };
        let tenant_id = options.tenant_id;
        let simulator = Simulator::start(company::found(&registry.entries), options)
            .map_err(doing("starting the simulator"))?;
        let address = free_address().map_err(doing("looking for a free port"))?;
        let stage = Self { simulator, registry, address, folder };
        write(&stage.config_file(), &stage.config(tenant_id, client_id)?)?;
        Ok(stage)
    }

    /// What the daemon is configured from: the file on this stage, and nothing else.
    pub fn sources(&self) -> Sources {
        Sources { file: Some(self.config_file()), ..Sources::default() }
    }

    /// The configuration, for the other commands as well.
    pub(super) fn config_file(&self) -> PathBuf {
        self.folder.path().join("dirsync.toml")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What differs from the defaults, as an operator would write it.
    fn config(&self, tenant_id: Uuid, client_id: Uuid) -> Result<String, StageError> {
        let path = self.folder.path();
        let folder = path.to_str().ok_or_else(|| StageError::Path(path.to_owned()))?;
        let text = |text: String| toml::Value::String(text).to_string();
        let (database, secret, registry) = (
            text(format!("sqlite://{folder}/dirsync.db")),
            text(format!("{folder}/secret")),
            text(format!("{folder}/registry.toml")),
        );
        let (graph, listen) = (self.simulator.url(), self.address);
        Ok(format!(
            r#"# Written by `nexus-dirsync demo`. What is not here has its default.
[database]
url = {database}

[graph]
endpoint = "{graph}"

[identity]
authority = "{graph}"
tenant_id = "{tenant_id}"
client_id = "{client_id}"
client_secret_file = {secret}

[schedule]
# The demo asks for each run itself, with the signal that `resync` sends.
delta = "off"
full = "off"

[registry]
file = {registry}

[http]
listen = "{listen}"

[log]
format = "text"
level = "warn"
"#
        ))
    }
}

/// Makes a file that nobody else may read: one of them is the secret.
fn write(path: &Path, text: &str) -> Result<(), StageError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(doing("writing into the temporary folder"))
}

/// A port that nobody has right now. Somebody could take it before the daemon does; it
/// would say so and end.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn doing(doing: &'static str) -> impl FnOnce(io::Error) -> StageError {
    move |source| StageError::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, GroupScope, UserScope};

    #[test]
    fn the_configuration_is_good_and_goes_with_the_stage() {
        let stage = Stage::set().expect("a stage");
        let config = Config::load(&stage.sources()).expect("a good configuration");
        assert_eq!(config.warnings, Vec::<String>::new());
        assert_eq!(config.http.listen, stage.address);
        assert_eq!(
            (config.scope.groups, config.scope.users),
            (GroupScope::Linked, UserScope::Members)
        );
        let folder = stage.folder().to_owned();
        drop(stage);
        assert!(!folder.exists());
    }
}
