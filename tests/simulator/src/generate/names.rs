//! Names of people and groups, plain ones and ones that break careless code. Only words live here.

use rand::Rng;
use rand::seq::IndexedRandom;

const GIVEN: [&str; 32] = [
    "Ada", "Bilal", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kaya",
    "Lena", "Mateo", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tilda", "Umut",
    "Vera", "Wiktor", "Xenia", "Yusuf", "Zoe", "Anton", "Birgit", "Cem", "Dora", "Emil", "Fatima",
];

const FAMILY: [&str; 32] = [
    "Albrecht",
    "Bauer",
    "Costa",
    "Demir",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Haas",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lang",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
    "Quist",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ulrich",
    "Vogel",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zimmermann",
    "Arslan",
    "Brandt",
    "Conti",
    "Dubois",
    "Engel",
    "Fuchs",
];

/// Names that real directories contain and that tests forget.
const ODD: [&str; 14] = [
    "Siobhán O'Neil-D'Arcy",
    "Ünal Çağlar",
    "王小明",
    "محمد علي",
    "Zoe\u{308} Mu\u{308}ller",
    "Zoë Müller",
    "🚀 Launch Bot",
    "  Leading Blank",
    "Trailing Blank ",
    "Tab\tInside",
    "Quote \"Mark\" \\ Slash",
    "Robert'); DROP TABLE users;--",
    "İstanbul ıssız",
    "A very long name that goes on and on because somebody put the whole job description, the building, the floor and \
     the telephone extension of the front desk into the only field the form had, which nobody ever cleaned up later",
];

const AREA: [&str; 10] =
    ["app", "team", "proj", "role", "site", "lic", "vpn", "data", "svc", "dept"];
const THING: [&str; 14] = [
    "billing", "portal", "archive", "payroll", "mail", "reports", "wiki", "build", "orders",
    "search", "backup", "crm", "fleet", "ledger",
];
const SUFFIX: [&str; 7] = ["readers", "writers", "admins", "owners", "guests", "all", "ops"];

/// A person's name; an odd one on request.
pub(crate) fn person(rng: &mut impl Rng, odd: bool) -> String {
    if odd {
        return ODD.choose(rng).map_or_else(String::new, |name| (*name).to_owned());
    }
    let given = GIVEN.choose(rng).unwrap_or(&"Ada");
    let family = FAMILY.choose(rng).unwrap_or(&"Bauer");
    format!("{given} {family}")
}

/// A group's name; names may repeat, as they do in real directories.
pub(crate) fn group(rng: &mut impl Rng) -> String {
    let area = AREA.choose(rng).unwrap_or(&"app");
    let thing = THING.choose(rng).unwrap_or(&"wiki");
    let suffix = SUFFIX.choose(rng).unwrap_or(&"all");
    format!("{area}-{thing}-{suffix}-{:03}", rng.random_range(0..1_000))
}

/// An address from a name and a number that makes it unique.
pub(crate) fn address(name: &str, number: usize) -> String {
    let letters =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '.' });
    let mut local = String::new();
    for c in letters.take(40).filter(char::is_ascii) {
        if c != '.' || !(local.is_empty() || local.ends_with('.')) {
            local.push(c);
        }
    }
    let local = local.trim_matches('.');
    format!("{}{number}@contoso.example", if local.is_empty() { "user" } else { local })
}
