//! Command line in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use nexus_dirsync::cli::{self, Cli, Command, Context, Exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::of_process(&cli);
    dispatch(&cli.command, &context).into()
}

#[tokio::main(flavor = "current_thread")]
async fn dispatch(command: &Command, context: &Context) -> Exit {
    match command {
        Command::Resync(args) => cli::resync::run(context, args).await,
        Command::Status(args) => cli::status::run(context, args).await,
        Command::Completions(args) => cli::completions::run(args),
        Command::Check => match cli::check::configuration(context) {
            Ok(_) => Exit::Done,
            Err(exit) => exit,
        },
        _ => {
            eprintln!("this build cannot do that");
            Exit::Usage
        }
    }
}
