//! The rules of overlay, one row each.
//!
//! Stored and expected state: `ada` is a user, `A:ada,B` a group and its direct members;
//! `ada/2` has other properties; `~` is soft-deleted by a tombstone, `~~` because a list
//! left it out and an answer by id agreed, `!` gone for good; `A?:` was never read, `A*:` is stale.
//!
//! Parts, `|` between them: the same for objects, and `A=ada,B` a whole list, `A+ada`
//! and `A-ada` changes, `@ada=A,B` all groups of a user or a group, `A*` a read that failed. After
//! `\` stand those of whom a second look says that they left: `A=bob\ada`.
//! Names that begin with x are out of scope.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::directory::proof::tests::{changes, departure, grave, whole};

/// Folds `parts` into `stored`; what is observed then, and what moved, must be as told.
#[track_caller]
fn check(stored: &str, parts: &str, expected: &str, expected_moved: &str) {
    let mut observed = stored_state(stored);
    let moved = fold_all(&mut observed, parts);
    assert_eq!(show(&observed), expected, "after {parts} onto {stored}");
    assert_eq!(show_moved(&observed, &moved), expected_moved, "moved by {parts} onto {stored}");
}

#[test]
fn the_last_word_wins_and_a_repeated_one_moves_nothing() {
    check("", "ada", "ada", "ada");
    check("ada", "ada", "ada", "");
    check("ada", "ada/2", "ada/2", "ada/2");
    check("ada", "ada/2 | ada/3", "ada/3", "ada/3");
    check("A:", "A/2", "A/2:", "A/2");
    check("ada A:", "ada~ | ada", "ada A:", "ada");
    check("A:ada", "A+ada", "A:ada", "");
    check("A:ada", "A-bob", "A:ada", "");
}

#[test]
fn silence_is_no_removal() {
    check("ada bob A:ada,bob B:", "ada/2", "ada/2 bob A:ada,bob B:", "ada/2");
    check("A:ada", "A", "A:ada", "");
    check("A:ada", "A/2", "A/2:ada", "A/2");
    check("A:ada,bob", "A+carl", "A:ada,bob,carl", "A+carl");
    check("A:ada,bob", "A-ada", "A:bob", "A-ada(delta_tombstone)");
}

#[test]
fn absence_from_a_whole_list_removes_nobody() {
    check("ada A:ada,bob", "A=bob", "ada A:ada,bob", "");
    check("A:zoe", "A=", "A:zoe", "");
    check("ada A*:ada", "A=", "ada A:ada", "A");
    check("ada A:ada", "@ada=", "ada A:ada", "");
}

#[test]
fn a_second_look_removes_who_exists_and_is_on_neither_list() {
    check("ada A:ada,bob", "A=bob\\ada", "ada A:bob", "A-ada(complete_read)");
    // Nobody has seen zoe yet: the lists are the only word on her.
    check("A:zoe", "A=\\zoe", "A:", "A-zoe(complete_read)");
    // Lists show no deleted members, who are members all the same.
    check("ada~ A:ada,bob", "A=bob\\ada", "ada~ A:ada,bob", "");
    check("A:B B~:", "A=\\B", "A:B B~:", "");
    // … also when they are found deleted in the same part.
    check("ada A:ada", "ada~~ A=\\ada", "ada~~ A:ada", "ada~~");
    check("A:ada", "A=\\ada B=ada", "A:", "A-ada(complete_read)");
    // Who is not a member cannot leave.
    check("ada A:", "A=\\ada", "ada A:", "");
}

#[test]
fn a_tombstone_keeps_the_properties_and_its_first_evidence() {
    check("ada/2", "ada~", "ada/2~", "ada/2~");
    check("ada~", "ada~", "ada~", "");
    check("ada~", "ada~~", "ada~", "");
    check("ada~", "ada!", "ada!", "ada!");
    check("ada!", "ada~", "ada!", "");
    check("A:ada", "A~", "A~:ada", "A~");
    check("A~:ada", "A", "A:ada", "A");
    check("ada! A:ada", "ada", "ada A:ada", "ada");
}

