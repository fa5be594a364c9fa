//! The program: its one line of output, its flags, its directory.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn the_program_says_where_it_listens_and_serves_what_it_was_told_to() {
    let flags = [
        "--users",
        "30",
        "--groups",
        "5",
        "--group",
        "app-one",
        "--person",
        "Ada Lovelace",
        "--seed",
        "4",
    ];
    let mut program = Command::new(env!("CARGO_BIN_EXE_graph-simulator"))
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let output = program.stdout.take().expect("its output is piped");
    BufReader::new(output).read_line(&mut line).expect("a line");
    let url =
        line.trim().strip_prefix("listening on ").map(|url| format!("{url}/_control/summary"));
    let summary = url.map(|url| {
        reqwest::blocking::get(url).and_then(reqwest::blocking::Response::json::<Value>)
    });
    program.kill().expect("the program runs");
    program.wait().expect("the program ends");
    let summary = summary.expect("the line names the address").expect("a summary");
    let users = summary["users"].as_u64().zip(summary["deletedUsers"].as_u64());
    assert_eq!(users.map(|(live, deleted)| live + deleted), Some(30));
    assert_eq!(summary["groups"], 5);
}
