//! A plan as people read it: one line a change, in the order of doing.
//!
//! | glyph | means |
//! |---|---|
//! | `+` `~` `-` | made, changed, taken away |
//! | `!` | disabled, enabled, removed, restored |
//! | `=` | would be taken away, but is held |
//! | `@` | a registry name is bound, or free again |
//! | `?` `*` | a finding, a finding that is over |
//!
//! Names and addresses of people are in it: for a terminal, never for the log.

use std::collections::BTreeMap;

use super::{
    Binding, GroupChange, Item, LinkChange, MembershipChange, Plan, ProductChange,
    ProductMemberChange, UserChange,
};
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::report::Action;
use crate::reconcile::world::{GroupRow, Identity, Role, State, UserRow, World};

/// The plan, one line a change; empty where there is nothing to do and nothing to say.
pub fn lines(plan: &Plan, world: &World) -> Vec<String> {
    let names = Names::new(plan, world);
    let Plan {
        groups,
        users,
        memberships,
        products,
        links,
        members,
        bindings,
        raised,
        resolved,
        access: _,
        taken: _,
        withheld,
        undecided: _,
    } = plan;
    let mut lines = Vec::new();
    lines.extend(groups.iter().map(group_line));
    lines.extend(users.iter().map(user_line));
    lines.extend(memberships.iter().map(|change| membership_line(change, &names)));
    lines.extend(products.iter().map(product_line));
    lines.extend(links.iter().map(|change| link_line(change, &names)));
    lines.extend(members.iter().map(|change| member_line(change, &names)));
    lines.extend(bindings.iter().map(|binding| binding_line(binding, &names)));
    lines.extend(raised.iter().map(|((kind, subject), message)| {
        format!("? {kind} {}: {message}", names.subject(subject))
    }));
    lines.extend(
        resolved.iter().map(|(kind, subject)| format!("* {kind} {}", names.subject(subject))),
    );
    lines.extend(withheld.iter().map(|item| format!("= {}", names.item(item))));
    lines
}

fn group_line(change: &GroupChange) -> String {
    let name = |row: &GroupRow| row.display_name.clone();
    let (before, after) = match (&change.before, &change.after) {
        (None, None) => return String::from("~ group"),
        (None, Some(after)) => return format!("+ group {}", name(after)),
        (Some(before), None) => return format!("- group {}", name(before)),
        (Some(before), Some(after)) => (before, after),
    };
    let mut clauses = Vec::new();
    if before.display_name != after.display_name {
        clauses.push(format!("-> {}", name(after)));
    }
    match (before.state, after.state) {
        (None, Some(State::Live)) => clauses.push("is taken over".to_owned()),
        (None, Some(state)) => clauses.push(format!("is taken over as {state}")),
        (Some(was), Some(is)) if was != is => clauses.push(format!("{was} -> {is}")),
        _ => {}
    }
    sentence(change.action(), &format!("group {}", name(before)), &clauses)
}

fn user_line(change: &UserChange) -> String {
    let (before, after) = match (&change.before, &change.after) {
        (None, None) => return String::from("~ user"),
        (None, Some(after)) => {
            let traits = after.identity.as_ref().map(traits).unwrap_or_default();
            let admin = if after.role == Role::Admin { ", admin" } else { "" };
            return format!("+ user {}{traits}{admin}", person(after));
        }
        (Some(before), None) => return format!("- user {}", person(before)),
        (Some(before), Some(after)) => (before, after),
    };
    let clauses = user_clauses(before, after);
    sentence(change.action(), &format!("user {}", before.email), &clauses)
}