#[test]
fn an_edge_that_comes_and_goes_in_one_run_has_not_moved() {
    check("A:", "A+ada | A-ada", "A:", "");
    check("A:ada", "A-ada | A+ada", "A:ada", "");
    check("A:ada", "A-ada | A=ada", "A:ada", "");
    check("A:", "A+ada | A=\\ada | A+ada", "A:ada", "A+ada");
    check("ada A:ada", "A-ada | A+ada | A=\\ada", "ada A:", "A-ada(complete_read)");
}

#[test]
fn the_rest_of_the_tenant_is_not_taken_in() {
    check("", "xena X X=ada xander~", "", "");
    check("xena", "xena/2 xander", "xena/2", "xena/2");
    check("X:", "X/2 X=ada", "X/2:ada", "X/2 X+ada");
    // An edge of a group in scope may name anybody.
    check("A:", "A+xena", "A:xena", "A+xena");
    check("", "@ada=X", "", "");
}

#[test]
fn a_failed_read_is_stale_until_a_list_succeeds() {
    check("A:ada", "A*", "A*:ada", "A*");
    check("A*:ada", "A*", "A*:ada", "");
    check("A?:ada", "A*", "A?:ada", "");
    check("A*:ada,bob", "A=ada\\bob", "A:ada", "A A-bob(complete_read)");
    check("A?:", "A=ada", "A:ada", "A A+ada");
    check("A?:", "A+ada", "A?:ada", "A+ada");
    check("A:", "A=ada A*", "A*:ada", "A* A+ada");
    check("", "A | A* | A=ada", "A:ada", "A A+ada");
    check("", "A*", "", "");
}

#[test]
fn who_comes_back_tells_all_groups() {
    check("ada~ A: B:ada", "ada @ada=A\\B", "ada A:ada B:", "ada A+ada B-ada(complete_read)");
    check("ada~ A: B:ada", "ada @ada=A", "ada A:ada B:ada", "ada A+ada");
    check("ada A:ada", "@ada=A", "ada A:ada", "");
    // Deleted groups are on nobody's list; stale and unread ones may be hidden.
    check("ada A~:ada B*:ada C?:ada", "@ada=\\A,B,C", "ada A~:ada B*:ada C?:ada", "");
    check("ada B*: C?:", "@ada=B,C", "ada B*:ada C?:ada", "B+ada C+ada");
    // A nested group likewise, known before or not.
    check("A: B:C C~:", "C @C=A\\B", "A:C B: C:", "C A+C B-C(complete_read)");
    check("A:", "C @C=A,X", "A:C C?:", "C? A+C");
}

/// One thing a page may say.
fn word() -> impl Strategy<Value = String> {
    let user = prop::sample::select(vec!["ada", "bob", "carl"]);
    let group = prop::sample::select(vec!["A", "B"]);
    let object = prop::sample::select(vec!["ada", "bob", "carl", "A", "B"]);
    let mark = prop::sample::select(vec!["", "/2", "~", "!"]);
    prop_oneof![
        (object, mark).prop_map(|(name, mark)| format!("{name}{mark}")),
        (group, prop::bool::ANY, user).prop_map(|(group, joined, user)| {
            format!("{group}{}{user}", if joined { '+' } else { '-' })
        }),
    ]
}

/// Which object a word speaks of: only words on one object have an order.
fn subject(word: &str) -> &str {
    word.trim_end_matches(['~', '!', '2', '/'])
}

