//! The authorities that Graph's certificate may come from.
//!
//! The HTTP client reads `SSL_CERT_FILE` by itself, and goes on without a word where it
//! cannot: so the word is said here.

use std::ffi::OsString;
use std::io::BufReader;

use super::Sources;
use crate::file;

const VARIABLE: &str = "SSL_CERT_FILE";

/// What is wrong with the file, if it is named. Its path is not shown, as of any file.
pub(super) fn warning(sources: &Sources) -> Option<String> {
    let path: &OsString = sources.environment.get(VARIABLE).filter(|path| !path.is_empty())?;
    let what = match file::open(path.as_ref()) {
        Err(error) => format!("cannot be read ({})", file::reason(&error)),
        Ok(file) => {
            if rustls_pemfile::certs(&mut BufReader::new(file))
                .any(|certificate| certificate.is_ok())
            {
                return None;
            }
            "has no certificate in it (PEM)".to_owned()
        }
    };
    Some(format!(
        "the file that {VARIABLE} names {what}, so none is trusted for its sake; correct it, or unset {VARIABLE}"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_file_without_certificates_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let junk = dir.path().join("junk.pem");
        std::fs::write(&junk, "-----BEGIN CERTIFICATE-----\n").expect("written");
        let good = Path::new("tests/graph/fixtures/certificate.pem");
        for (path, told) in [
            (dir.path().join("missing.pem").as_path(), Some("cannot be read")),
            (&junk, Some("has no certificate in it")),
            (Path::new(""), None),
            (good, None),
        ] {
            let environment = [(VARIABLE.to_owned(), path.into())].into();
            let warning = warning(&Sources { file: None, environment });
            let as_told = match (&warning, told) {
                (Some(warning), Some(told)) => warning.contains(told),
                (warning, told) => warning.is_none() && told.is_none(),
            };
            assert!(as_told, "{}: {warning:?}", path.display());
        }
        assert_eq!(warning(&Sources::default()), None);
    }
}
