//! The help of each command, as people and scripts know it.
//! `UPDATE_GOLDEN=1 cargo test` writes the golden files anew.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use nexus_dirsync::cli::Cli;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/help");

fn check(command: &mut Command, name: &str) {
    let help = command.render_long_help().to_string();
    let path = Path::new(FOLDER).join(format!("{}.txt", name.replace(' ', "-")));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &help).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(help, golden, "{}: UPDATE_GOLDEN=1 writes it anew", path.display());
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let name = format!("{name} {}", sub.get_name());
        check(sub, &name);
    }
}

#[test]
fn help_is_what_it_was() {
    // A fixed width: otherwise the text depends on the terminal of whoever runs this.
    let mut command = Cli::command().term_width(100);
    command.build();
    check(&mut command, "nexus-dirsync");
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}