/// What differs between two rows of one person. Names every field, so that a new one
/// does not compile until somebody decides how it reads.
fn user_clauses(before: &UserRow, after: &UserRow) -> Vec<String> {
    let UserRow { id: _, email, name, role, created_at: _, updated_at: _, identity } = after;
    let mut clauses = Vec::new();
    if before.email != *email {
        clauses.push(format!("-> {email}"));
    }
    if before.name != *name {
        clauses.push(format!("({} -> {name})", before.name));
    }
    match (&before.identity, identity) {
        (None, Some(own)) => clauses.push(format!("is adopted{}", traits(own))),
        (Some(was), Some(is)) => clauses.extend(identity_clauses(was, is)),
        _ => {}
    }
    let ours = |row: &UserRow| row.identity.as_ref().is_some_and(|own| own.admin_granted);
    if before.role != *role {
        clauses.push(format!("role {} -> {role}", before.role));
    } else if ours(before) && !ours(after) {
        clauses.push(format!("role {role} is people's again"));
    }
    clauses
}

fn identity_clauses(before: &Identity, after: &Identity) -> Vec<String> {
    // Who gave the role is told where the role is.
    let Identity { object_id: _, state, guest, claimed_email, admin_granted: _, removed_at: _ } =
        after;
    let mut clauses = Vec::new();
    if before.state != *state {
        clauses.push(format!("{} -> {state}", before.state));
    }
    if before.guest != *guest {
        clauses.push(if *guest { "is a guest" } else { "is a member" }.to_owned());
    }
    if before.claimed_email != *claimed_email {
        clauses.push(match claimed_email {
            Some(wish) => format!("waits for {wish}"),
            None => "waits for no address".to_owned(),
        });
    }
    clauses
}

fn membership_line(change: &MembershipChange, names: &Names<'_>) -> String {
    let MembershipChange { group, user, made, evidence: _, products } = change;
    let (glyph, verb) = if *made { ('+', "gains") } else { ('-', "loses") };
    let who = format!("{glyph} member {}  {}", names.group(*group), names.user(*user));
    if products.is_empty() {
        return who;
    }
    format!("{who}  {verb} {}", products.join(", "))
}

fn product_line(change: &ProductChange) -> String {
    match (&change.before, &change.after) {
        (None, _) => format!("+ product {}", change.key),
        (_, None) => format!("- product {}", change.key),
        (Some(_), Some(after)) => {
            let description = after.description.as_deref().unwrap_or_default();
            format!("~ product {} ({description})", change.key)
        }
    }
}

fn link_line(change: &LinkChange, names: &Names<'_>) -> String {
    let glyph = if change.made { '+' } else { '-' };
    format!("{glyph} link {}  {}", change.product, names.group(change.group))
}

fn member_line(change: &ProductMemberChange, names: &Names<'_>) -> String {
    let (product, user) = &change.key;
    let who = format!("owner {product}  {}", names.user(*user));
    match (change.before, change.after) {
        (Some(was), Some(is)) => format!("~ {who}  {was} -> {is}"),
        (_, Some(_)) => format!("+ {who}"),
        (_, None) => format!("- {who}"),
    }
}

fn binding_line(binding: &Binding, names: &Names<'_>) -> String {
    let Binding { owner, name, object } = binding;
    let kind = if *owner { "owner" } else { "group" };
    match object {
        None => format!("@ {kind} \"{name}\" is free again"),
        Some(id) if *owner => format!("@ {kind} \"{name}\" is {}", names.user(*id)),
        Some(id) => format!("@ {kind} \"{name}\" is {}", short(*id)),
    }
}

/// A change as glyph, subject and what differs.
fn sentence(action: Action, subject: &str, clauses: &[String]) -> String {
    let glyph = if action == Action::StatusChange { '!' } else { '~' };
    let mut line = format!("{glyph} {subject}");
    for (at, clause) in clauses.iter().enumerate() {
        line += if at == 0 || clause.starts_with('(') { " " } else { ", " };
        line += clause;
    }
    line
}

fn person(row: &UserRow) -> String {
    if row.name == row.email { row.email.clone() } else { format!("{} ({})", row.email, row.name) }
}

