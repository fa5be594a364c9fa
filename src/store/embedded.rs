//! The file of an embedded database.
//!
//! Owns that it has one name and one daemon. SQLite finds its journal by the file's name:
//! it follows symbolic links to the real one, and cannot know of another hard link.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use super::Error;

/// Refuses a file with several names. Whoever opens it by another one has a journal of its
/// own there, sees nothing of ours, and overwrites what stands in it.
pub(super) fn require_one_name(path: &str) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(file) if file.is_file() && file.nlink() > 1 => {
            Err(Error::Linked { path: path.to_owned(), names: file.nlink() })
        }
        // What cannot be looked at cannot be opened either, and that says why.
        _ => Ok(()),
    }
}

/// Locks a file beside the database, by the database's real name. Not the database itself:
/// closing any descriptor of it would drop the locks that SQLite holds in this process.
pub(super) fn lock(path: &str) -> Result<File, Error> {
    let locked = |path: String, source| Error::Locked { path, source };
    let real = fs::canonicalize(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Absent(path.to_owned()),
        _ => locked(format!("{path}.lock"), error),
    })?;
    let path = format!("{}.lock", real.display());
    let file = File::create(&path).map_err(|source| locked(path.clone(), source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(locked(path, ErrorKind::WouldBlock.into())),
        Err(TryLockError::Error(source)) => Err(locked(path, source)),
    }
}
