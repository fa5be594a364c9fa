//! Reads the files that people name in the configuration.
//!
//! Owns what counts as one: a regular file of a sane size, however many links lead to it. A
//! device may never end, and a pipe would be waited for until somebody writes into it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The largest that is read; the largest registry that anybody has is some thousand lines.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// Opens a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened: that alone may wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(unusable("is not a regular file"));
    }
    File::open(path)
}

/// The bytes of a regular file of up to [`BYTES_MAX`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Counted while reading: what a file is said to have, and has, may differ.
    open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(unusable("is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// The same as text.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| unusable("is not UTF-8 text"))
}

/// Why a file could not be read, without what the system adds to it.
pub fn reason(error: &io::Error) -> String {
    error.get_ref().map_or_else(|| error.kind().to_string(), ToString::to_string)
}

fn unusable(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
