//! `status`: how the running daemon is doing, for people or as JSON.
//!
//! Owns the readable form of [`Status`]. Must not ask anybody but the daemon.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Context, Exit, StatusArgs, local};
use crate::daemon::{Counts, Leader, Status};
use crate::reconcile::report::{FindingKind, LastRun};

/// Shows the status. Exit code 3 says that something is withheld, 1 that runs fail, that
/// nobody is known to lead, or that audit and tables differ.
pub async fn run(context: &Context, args: &StatusArgs) -> Exit {
    let config = match context.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let status = match local::status(&config.http).await {
        Ok(status) => status,
        Err(error) => {
            error.tell();
            return Exit::Failed;
        }
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&status).expect("a status is plain data"));
    } else {
        print!("{}", Readable(&status));
    }
    exit_of(&status)
}

fn exit_of(status: &Status) -> Exit {
    // Who stands by knows of the leader's finding only. Where nobody verifies any more it
    // may be over.
    let looked_at = !status.leader || status.audit.due_at.is_some();
    let found = status.findings.contains_key(FindingKind::AuditDiverged.label());
    let diverged = (found && looked_at) || status.audit.differences > 0;
    if status.consecutive_failures > 0 || status.leads.is_none() || diverged {
        Exit::Failed
    } else if status.withheld != Counts::default() {
        Exit::Held
    } else {
        Exit::Done
    }
}

/// The status, one fact a line.
struct Readable<'a>(&'a Status);

impl fmt::Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let role = if status.leader { "leads" } else { "stands by" };
        let Status { version, revision, pid, .. } = status;
        writeln!(f, "nexus-dirsync {version} ({revision}), process {pid}, {role}")?;
        match &status.leads {
            Some(Leader { instance, epoch, since }) => {
                let since = time(*since);
                writeln!(f, "leader             {instance}, epoch {epoch}, since {since}")?;
            }
            None => writeln!(f, "leader             not known")?,
        }
        writeln!(f, "started            {}", time(status.started_at))?;
        if let Some(running) = &status.running {
            let since = time(running.since);
            writeln!(f, "running            {} ({}) since {since}", running.mode, running.trigger)?;
        }
        for (mode, last) in &status.last {
            writeln!(f, "{:<19}{}", format!("last {mode}"), Line(last))?;
        }
        for (mode, at) in &status.last_success {
            writeln!(f, "{:<19}{}", format!("last good {mode}"), time(*at))?;
        }
        for (mode, at) in &status.next {
            writeln!(f, "{:<19}{}", format!("next {mode}"), time(*at))?;
        }
        if let Some(totals) = status.totals {
            writeln!(f, "keeps              {}", Amounts(totals))?;
        }
        if status.withheld != Counts::default() {
            writeln!(f, "WITHHELD           {}", Amounts(status.withheld))?;
        }
        if let Some(since) = status.pending.since {
            let plans = status.pending.plans;
            writeln!(
                f,
                "ANSWER WANTED      {plans} held plans, the oldest since {}; see `plans list`",
                time(since)
            )?;
        }
        if status.consecutive_failures > 0 {
            writeln!(f, "FAILING            {} times in a row", status.consecutive_failures)?;
        }
        if let Some(at) = status.audit.verified_at {
            writeln!(f, "audit verified     {}, {} rows", time(at), status.audit.rows)?;
        }
        if status.audit.differences > 0 {
            let differences = status.audit.differences;
            writeln!(
                f,
                "AUDIT DIFFERS      {differences} times from the tables; see `audit verify`"
            )?;
        }
        for (kind, count) in &status.findings {
            writeln!(f, "finding            {kind}: {count}")?;
        }
        if status.config.reload_failed {
            let since = time(status.config.loaded_at);
            writeln!(f, "configuration      the last reload was refused, in use since {since}")?;
        }
        if !status.config.restart_needed.is_empty() {
            let keys = status.config.restart_needed.join(", ");
            writeln!(f, "configuration      takes a restart: {keys}")?;
        }
        Ok(())
    }
}

/// How a run ended, in one line.
struct Line<'a>(&'a LastRun);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(run) = self;
        let seconds = (run.finished_at - run.started_at).as_seconds_f64();
        write!(f, "{} {} after {seconds:.1} s", time(run.started_at), run.outcome)?;
        write!(f, ", {} changes ({})", run.changes.values().sum::<u64>(), run.trigger)?;
        run.failure.as_ref().map_or(Ok(()), |kind| write!(f, ", {kind}"))
    }
}

struct Amounts(Counts);

impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Counts { users, groups, memberships, access }) = self;
        write!(
            f,
            "{users} users, {groups} groups, {memberships} memberships, {access} times access to a product"
        )
    }
}

fn time(time: DateTime<Utc>) -> impl fmt::Display {
    time.format("%Y-%m-%d %H:%M:%S UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::AuditStatus;

    #[test]
    fn what_is_wrong_decides_the_exit_code() {
        let leader = Leader { instance: "one".to_owned(), epoch: 1, since: DateTime::UNIX_EPOCH };
        let withheld = Counts { access: 1, ..Counts::default() };
        let none = Counts::default();
        let (whole, differs) = (0, 2);
        for (leads, consecutive_failures, withheld, differences, code) in [
            (Some(leader.clone()), 0, none, whole, Exit::Done),
            (Some(leader.clone()), 0, withheld, whole, Exit::Held),
            (Some(leader.clone()), 1, withheld, whole, Exit::Failed),
            (Some(leader.clone()), 0, withheld, differs, Exit::Failed),
            (None, 0, none, whole, Exit::Failed),
        ] {
            let new = Status::new(DateTime::UNIX_EPOCH);
            let audit = AuditStatus { differences, ..AuditStatus::default() };
            let status = Status { leads, consecutive_failures, withheld, audit, ..new };
            assert_eq!(exit_of(&status), code);
        }
    }

    #[test]
    fn whoever_stands_by_fails_for_what_the_leader_found() {
        let leads = Leader { instance: "one".to_owned(), epoch: 1, since: DateTime::UNIX_EPOCH };
        let mut status = Status::new(DateTime::UNIX_EPOCH);
        status.leads = Some(leads);
        status.findings.insert("audit_diverged".to_owned(), 1);
        assert_eq!(exit_of(&status), Exit::Failed);
    }
}
