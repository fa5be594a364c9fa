//! `plans`: what the guard holds, and what people say about it.
//!
//! Approving only records; the daemon reads the directory again and lets through what
//! still stands. Applies nothing itself.

mod show;

use std::collections::BTreeSet;

use chrono::Utc;

use super::{ApproveArgs, Context, Exit, PlansCommand, RejectArgs, failed, unusable};
use crate::directory::Mode;
use crate::reconcile::plan::Item;
use crate::reconcile::report::Trigger;
use crate::store::{self, Decider, Decision, PlanDetail, PlanItem, Store, Verdict};

pub(super) use show::{Line, Page, plain};
use show::{json, short, summary_json};

/// Answers.
pub async fn run(context: &Context, command: &PlansCommand) -> Exit {
    let store = match context.ready_store().await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let done = match command {
        PlansCommand::List { all, json } => list(&store, *all, *json).await,
        PlansCommand::Show { hash, json } => show(&store, hash, *json).await,
        PlansCommand::Approve(args) => approve(&store, args).await,
        PlansCommand::Reject(args) => reject(&store, args).await,
    };
    done.unwrap_or_else(|refusal| refusal.tell())
}

/// Why a plan was not shown or answered.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no held plan {0}; see `nexus-dirsync plans list --all`")]
    Unknown(String),
    #[error(
        "--by {0}: no live admin of the platform has this address; only an admin's word is recorded"
    )]
    NoAdmin(String),
    #[error("the platform has a live admin; name one with --by instead of breaking the glass")]
    GlassIsWhole,
    #[error("the platform has no live admin; say so with --break-glass REASON")]
    NobodyThere,
    #[error("{option} {text}: {problem}; the plan has items 1 to {items}")]
    Items { option: &'static str, text: String, problem: &'static str, items: usize },
    #[error("{0:?} is no hash; give at least 8 of its hexadecimal digits")]
    Hash(String),
    #[error("--reason is empty; say why, for whoever finds it rejected")]
    NoReason,
    #[error("--break-glass is empty; say why, for whoever audits it")]
    GlassWithoutReason,
    #[error("plan {0}: what is stored does not have this hash any more; somebody altered it")]
    Altered(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Refusal {
    fn tell(&self) -> Exit {
        match self {
            Self::Store(error) if !matches!(error, store::Error::Decided(_)) => failed(error),
            Self::Store(store::Error::Decided(_)) | Self::Altered(_) => failed(self),
            _ => unusable(self),
        }
    }
}

async fn list(store: &Store, all: bool, as_json: bool) -> Result<Exit, Refusal> {
    let plans = store.read(move |tx| tx.plans(all)).await?;
    if as_json {
        let told: Vec<_> = plans.iter().map(summary_json).collect();
        println!("{}", serde_json::json!(told));
    } else if plans.is_empty() {
        println!("nothing is held");
    } else {
        for plan in &plans {
            println!("{}", Line(plan));
        }
    }
    let waits = plans.iter().any(|plan| plan.status == "pending");
    Ok(if waits { Exit::Held } else { Exit::Done })
}

async fn show(store: &Store, hash: &str, as_json: bool) -> Result<Exit, Refusal> {
    let detail = find(store, hash).await?;
    if as_json {
        println!("{}", json(&detail));
    } else {
        print!("{}", Page(&detail));
        if detail.plan.status == "pending" {
            let hash = short(&detail.plan.hash);
            println!("answer   nexus-dirsync plans approve {hash} --by ADMIN [--only 1,3-5]");
            println!("         nexus-dirsync plans reject {hash} --by ADMIN --reason WHY");
        }
    }
    Ok(if detail.intact { Exit::Done } else { Exit::Failed })
}

async fn find(store: &Store, hash: &str) -> Result<PlanDetail, Refusal> {
    let prefix = hash.trim().to_ascii_lowercase();
    // An unset variable of a script must not mean the one plan that there is.
    if prefix.len() < 8 || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::Hash(hash.to_owned()));
    }
    let found = store.read(move |tx| tx.plan(&prefix)).await?;
    found.ok_or_else(|| Refusal::Unknown(hash.to_owned()))
}

/// A reason is for whoever reads it later, so that an empty one is none.
fn require_reason(break_glass: Option<&str>) -> Result<(), Refusal> {
    let empty = break_glass.is_some_and(|reason| reason.trim().is_empty());
    if empty { Err(Refusal::GlassWithoutReason) } else { Ok(()) }
}

async fn approve(store: &Store, args: &ApproveArgs) -> Result<Exit, Refusal> {
    require_reason(args.break_glass.as_deref())?;
    let detail = find(store, &args.hash).await?;
    if !detail.intact {
        return Err(Refusal::Altered(detail.plan.hash));
    }
    let chosen = chosen(args, detail.items.len())?;
    let decider = decider(store, args.by.as_deref(), args.break_glass.as_deref()).await?;
    let all = detail.items.len();
    let mode = answering_mode(&detail);
    let decision = Decision::Approve(chosen);
    let count = decide(store, detail.plan.hash.clone(), decider, decision, mode).await?;
    println!("{count} of {all} items of plan {} are approved", short(&detail.plan.hash));
    match store.read(|tx| tx.leader_now()).await? {
        Some(leader) => {
            println!("{} reads the directory again and does what still stands", leader.holder);
        }
        None => println!(
            "the daemon reads the directory again and does what still stands; if none runs, `nexus-dirsync sync` does"
        ),
    }
    Ok(Exit::Done)
}

