//! A held plan as people read it, and as JSON.
//!
//! Names and addresses of people are in it: for a terminal, never for the log.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::store::{PlanDetail, PlanItem, StoredPlan};

/// Text from outside on a terminal: what could move the cursor, erase what stands there,
/// begin a line, turn the direction of writing or not be seen is spelled out, so that
/// nothing on the screen lies.
pub(in crate::cli) fn plain(text: &str) -> String {
    let misleads = |c: char| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || misleads(c) {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// A plan in a line.
pub(in crate::cli) struct Line<'a>(pub(in crate::cli) &'a StoredPlan);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let items: u64 = plan.statuses.values().sum();
        write!(
            f,
            "{}  {:<9} {}  {items} items, {} times access; {}",
            short(&plan.hash),
            plan.status,
            time(plan.header.created_at),
            plan.header.counts.access,
            plain(&plan.header.reasons.join("; "))
        )
    }
}

/// How many people of one item are named on the screen.
const NAMES_MAX: usize = 20;

/// A plan in full.
pub(in crate::cli) struct Page<'a>(pub(in crate::cli) &'a PlanDetail);

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanDetail { plan, items, intact, lines: _, people } = self.0;
        let header = &plan.header;
        writeln!(f, "plan     {}", plan.hash)?;
        writeln!(f, "made     {} by run {}", time(header.created_at), header.run_id)?;
        writeln!(f, "status   {}", Status(plan))?;
        if !intact {
            writeln!(f, "ALTERED  the stored lines do not have this hash any more")?;
        }
        for reason in &header.reasons {
            writeln!(f, "why      {}", plain(reason))?;
        }
        let counts = header.counts;
        writeln!(
            f,
            "costs    {} users, {} groups, {} memberships, {} times access to a product",
            counts.users, counts.groups, counts.memberships, counts.access
        )?;
        for (product, people) in &header.cost {
            writeln!(f, "         {}: {people} people", plain(product))?;
        }
        for (product, people) in &header.gain {
            writeln!(f, "gives    {} to {people} people", plain(product))?;
        }
        writeln!(f, "items")?;
        for (item, status) in items {
            writeln!(f, "{:>6}  {}{}", item.number, Words(item), Standing(status))?;
            let moved = item.cost.values().flatten().filter_map(|id| people.get(id));
            let moved: BTreeSet<&str> = moved.map(String::as_str).collect();
            let sign = if gives(item) { '+' } else { '-' };
            for email in moved.iter().take(NAMES_MAX) {
                writeln!(f, "        {sign} {}", plain(email))?;
            }
            if moved.len() > NAMES_MAX {
                let more = moved.len() - NAMES_MAX;
                writeln!(f, "        {sign} and {more} more; --json has them all")?;
            }
        }
        Ok(())
    }
}

/// What people said, and when.
struct Status<'a>(&'a StoredPlan);

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        write!(f, "{}", plan.status)?;
        if let (Some(at), Some(by)) = (plan.decided_at, &plan.decided_by) {
            write!(f, " by {} at {}", plain(by), time(at))?;
        }
        for reason in plan.break_glass.iter().chain(&plan.reason) {
            write!(f, ": {}", plain(reason))?;
        }
        plan.closed_at.map_or(Ok(()), |at| write!(f, ", over since {}", time(at)))
    }
}

/// Whether access is given by an item, not taken away.
fn gives(item: &PlanItem) -> bool {
    item.kind.ends_with("_addition") || item.kind == "rebinding"
}