fn key(word: &str) -> String {
    subject(word).replace('-', "+")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Pages may come again, be cut anywhere, and be shuffled across objects.
    #[test]
    fn paging_changes_nothing(
        words in prop::collection::vec(word(), 0..20),
        cuts in prop::collection::vec(prop::bool::ANY, 20),
        order in Just((0..20).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        const STORED: &str = "ada bob carl~ A:ada,bob B:ada";
        let mut told = stored_state(STORED);
        fold_all(&mut told, &words.join(" | "));

        // Cut elsewhere: a part holds one word on each object, so cut there at least.
        let mut pages = String::new();
        let mut on_page = BTreeSet::new();
        for (word, cut) in words.iter().zip(&cuts) {
            let again = !on_page.insert(key(word));
            if *cut || again {
                pages += "| ";
                on_page = BTreeSet::from([key(word)]);
            }
            pages += word;
            pages.push(' ');
        }
        let mut cut = stored_state(STORED);
        fold_all(&mut cut, &pages);
        prop_assert_eq!(show(&cut), show(&told));

        // Each object's last word again, after the end.
        let last: BTreeMap<String, &String> = words.iter().map(|w| (key(w), w)).collect();
        let again: Vec<&str> = last.into_values().map(String::as_str).collect();
        let moved = fold_all(&mut cut, &again.join(" | "));
        prop_assert!(moved.is_empty(), "{:?}", moved);

        // Shuffled: objects in any order, the words on one object in theirs.
        let mut shuffled: Vec<(usize, &String)> = words.iter().enumerate().collect();
        shuffled.sort_by_key(|(at, word)| {
            let first = words.iter().position(|other| key(other) == key(word)).unwrap_or(*at);
            (order[first], *at)
        });
        let shuffled: Vec<&str> = shuffled.iter().map(|(_, word)| word.as_str()).collect();
        let mut any = stored_state(STORED);
        fold_all(&mut any, &shuffled.join(" | "));
        prop_assert_eq!(show(&any), show(&told));
    }
}

// The notation.

fn fold_all(observed: &mut Observed, parts: &str) -> Moved {
    let users = ["ada", "bob", "carl", "zoe"].map(id).into();
    let groups = ["A", "B", "C"].map(id).into();
    let scope = Scope { users: Admission::Only(users), groups: Admission::Only(groups) };
    let mut moved = Moved::default();
    for part in parts.split('|') {
        fold(observed, read_part(part), &mut moved, &scope);
    }
    moved
}

fn read_part(text: &str) -> Part {
    let mut part = Part::default();
    for word in text.split_whitespace() {
        if let Some((who, groups)) = word.strip_prefix('@').and_then(|w| w.split_once('=')) {
            let (groups, left) = groups.split_once('\\').unwrap_or((groups, ""));
            let list = whole(names(groups).map(id).collect());
            let left = names(left).map(|group| (id(group), departure(id(group), member(who))));
            part.groups_of.insert(member(who), GroupsOf { list, left: left.collect() });
        } else if let Some((group, list)) = word.split_once('=') {
            let (list, left) = list.split_once('\\').unwrap_or((list, ""));
            let list = whole(names(list).map(member).collect());
            let left = names(left).map(member).map(|left| (left, departure(id(group), left)));
            let left = left.collect();
            part.members.insert(id(group), Members::Complete { list, left });
        } else if let Some((group, user)) = word.split_once(['+', '-']) {
            let mut moves = match part.members.remove(&id(group)) {
                Some(Members::Changes(so_far)) => so_far.get().clone(),
                None => BTreeMap::new(),
                Some(Members::Complete { .. }) => panic!("a list and changes in one part"),
            };
            moves.insert(member(user), word.contains('+'));
            part.members.insert(id(group), Members::Changes(changes(moves)));
        } else if let Some(group) = word.strip_suffix('*') {
            part.failed.insert(id(group));
        } else {
            read_object(&mut part, word);
        }
    }
    part
}

fn read_object(part: &mut Part, word: &str) {
    let Object { name, properties, presence } = object(word);
    let display_name = Some(properties);
    match (kind(name), presence) {
        (MemberKind::User, Presence::Present) => {
            let facts = UserFacts { display_name, ..UserFacts::default() };
            part.users.insert(id(name), Seen::Present(facts));
        }
        (MemberKind::User, Presence::Gone(tombstone, evidence)) => {
            part.users.insert(id(name), Seen::Gone(grave(tombstone, evidence)));
        }
        (MemberKind::Group, Presence::Present) => {
            let facts = GroupFacts { display_name, ..GroupFacts::default() };
            part.groups.insert(id(name), Seen::Present(facts));
        }
        (MemberKind::Group, Presence::Gone(tombstone, evidence)) => {
            part.groups.insert(id(name), Seen::Gone(grave(tombstone, evidence)));
        }
    }
}

fn stored_state(text: &str) -> Observed {
    let mut observed = Observed::default();
    for word in text.split_whitespace() {
        let (head, members) = word.split_once(':').unwrap_or((word, ""));
        let read = match head {
            head if head.contains('?') => MemberRead::Never,
            head if head.contains('*') => MemberRead::Stale,
            _ => MemberRead::Complete,
        };
        let Object { name, properties, presence } = object(head.trim_end_matches(['?', '*']));
        let display_name = Some(properties);
        match kind(name) {
            MemberKind::User => {
                let facts = UserFacts { display_name, ..UserFacts::default() };
                observed.users.insert(id(name), ObservedUser { facts, presence });
            }
            MemberKind::Group => {
                let facts = GroupFacts { display_name, ..GroupFacts::default() };
                let group = ObservedGroup { facts, presence, members: read };
                observed.groups.insert(id(name), group);
                observed.edges.insert(id(name), names(members).map(member).collect());
            }
        }
    }
    observed
}

struct Object<'a> {
    name: &'a str,
    properties: String,
    presence: Presence,
}

