//! `audit verify`: rebuilds the daemon's rows from the audit alone and compares.

use super::plans::plain;
use super::{AuditCommand, Context, Exit, failed};

/// How many differences are printed before the rest is only counted.
const LINES_MAX: usize = 50;

/// Verifies; exit code 1 where audit and tables differ.
pub async fn run(context: &Context, command: &AuditCommand) -> Exit {
    let AuditCommand::Verify = command;
    let store = match context.ready_store().await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let verification = match store.read(|tx| tx.verify_audit()).await {
        Ok(verification) => verification,
        Err(error) => return failed(&error),
    };
    for found in verification.foreign.iter().take(LINES_MAX) {
        println!("note  {} {}: {}", found.entity, found.id, plain(&found.what));
    }
    for found in verification.divergences.iter().take(LINES_MAX) {
        println!("WRONG {} {}: {}", found.entity, found.id, plain(&found.what));
    }
    println!(
        "{} audit rows replayed, {} differences, {} changes by others",
        verification.rows,
        verification.divergences.len(),
        verification.foreign.len()
    );
    if verification.divergences.is_empty() { Exit::Done } else { Exit::Failed }
}
