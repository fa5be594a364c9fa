//! The notation of the tables: a story, line by line.
//!
//! ```text
//! user ada [mail=M] [upn=U] [name=N] [off|unknown] [guest]   the directory has this user
//! group A [name=N] [= members]     … this group; with a list, read to its end
//! A + ada B  |  A - ada            … these joined, or left
//! gone ada  |  gone! A             … soft-deleted, or gone for good
//! list A = members                 … with exactly these members, by a second look as well
//! groups-of ada = groups           ada is in exactly these
//! failed A                         the list of A could not be read
//! local M [admin] [products]       somebody made this row of `users`
//! foreign A [name=N]               … this row of `aad_groups`
//! link P A  |  unlink P A  |  member P ada     … this link, or product member
//! product P                        … this product
//! policy [members|all] [guests|no-guests] [disabled|no-disabled] [gifts] [admins=A,B]
//! registry P [groups=A,B] [owner=N] [description=D]  |  unregister P
//! unasked                          runs ask for no names from here on
//! promote ada |  demote ada         somebody made ada an admin, or no admin
//! purge ada [held]                 the next run may purge it
//! run  |  full  |  delta           a run
//! held full  |  spared full        … that takes nothing away; that does so from users alone
//! agreed full                      … for which a person has agreed to whatever is asked
//! refused full                     … that gives nobody a membership, and no product a link
//! ```
//!
//! Users are lower case, groups begin upper case; mail and UPN are `NAME@x` unless
//! given, `-` is null; `_` is a blank. The lines below `full` or `delta` are the plan
//! (`…` cuts a line short, `{ada}` is an id); `run` is a full run that nobody looks at.
//! Every run is applied, and then everything must rest.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::model::{Platform, Reach, Withhold, planned};
use crate::directory::proof::tests::{changes, departure, grave, whole};
use crate::directory::{
    Evidence, GroupFacts, GroupsOf, Member, MemberKind, Members, ObjectId, Seen, Tombstone,
    UserFacts,
};
use crate::reconcile::fold::{Admission, Part, Scope, fold};
use crate::reconcile::plan::{Plan, lines};
use crate::reconcile::world::{
    GroupRow, HandMade, ProductRole, ProductRow, Purge, RegistryEntry, Role, UserRow,
};

