//! Where answers go: a reader that has seen enough, and a device that takes nothing.

use std::fs::File;
use std::process::Stdio;

use crate::stage::binary;

const REGISTRY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/registry.toml");
const COMMANDS: [&[&str]; 2] = [&["completions", "bash"], &["registry", "check", REGISTRY]];

/// Exit code and what was said besides.
fn tell(args: &[&str], out: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = binary().args(args).stdout(out).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    for args in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(tell(args, writer), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn an_answer_that_is_lost_is_one() {
    for args in COMMANDS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, told) = tell(args, full);
        assert_eq!(code, Some(1), "{args:?}: {told}");
        assert!(told.contains("standard output cannot be written"), "{args:?}: {told}");
    }
}
