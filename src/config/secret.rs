//! Secrets as the configuration knows them: a value, or the file it is read from.
//!
//! Owns when a secret is read: as late as possible, each time anew, so that a rotated
//! file needs no restart. Must not show a secret; neither `Debug` nor an error does.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// A secret that is given, or lies in a file.
#[derive(Clone, Debug)]
pub enum Secret {
    /// Given as a value.
    Value(SecretString),
    /// Read from this file whenever it is needed.
    File(PathBuf),
}

/// A secret's file did not give the secret.
#[derive(Debug, thiserror::Error)]
#[error("reading the secret in {}", path.display())]
pub struct SecretError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Secret {
    /// The secret as it is now, without white space at its ends. Reads a file, so
    /// it belongs on a thread that may block.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(path) => {
                read(path).map_err(|source| SecretError { path: path.clone(), source })
            }
        }
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::Value(SecretString::default())
    }
}

fn read(path: &Path) -> io::Result<SecretString> {
    let text = crate::file::read_text(path)?;
    match text.trim() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")),
        secret => Ok(SecretString::from(secret)),
    }
}

/// Whether everybody on the machine may read `path`; `false` where that cannot be told.
pub(super) fn is_world_readable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}
