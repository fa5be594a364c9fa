//! `access`: who has access to a product, and on which paths.

use super::plans::plain;
use super::{AccessCommand, Context, Exit, failed};
use crate::store::{AccessPath, AccessRow, Store, WAYS_MAX};

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
                let (email, name) = (plain(&row.email), plain(&row.name));
                println!("{email:<40} {name:<28} {:<7} {}", row.role, plain(&through(row)));
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
            println!("{} has no access to {}", plain(email), plain(product));
            Exit::Done
        }
        Ok(Some(paths)) => {
            for path in &paths {
                println!("{}", plain(&line(path)));
            }
            if paths.iter().any(|path| path.more) {
                eprintln!("not every path is listed: at most {WAYS_MAX} to one linked group are");
                return Exit::Failed;
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
    let AccessPath { row, via, more: _ } = path;
    let AccessRow { product, role, name, email, .. } = row;
    let start = format!("{name} ({email}) ");
    match &row.group {
        None => format!("{start}-> product member with role {role} -> {product}"),
        Some(group) if via.is_empty() => format!(
            "{start}-> {group} -> {product} with role {role}: no path is observed any more; kept while it is held, see `plans list`"
        ),
        Some(_) => format!("{start}-> {} -> {product} with role {role}", via.join(" -> ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_its_source_says() {
        let path = |group: Option<&str>, via: &[&str]| AccessPath {
            row: AccessRow {
                product: "shop".to_owned(),
                email: "ada@contoso.example".to_owned(),
                name: "Ada".to_owned(),
                role: "member".to_owned(),
                source: "aad_group".to_owned(),
                group: group.map(str::to_owned),
                user_id: 1,
                group_id: group.map(|_| 2),
            },
            via: via.iter().map(|name| (*name).to_owned()).collect(),
            more: false,
        };
        for (path, expected) in [
            (path(None, &[]), "-> product member with role member -> shop"),
            (path(Some("Outer"), &[]), "-> Outer -> shop with role member: no path is observed"),
            (
                path(Some("Outer"), &["Inner", "Outer"]),
                "-> Inner -> Outer -> shop with role member",
            ),
        ] {
            let told = line(&path);
            assert!(told.starts_with(&format!("Ada (ada@contoso.example) {expected}")), "{told}");
        }
    }
}
