//! `access`: who has access to a product, and on which paths.

use super::{AccessCommand, Context, Exit, failed};
use crate::store::{AccessPath, AccessRow, Store};

/// Answers.
pub async fn run(context: &Context, command: &AccessCommand) -> Exit {
    let store = match context.ready_store().await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    match command {
        AccessCommand::Who { product } => who(&store, product).await,
        AccessCommand::Explain { email, product } => explain(&store, email, product).await,
    }
}

async fn who(store: &Store, product: &str) -> Exit {
    let asked = product.to_owned();
    match store.read(move |tx| tx.access_who(&asked)).await {
        Ok(Some(rows)) => {
            let people: std::collections::BTreeSet<&str> =
                rows.iter().map(|row| row.email.as_str()).collect();
            for row in &rows {
                println!("{:<40} {:<28} {:<7} {}", row.email, row.name, row.role, through(row));
            }
            println!("{} people on {} paths", people.len(), rows.len());
            Exit::Done
        }
        Ok(None) => unknown(product),
        Err(error) => failed(&error),
    }
}

fn through(row: &AccessRow) -> String {
    row.group.as_ref().map_or_else(|| "product member".to_owned(), |group| format!("group {group}"))
}

async fn explain(store: &Store, email: &str, product: &str) -> Exit {
    let (asked, of) = (email.to_owned(), product.to_owned());
    match store.read(move |tx| tx.access_explain(&asked, &of)).await {
        Ok(None) => unknown(product),
        Ok(Some(paths)) if paths.is_empty() => {
            println!("{email} has no access to {product}");
            Exit::Done
        }
        Ok(Some(paths)) => {
            for path in &paths {
                println!("{}", line(path));
            }
            Exit::Done
        }
        Err(error) => failed(&error),
    }
}

fn unknown(product: &str) -> Exit {
    eprintln!("there is no product \"{product}\"; the registry and the table products name them");
    Exit::Failed
}

fn line(path: &AccessPath) -> String {
    let AccessPath { row, via } = path;
    let start = format!("{} ({}) ", row.name, row.email);
    if via.is_empty() {
        return format!("{start}-> product member with role {} -> {}", row.role, row.product);
    }
    format!("{start}-> {} -> {} with role {}", via.join(" -> "), row.product, row.role)
}