/// Plays a story; every plan in it must be the one that is written below its run.
#[track_caller]
pub(super) fn check(story: &str) {
    let mut platform = Platform::new();
    let mut story = story.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    while let Some(line) = story.next() {
        let line = spell(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let (withhold, run) = match words.as_slice() {
            ["held", reach] => (Withhold::Removals, *reach),
            ["spared", reach] => (Withhold::AllButUsers, *reach),
            ["agreed", reach] => (Withhold::Agreed, *reach),
            ["refused", reach] => (Withhold::Gifts, *reach),
            [run @ ("run" | "full" | "delta")] => (Withhold::Nothing, *run),
            words => {
                tell(&mut platform, words);
                continue;
            }
        };
        let reach = if run == "delta" { Reach::Delta } else { Reach::Full };
        let said = play(&mut platform, reach, withhold);
        let mut expected = Vec::new();
        while let Some(line) = story.next_if(|line| line.starts_with(GLYPHS)) {
            expected.push(spell(line));
        }
        let same = said.len() == expected.len()
            && said.iter().zip(&expected).all(|(said, expected)| matches(said, expected));
        let (said, expected) = (said.join("\n"), expected.join("\n"));
        assert!(run == "run" || same, "planned:\n{said}\n\nexpected:\n{expected}\n");
    }
}

const GLYPHS: [char; 8] = ['+', '~', '-', '!', '=', '@', '?', '*'];

fn matches(said: &str, expected: &str) -> bool {
    match expected.strip_suffix('…') {
        Some(start) => said.starts_with(start),
        None => said == expected,
    }
}

/// Replaces `{ada}` by ada's id.
fn spell(line: &str) -> String {
    let Some((before, rest)) = line.split_once('{') else { return line.to_owned() };
    let (name, after) = rest.split_once('}').expect("a closing brace");
    format!("{before}{}{}", id(name), spell(after))
}

/// One run, applied; then a full run must find nothing to do and nothing to say.
#[track_caller]
fn play(platform: &mut Platform, reach: Reach, withhold: Withhold) -> Vec<String> {
    let world = platform.world(reach);
    let first = planned(&world, &platform.policy, withhold);
    let said = lines(&first, &world);
    platform.apply(&first);
    let world = platform.world(Reach::Full);
    let again = planned(&world, &platform.policy, withhold);
    let rest = Plan {
        withheld: again.withheld.clone(),
        undecided: again.undecided.clone(),
        ..Plan::default()
    };
    let said_again = lines(&again, &world).join("\n");
    assert_eq!(again, rest, "planned:\n{}\n\nand then:\n{said_again}\n", said.join("\n"));
    said
}

/// The id of a name: its letters, so that names and ids sort alike.
pub(super) fn id(name: &str) -> ObjectId {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    ObjectId::new(Uuid::from_bytes(bytes))
}

fn member(name: &str) -> Member {
    Member { id: id(name), kind: kind(name) }
}

fn kind(name: &str) -> MemberKind {
    if name.starts_with(char::is_uppercase) { MemberKind::Group } else { MemberKind::User }
}

fn tell(platform: &mut Platform, words: &[&str]) {
    let mut part = Part::default();
    match words {
        ["user", name, rest @ ..] => {
            part.users.insert(id(name), Seen::Present(user(name, rest)));
        }
        ["group", name, rest @ ..] => {
            part.groups.insert(id(name), Seen::Present(group(name, rest)));
            if let Some(at) = rest.iter().position(|word| *word == "=") {
                part.members.insert(id(name), list_of(platform, name, &rest[at + 1..]));
            }
        }
        ["list", name, "=", rest @ ..] => {
            part.members.insert(id(name), list_of(platform, name, rest));
        }
        ["groups-of", name, "=", rest @ ..] => {
            let list: BTreeSet<ObjectId> = rest.iter().map(|name| id(name)).collect();
            let others = platform.observed.groups.keys().filter(|group| !list.contains(group));
            let left = others.map(|group| (*group, departure(*group, member(name)))).collect();
            part.groups_of.insert(member(name), GroupsOf { list: whole(list), left });
        }
        ["gone", name] => bury(&mut part, name, Tombstone::Soft),
        ["gone!", name] => bury(&mut part, name, Tombstone::Hard),
        ["failed", name] => {
            part.failed.insert(id(name));
        }
        [name, sign @ ("+" | "-"), rest @ ..] => {
            let moves: BTreeMap<Member, bool> =
                rest.iter().map(|name| (member(name), *sign == "+")).collect();
            part.members.insert(id(name), Members::Changes(changes(moves)));
        }
        words => return by_people(platform, words),
    }
    let everything = Scope { users: Admission::All, groups: Admission::All };
    fold(&mut platform.observed, part, &mut platform.moved, &everything);
}

/// A whole list; a second look agrees that everybody else has left.
fn list_of(platform: &Platform, group: &str, members: &[&str]) -> Members {
    let list: BTreeSet<Member> = members.iter().map(|name| member(name)).collect();
    let stored = platform.observed.edges.get(&id(group)).into_iter().flatten();
    let left = stored.filter(|member| !list.contains(member));
    let left = left.map(|member| (*member, departure(id(group), *member))).collect();
    Members::Complete { list: whole(list), left }
}

fn bury(part: &mut Part, name: &str, tombstone: Tombstone) {
    let grave = grave(tombstone, Evidence::DeltaTombstone);
    match kind(name) {
        MemberKind::User => {
            part.users.insert(id(name), Seen::Gone(grave));
        }
        MemberKind::Group => {
            part.groups.insert(id(name), Seen::Gone(grave));
        }
    }
}

fn by_people(platform: &mut Platform, words: &[&str]) {
    let now = platform.policy.now;
    match words {
        ["local", email, rest @ ..] => {
            let role = if rest.contains(&"admin") { Role::Admin } else { Role::User };
            let row = UserRow {
                id: Some(platform.next_row()),
                email: (*email).to_owned(),
                name: value(rest, "name").unwrap_or_else(|| (*email).to_owned()),
                role,
                created_at: now,
                updated_at: now,
                identity: None,
            };
            let role = rest.contains(&"products").then(|| ("p".to_owned(), ProductRole::Member));
            platform.local.push(HandMade { row, products: role.into_iter().collect() });
        }
        ["drop", email] => platform.local.retain(|made| made.row.email != *email),
        ["foreign", name, rest @ ..] => {
            let row = GroupRow {
                id: Some(platform.next_row()),
                object_id: id(name),
                external_id: id(name).to_string().to_uppercase(),
                display_name: value(rest, "name").unwrap_or_else(|| (*name).to_owned()),
                created_at: now,
                updated_at: now,
                state: None,
                removed_at: None,
            };
            platform.groups.insert(id(name), row);
        }
        ["product", name] => product(platform, name),
        ["link", name, group] => {
            product(platform, name);
            platform.links.entry(id(group)).or_default().insert((*name).to_owned());
        }
        ["unlink", name, group] => {
            platform.links.entry(id(group)).or_default().remove(*name);
            platform.registry.links.remove(&((*name).to_owned(), id(group)));
        }
        ["member", name, user] => {
            product(platform, name);
            let products = platform.product_members.entry(id(user)).or_default();
            products.insert((*name).to_owned(), ProductRole::Member);
        }
        ["promote", name] => set_role(platform, name, Role::Admin),
        ["demote", name] => set_role(platform, name, Role::User),
        ["unasked"] => platform.asks = false,
        ["purge", name, rest @ ..] => match kind(name) {
            MemberKind::User => {
                let purge = if rest.is_empty() { Purge::Free } else { Purge::HeldByHistory };
                platform.purge_users.insert(id(name), purge);
            }
            MemberKind::Group => {
                platform.purge_groups.insert(id(name), Purge::Free);
            }
        },
        words => by_configuration(platform, words),
    }
}

fn by_configuration(platform: &mut Platform, words: &[&str]) {
    let policy = &mut platform.policy;
    let wanted = &mut platform.registry.wanted;
    match words {
        ["policy", rest @ ..] => {
            for word in rest {
                match *word {
                    "members" => policy.members_only = true,
                    "all" => policy.members_only = false,
                    "guests" => policy.include_guests = true,
                    "no-guests" => policy.include_guests = false,
                    "disabled" => policy.include_disabled = true,
                    "no-disabled" => policy.include_disabled = false,
                    "gifts" => policy.tell_gifts = true,
                    _ => policy.admin_groups = list(rest, "admins").iter().map(|g| id(g)).collect(),
                }
            }
        }
        ["registry", name, rest @ ..] => {
            let entry = RegistryEntry {
                product: (*name).to_owned(),
                description: value(rest, "description").unwrap_or_default(),
                groups: list(rest, "groups"),
                owner: value(rest, "owner"),
            };
            let entries = wanted.get_or_insert_default();
            entries.retain(|entry| entry.product != *name);
            entries.push(entry);
        }
        ["unregister", name] => {
            wanted.get_or_insert_default().retain(|entry| entry.product != *name);
        }
        words => panic!("what is {words:?}?"),
    }
}

fn product(platform: &mut Platform, name: &str) {
    if platform.products.contains_key(name) {
        return;
    }
    let now = platform.policy.now;
    let row = ProductRow {
        id: Some(platform.next_row()),
        name: name.to_owned(),
        description: None,
        created_at: now,
        updated_at: now,
        ours: false,
    };
    platform.products.insert(name.to_owned(), row);
}

fn set_role(platform: &mut Platform, name: &str, role: Role) {
    platform.identities.get_mut(&id(name)).expect("a row").role = role;
}

fn user(name: &str, words: &[&str]) -> UserFacts {
    let address = |key: &str| {
        value(words, key).or_else(|| Some(format!("{name}@x"))).filter(|text| text != "-")
    };
    let enabled = match words {
        words if words.contains(&"unknown") => None,
        words => Some(!words.contains(&"off")),
    };
    UserFacts {
        display_name: value(words, "name")
            .or_else(|| Some(name.to_owned()))
            .filter(|text| text != "-"),
        upn: address("upn"),
        mail: address("mail"),
        enabled,
        guest: Some(words.contains(&"guest")),
    }
}

fn group(name: &str, words: &[&str]) -> GroupFacts {
    let display_name = value(words, "name").or_else(|| Some(name.to_owned()));
    GroupFacts { display_name: display_name.filter(|text| text != "-"), hidden_membership: false }
}

fn value(words: &[&str], key: &str) -> Option<String> {
    let of = |word: &&str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    words.iter().find_map(of).map(|text| text.replace('_', " "))
}

fn list(words: &[&str], key: &str) -> Vec<String> {
    let text = value(words, key).unwrap_or_default();
    text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
