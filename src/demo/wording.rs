//! How things read: numbers, tables, audit entries, each as text of limited width.
//!
//! Pure. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::store::{AuditEntry, PlanDetail};

/// How many products are named that gain or lose people.
const MOVES_MAX: usize = 3;
/// How many products the table of access names, in how many columns.
const PRODUCTS_MAX: usize = 12;
const COLUMNS: usize = 2;

/// People with access, by product.
pub(super) type Counts = BTreeMap<String, i64>;

/// A number with its thousands told apart.
pub(super) fn number(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things; nearly all of our nouns take an "s".
pub(super) fn amount(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(count))
}

/// A text cut where the line ends.
pub(super) fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A plan's line cut in the middle: whom it is about and what comes of it stay.
pub(super) fn clip_middle(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let tail = width / 3;
    let head: String = text.chars().take(width.saturating_sub(tail + 1)).collect();
    head.chars().chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// The lines of a plan as far as there is room: of each kind of change at least one,
/// in their order, and how many more there are.
pub(super) fn digest(lines: &[String], max: usize) -> Vec<String> {
    if lines.len() <= max {
        return lines.to_vec();
    }
    let room = max.saturating_sub(1);
    let kind = |at: &usize| lines[*at].split(' ').take(2).collect::<Vec<_>>();
    let mut seen = BTreeSet::new();
    let (firsts, others): (Vec<usize>, Vec<usize>) =
        (0..lines.len()).partition(|at| seen.insert(kind(at)));
    let shown: BTreeSet<usize> = firsts.into_iter().chain(others).take(room).collect();
    let more = format!("… and {} more", number((lines.len() - shown.len()) as u64));
    shown.into_iter().map(|at| lines[at].clone()).chain([more]).collect()
}

/// A held plan in a few lines: which one, why, and what it would cost.
pub(super) fn held_lines(held: &PlanDetail) -> Vec<String> {
    let PlanDetail { plan, items, .. } = held;
    let hash = plan.hash.get(..12).unwrap_or(&plan.hash);
    let mut lines = vec![format!("HELD as plan {hash}, {}:", amount(items.len() as u64, "item"))];
    lines.extend(plan.header.reasons.iter().map(|reason| format!("why: {reason}")));
    let cost = plan.header.cost.iter();
    let cost: Vec<String> =
        cost.map(|(product, people)| format!("{product} {}", number(*people))).collect();
    if !cost.is_empty() {
        lines.push(format!("people who would lose a product: {}", cost.join(", ")));
    }
    lines.push(format!("answer: nexus-dirsync plans approve {hash} …"));
    lines
}

/// Which products have gained or lost people, in one line.
pub(super) fn access_moves(before: &Counts, after: &Counts) -> Option<String> {
    let of = |counts: &Counts, product: &String| counts.get(product).copied().unwrap_or_default();
    let moves: Vec<String> = after
        .keys()
        .map(|product| (product, of(before, product), of(after, product)))
        .filter(|(_, was, is)| was != is)
        .map(|(product, was, is)| format!("{product} {was} -> {is}"))
        .collect();
    let shown = moves.iter().take(MOVES_MAX).cloned().collect::<Vec<_>>().join(", ");
    match moves.len() {
        0 => None,
        1..=MOVES_MAX => Some(format!("access: {shown}")),
        all => Some(format!(
            "access: {shown}, and {}",
            amount((all - MOVES_MAX) as u64, "more product")
        )),
    }
}

/// The products that most people have access to, and what is to be said of the others.
pub(super) fn access_table(counts: &Counts) -> Vec<String> {
    let mut counts: Vec<(&str, u64)> =
        counts.iter().map(|(name, people)| (name.as_str(), people.unsigned_abs())).collect();
    counts.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    let shown = &counts[..counts.len().min(PRODUCTS_MAX)];
    let widest = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let cell = |(name, people): &(&str, u64)| format!("{name:<widest$} {:>6}", number(*people));
    let rows = shown.len().div_ceil(COLUMNS).max(1);
    let mut lines: Vec<String> = (0..rows)
        .map(|row| {
            let cells: Vec<String> = shown.iter().skip(row).step_by(rows).map(cell).collect();
            cells.join("     ")
        })
        .collect();
    let rest = &counts[shown.len()..];
    if let (Some((_, most)), Some((_, least))) = (rest.first(), rest.last()) {
        let products = amount(rest.len() as u64, "more product");
        lines.push(format!("and {products} with {least} to {most} people"));
    }
    lines
}

/// An audit entry in one line: of a row that changed only what differs, of any row
/// neither times nor object ids, of the metadata only the reasons.
pub(super) fn audit_line(entry: &AuditEntry) -> String {
    let AuditEntry { id, entity, entity_id, action, before, after, metadata } = entry;
    let (mut was, mut is) = (leaves(before.as_ref()), leaves(after.as_ref()));
    if before.is_some() && after.is_some() {
        let same =
            |key: &String, value: &Value, other: &Map<String, Value>| other.get(key) == Some(value);
        let before = was.clone();
        was.retain(|key, value| !same(key, value, &is));
        is.retain(|key, value| !same(key, value, &before));
    }
    // The row's own id is told already.
    let own = format!("{entity}_id");
    was.remove(&own);
    is.remove(&own);
    let row = match (before, after) {
        (Some(_), Some(_)) => format!("{} -> {}", Value::Object(was), Value::Object(is)),
        (Some(_), None) => Value::Object(was).to_string(),
        (None, _) => Value::Object(is).to_string(),
    };
    let mut told = vec![format!("audit #{id} {entity} {entity_id} {action} {row}")];
    // What comes of it before how it is known: the end may be cut off.
    let (results, causes): (Vec<_>, Vec<_>) =
        reasons(metadata.as_ref()).partition(|(key, _)| key.starts_with("products_"));
    let reasons = results.into_iter().chain(causes);
    told.extend(reasons.map(|(key, value)| format!("{key} {}", plainly(value))));
    told.join(", ")
}

/// The entry that says most: one with a reason or a consequence, else the first.
pub(super) fn most_telling(entries: &[AuditEntry]) -> Option<&AuditEntry> {
    let has_reason = |entry: &&AuditEntry| reasons(entry.metadata.as_ref()).next().is_some();
    entries.iter().find(has_reason).or(entries.first())
}

/// Words without quotes and lists without brackets: the line ends with them.
fn plainly(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plainly).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// What the metadata says besides who wrote it in which run.
fn reasons(metadata: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    let all = metadata.and_then(Value::as_object).into_iter().flatten();
    all.filter(|(key, _)| !SIGNATURE.contains(&key.as_str()))
}

/// What the metadata of every entry has, and what helps in Graph's logs only.
const SIGNATURE: [&str; 6] = ["writer", "run_id", "trigger", "mode", "request_id", "proof"];

/// The values of a row, nested ones too, without those that say little to people.
fn leaves(row: Option<&Value>) -> Map<String, Value> {
    let mut leaves = Map::new();
    for (key, value) in row.and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::Object(_) => leaves.extend(self::leaves(Some(value))),
            Value::Null | Value::Bool(false) => {}
            _ if key == "id" || key == "external_id" => {}
            _ if key.ends_with("_at") || key.ends_with("object_id") => {}
            _ => {
                leaves.insert(key.clone(), value.clone());
            }
        }
    }
    leaves
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        for (count, text) in
            [(0_u64, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(number(count), text);
        }
        assert_eq!(amount(1_u64, "page"), "1 page");
        assert_eq!(amount(2_000_u64, "page"), "2,000 pages");
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(clip("äöüß", 4), "äöüß");
        assert_eq!(clip("äöüß and more", 6), "äöüß…");
        assert_eq!(clip_middle("äöüß", 4), "äöüß");
        assert_eq!(clip_middle("member G  ada@b.example  gains c", 24), "member G  ada@b… gains c");
    }

    #[test]
    fn a_digest_has_every_kind_of_line_in_order() {
        let lines = ["+ group G", "+ user a", "+ user b", "+ user c", "+ member G  a"];
        let lines = lines.map(str::to_owned);
        assert_eq!(digest(&lines, 5), lines);
        assert_eq!(digest(&lines, 4), ["+ group G", "+ user a", "+ member G  a", "… and 2 more"]);
    }

    #[test]
    fn products_that_gain_or_lose_people_are_named() {
        let counts = |n: i64| (0..5).map(|at| (format!("p{at}"), at * n)).collect::<Counts>();
        assert_eq!(access_moves(&counts(1), &counts(1)), None);
        assert_eq!(
            access_moves(&counts(1), &counts(2)).as_deref(),
            Some("access: p1 1 -> 2, p2 2 -> 4, p3 3 -> 6, and 1 more product")
        );
    }

    #[test]
    fn the_table_names_the_largest_and_counts_the_others() {
        let counts = (0..20).map(|at| (format!("product-{at}"), at)).collect();
        let lines = access_table(&counts);
        assert_eq!(lines[0], "product-19     19     product-13     13");
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[6], "and 8 more products with 0 to 7 people");
        assert_eq!(access_table(&BTreeMap::new()), [""]);
    }

    #[test]
    fn an_audit_entry_tells_what_differs_and_why() {
        let entry = AuditEntry {
            id: 7,
            entity: "user".into(),
            entity_id: 3,
            action: "status_change".into(),
            before: Some(json!({"id": 3, "email": "a@b", "identity": {"state": "live"}})),
            after: Some(json!({"id": 3, "email": "a@b", "identity": {"state": "removed"}})),
            metadata: Some(json!({"writer": "nexus-dirsync", "evidence": "tombstone"})),
        };
        assert_eq!(
            audit_line(&entry),
            r#"audit #7 user 3 status_change {"state":"live"} -> {"state":"removed"}, evidence tombstone"#
        );
        let made = AuditEntry { before: None, action: "create".into(), metadata: None, ..entry };
        assert_eq!(
            audit_line(&made),
            r#"audit #7 user 3 create {"email":"a@b","state":"removed"}"#
        );
    }
}