/// Whatever is not ordinary about a person who is new to us.
fn traits(identity: &Identity) -> String {
    let Identity { state, guest, claimed_email, .. } = identity;
    let state = (*state != State::Live).then(|| format!(", {state}"));
    let guest = guest.then(|| ", guest".to_owned());
    let waits = claimed_email.as_ref().map(|wish| format!(", waits for {wish}"));
    [state, guest, waits].into_iter().flatten().collect()
}

/// The first part of an id: enough to tell two apart on a terminal.
fn short(id: ObjectId) -> String {
    id.to_string().chars().take(8).collect()
}

/// What ids are called: as after the plan where it names them, else as stored.
struct Names<'a> {
    world: &'a World,
    users: BTreeMap<ObjectId, &'a str>,
    groups: BTreeMap<ObjectId, &'a str>,
    /// How many groups carry a name: one that is not alone is printed with its id.
    shared: BTreeMap<String, usize>,
}

impl<'a> Names<'a> {
    fn new(plan: &'a Plan, world: &'a World) -> Self {
        let mut users: BTreeMap<ObjectId, &str> =
            world.identities.iter().map(|(id, row)| (*id, row.email.as_str())).collect();
        for change in &plan.users {
            if let Some(row) = change.after.as_ref().or(change.before.as_ref()) {
                users.insert(change.key, &row.email);
            }
        }
        let mut groups: BTreeMap<ObjectId, &str> =
            world.group_rows.iter().map(|(id, row)| (*id, row.display_name.as_str())).collect();
        for change in &plan.groups {
            if let Some(row) = change.after.as_ref().or(change.before.as_ref()) {
                groups.insert(change.key, &row.display_name);
            }
        }
        let mut shared: BTreeMap<String, usize> = BTreeMap::new();
        for name in groups.values() {
            *shared.entry(fold_case(name)).or_default() += 1;
        }
        Self { world, users, groups, shared }
    }

    /// A person's address; who has no row goes by name and id, because its address may
    /// be somebody else's.
    fn user(&self, id: ObjectId) -> String {
        let observed = || self.world.users.get(&id)?.facts.display_name.as_deref();
        match (self.users.get(&id), observed()) {
            (Some(email), _) => (*email).to_owned(),
            (None, Some(name)) => format!("{name} [{}]", short(id)),
            (None, None) => short(id),
        }
    }

    fn group(&self, id: ObjectId) -> String {
        let observed = || self.world.groups.get(&id)?.facts.display_name.as_deref();
        let name = self.groups.get(&id).copied().or_else(observed);
        match name.map(|name| (name, self.shared.get(&fold_case(name)))) {
            None => short(id),
            Some((name, Some(2..))) => format!("{name} [{}]", short(id)),
            Some((name, _)) => name.to_owned(),
        }
    }

    /// A finding's subject: an id reads better as the object's name.
    fn subject(&self, subject: &str) -> String {
        let Ok(id) = subject.parse::<ObjectId>() else { return format!("\"{subject}\"") };
        if self.groups.contains_key(&id) { self.group(id) } else { self.user(id) }
    }

    fn item(&self, item: &Item) -> String {
        match item {
            Item::User(id) => format!("user {}", self.user(*id)),
            Item::UserPurge(id) => format!("purge of user {}", self.user(*id)),
            Item::Group(id) => format!("group {}", self.group(*id)),
            Item::GroupPurge(id) => format!("purge of group {}", self.group(*id)),
            Item::Membership(group, user) => {
                format!("member {}  {}", self.group(*group), self.user(*user))
            }
            Item::Role(id) => format!("role admin of {}", self.user(*id)),
            Item::Link(product, group) => format!("link {product}  {}", self.group(*group)),
            Item::ProductMember(product, user) => {
                format!("owner {product}  {}", self.user(*user))
            }
            Item::Adoption(id) => format!("adoption by {}", self.user(*id)),
            Item::Joining(group, user) => {
                format!("joining {}  {}", self.group(*group), self.user(*user))
            }
            Item::Linking(product, group) => format!("linking {product}  {}", self.group(*group)),
            Item::Rebinding(name, group) => format!("binding \"{name}\" to {}", short(*group)),
        }
    }
}