fn object(word: &str) -> Object<'_> {
    let name = word.trim_end_matches(['~', '!']);
    let presence = match &word[name.len()..] {
        "" => Presence::Present,
        "~" => Presence::Gone(Tombstone::Soft, Evidence::DeltaTombstone),
        "~~" => Presence::Gone(Tombstone::Soft, Evidence::ConfirmedById),
        _ => Presence::Gone(Tombstone::Hard, Evidence::ConfirmedById),
    };
    let (name, properties) = name.split_once('/').unwrap_or((name, ""));
    Object { name, properties: properties.to_owned(), presence }
}

fn show(observed: &Observed) -> String {
    let users = observed.users.keys().map(|id| show_user(observed, *id));
    let groups = observed.groups.keys().map(|id| {
        let members = observed.edges.get(id).into_iter().flatten().map(|member| name(member.id));
        format!("{}:{}", show_group(observed, *id), members.collect::<Vec<_>>().join(","))
    });
    users.chain(groups).collect::<Vec<_>>().join(" ")
}

fn show_moved(observed: &Observed, moved: &Moved) -> String {
    let users = moved.users.iter().map(|id| show_user(observed, *id));
    let groups = moved.groups.iter().map(|id| show_group(observed, *id));
    let edges = moved.edges.iter().map(|((group, member), step)| match step {
        EdgeMove::Joined(_) => format!("{}+{}", name(*group), name(*member)),
        EdgeMove::Left(_, evidence) => {
            format!("{}-{}({})", name(*group), name(*member), evidence.label())
        }
    });
    users.chain(groups).chain(edges).collect::<Vec<_>>().join(" ")
}

fn show_user(observed: &Observed, id: ObjectId) -> String {
    let ObservedUser { facts, presence } = &observed.users[&id];
    show_object(id, facts.display_name.as_deref(), *presence)
}

fn show_group(observed: &Observed, id: ObjectId) -> String {
    let ObservedGroup { facts, presence, members } = &observed.groups[&id];
    let read = match members {
        MemberRead::Never => "?",
        MemberRead::Stale => "*",
        MemberRead::Complete => "",
    };
    show_object(id, facts.display_name.as_deref(), *presence) + read
}

fn show_object(id: ObjectId, properties: Option<&str>, presence: Presence) -> String {
    let properties = properties.unwrap_or_default();
    let slash = if properties.is_empty() { "" } else { "/" };
    let mark = match presence {
        Presence::Present => "",
        Presence::Gone(Tombstone::Hard, _) => "!",
        Presence::Gone(Tombstone::Soft, Evidence::ConfirmedById) => "~~",
        Presence::Gone(Tombstone::Soft, _) => "~",
    };
    format!("{}{slash}{properties}{mark}", name(id))
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|name| !name.is_empty())
}

fn member(name: &str) -> Member {
    Member { id: id(name), kind: kind(name) }
}

fn kind(name: &str) -> MemberKind {
    if name.starts_with(char::is_uppercase) { MemberKind::Group } else { MemberKind::User }
}

fn id(name: &str) -> ObjectId {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    ObjectId::new(Uuid::from_bytes(bytes))
}

fn name(id: ObjectId) -> String {
    let letters = id.uuid().into_bytes().into_iter().take_while(|byte| *byte != 0);
    letters.map(char::from).collect()
}
