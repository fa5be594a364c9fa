//! Command line in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use nexus_dirsync::cli::{self, Cli, Context};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::of_process(&cli);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime does not start: {error}");
            return cli::Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(cli::dispatch(&cli.command, &context));
    // Whatever had to end has ended. A question to a database that never answers may still
    // be waiting, and must not keep the process.
    runtime.shutdown_background();
    exit.into()
}