async fn reject(store: &Store, args: &RejectArgs) -> Result<Exit, Refusal> {
    if args.reason.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    require_reason(args.break_glass.as_deref())?;
    let detail = find(store, &args.hash).await?;
    let decider = decider(store, args.by.as_deref(), args.break_glass.as_deref()).await?;
    let decision = Decision::Reject(args.reason.clone());
    let mode = answering_mode(&detail);
    decide(store, detail.plan.hash.clone(), decider, decision, mode).await?;
    println!(
        "plan {} is rejected; nothing of it happens until the directory changes",
        short(&detail.plan.hash)
    );
    Ok(Exit::Done)
}

/// The run that carries an answer out, or shows that there is one: purges are asked for in
/// full runs alone.
fn answering_mode(detail: &PlanDetail) -> Mode {
    let purges = |(item, _): &(PlanItem, String)| {
        matches!(item.item(), Ok(Item::UserPurge(_) | Item::GroupPurge(_)))
    };
    if detail.items.iter().any(purges) { Mode::Full } else { Mode::Delta }
}

async fn decide(
    store: &Store,
    hash: String,
    decider: Decider,
    decision: Decision,
    mode: Mode,
) -> Result<usize, Refusal> {
    let now = Utc::now();
    let work = move |tx: &mut store::Tx<'_>| {
        let count = tx.decide_plan(&hash, &decider, &decision, now)?;
        tx.request_run(mode, Trigger::Command, &decider.by)?;
        Ok(Verdict::Commit(count))
    };
    Ok(store.write(work).await?)
}

/// Whose word it is: a live admin's or, where there is none, of whoever breaks the glass.
async fn decider(
    store: &Store,
    by: Option<&str>,
    break_glass: Option<&str>,
) -> Result<Decider, Refusal> {
    let asked = by.map(str::to_owned);
    let (admin, anybody) = store
        .read(move |tx| {
            let admin = asked.as_deref().map(|email| tx.live_admin(email)).transpose()?;
            Ok((admin.flatten(), tx.has_live_admin()?))
        })
        .await?;
    match (admin, by, break_glass) {
        (_, _, Some(_)) if anybody => Err(Refusal::GlassIsWhole),
        (_, by, Some(reason)) => Ok(Decider {
            by: by.unwrap_or("whoever broke the glass").to_owned(),
            user_id: None,
            break_glass: Some(reason.to_owned()),
        }),
        (Some((user_id, email)), ..) => {
            Ok(Decider { by: email, user_id: Some(user_id), break_glass: None })
        }
        (None, Some(by), None) if anybody => Err(Refusal::NoAdmin(by.to_owned())),
        (None, ..) => Err(Refusal::NobodyThere),
    }
}

/// The items that are approved, by number.
fn chosen(args: &ApproveArgs, items: usize) -> Result<BTreeSet<i32>, Refusal> {
    let last = i32::try_from(items).unwrap_or(i32::MAX);
    let all: BTreeSet<i32> = (1..=last).collect();
    let named = |option: &'static str, text: &str| {
        let refuse = |problem| Refusal::Items { option, text: text.to_owned(), problem, items };
        let numbers = numbers(text).ok_or_else(|| refuse("is no list such as 1,3-5"))?;
        if numbers.is_subset(&all) { Ok(numbers) } else { Err(refuse("names no item")) }
    };
    match (&args.only, &args.except) {
        (Some(text), _) => named("--only", text),
        (None, Some(text)) => {
            let rest = &all - &named("--except", text)?;
            let problem = "leaves nothing to approve";
            let nothing =
                || Refusal::Items { option: "--except", text: text.clone(), problem, items };
            if rest.is_empty() { Err(nothing()) } else { Ok(rest) }
        }
        (None, None) => Ok(all),
    }
}

/// Numbers and ranges, separated by commas; not empty.
fn numbers(text: &str) -> Option<BTreeSet<i32>> {
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (i32, i32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first < 1 || first > last || last > 10_000_000 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_by_numbers_and_ranges() {
        for (text, expected) in [
            ("1", Some(vec![1])),
            ("1,3-5", Some(vec![1, 3, 4, 5])),
            (" 2 , 2-3 ", Some(vec![2, 3])),
            ("", None),
            ("0", None),
            ("3-1", None),
            ("x", None),
            ("1,", None),
            ("-2", None),
            ("1-99999999", None),
        ] {
            let told = numbers(text).map(|numbers| numbers.into_iter().collect::<Vec<_>>());
            assert_eq!(told, expected, "{text:?}");
        }
    }
}