/// What an item does.
struct Words<'a>(&'a PlanItem);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanItem { cost, evidence, group, group_name, kind, name, number: _, .. } = self.0;
        let PlanItem { seen, user, user_email, .. } = self.0;
        let called = |name: &Option<String>, id: &Option<uuid::Uuid>| match (name, id) {
            (Some(name), _) => plain(name),
            (None, Some(id)) => id.to_string(),
            (None, None) => String::from("?"),
        };
        let (user, group) = (called(user_email, user), called(group_name, group));
        let name = plain(name.as_deref().unwrap_or("?"));
        match kind.as_str() {
            "user_removal" => write!(f, "user {user} ends"),
            "user_purge" => write!(f, "user {user} is purged"),
            "group_removal" => write!(f, "group {group} ends"),
            "group_purge" => write!(f, "group {group} is purged"),
            "membership_removal" => write!(f, "{user} leaves {group}"),
            "role_removal" => write!(f, "{user} stops being a platform admin"),
            "link_removal" => write!(f, "link of {name} to {group} ends"),
            "product_member_removal" => write!(f, "{user} stops being a member of {name}"),
            "adoption" => write!(f, "the directory's {user} adopts the row {name}"),
            "rebinding" => write!(f, "the registry's \"{name}\" means {group} from now on"),
            "membership_addition" => write!(f, "{user} joins {group}"),
            "link_addition" => write!(f, "link of {name} to {group} begins"),
            other => write!(f, "{other}"),
        }?;
        if let Some(seen) = seen {
            write!(f, " ({seen})")?;
        }
        if !cost.is_empty() {
            let cost: Vec<String> = cost
                .iter()
                .map(|(product, people)| match people.len() {
                    1 => plain(product),
                    people => format!("{} ({people} people)", plain(product)),
                })
                .collect();
            let verb = if gives(self.0) { "gives" } else { "costs" };
            write!(f, "; {verb} {}", cost.join(", "))?;
        }
        evidence.as_ref().map_or(Ok(()), |evidence| write!(f, " [{evidence}]"))
    }
}

/// What became of an item, unless it just waits.
struct Standing<'a>(&'a str);

impl fmt::Display for Standing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "held" => Ok(()),
            "left_over" => f.write_str("  -> not approved, held anew by the next run"),
            "moved" => f.write_str("  -> held anew by another plan"),
            "gone" => f.write_str("  -> no difference any more"),
            "changed" => f.write_str(
                "  -> not done, it is not what was answered any more: it would cost more, follows from what is held, or the directory changed",
            ),
            other => write!(f, "  -> {other}"),
        }
    }
}

/// The same for programs. `lines` are what the hash was taken of, each ended by a line feed.
pub(in crate::cli) fn json(detail: &PlanDetail) -> Value {
    let PlanDetail { plan, items, intact, lines, people } = detail;
    let items: Vec<Value> =
        items.iter().map(|(item, status)| json!({ "item": item, "status": status })).collect();
    let mut told = summary_json(plan);
    told["items"] = json!(items);
    told["intact"] = json!(intact);
    told["people"] = json!(people);
    told["lines"] = json!(lines);
    told
}

/// A plan without its items.
pub(in crate::cli) fn summary_json(plan: &StoredPlan) -> Value {
    let StoredPlan {
        hash,
        header,
        status,
        decided_at,
        decided_by,
        break_glass,
        reason,
        closed_at,
        statuses,
    } = plan;
    json!({
        "hash": hash,
        "status": status,
        "header": header,
        "decided_at": decided_at,
        "decided_by": decided_by,
        "break_glass": break_glass,
        "reason": reason,
        "closed_at": closed_at,
        "item_counts": statuses,
    })
}

/// As much of a hash as people type.
pub(in crate::cli) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn time(time: DateTime<Utc>) -> impl fmt::Display {
    time.format("%Y-%m-%d %H:%M:%S UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_on_the_screen_can_be_forged() {
        for (text, expected) in [
            ("Zoë's team", "Zoë's team"),
            ("a\nstatus approved", "a\\u{a}status approved"),
            ("a\u{1b}[2Kb", "a\\u{1b}[2Kb"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{9b}2Kb", "a\\u{9b}2Kb"),
            ("a\u{61c}\u{200b}\u{2028}\u{feff}b", "a\\u{61c}\\u{200b}\\u{2028}\\u{feff}b"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
