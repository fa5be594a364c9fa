//! The `$filter` expressions the simulator knows: equality, `in` and `startsWith` over a few string properties,
//! joined by `or`. It owns syntax, comparison and limits; anything else is an unsupported query.

use uuid::Uuid;

use super::problem::Problem;
use crate::tenant::{Group, User};

/// Clauses of a plain query; more are refused.
const MAX_CLAUSES: usize = 15;
/// Ids of a delta query.
const MAX_DELTA_IDS: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    Id,
    DisplayName,
    Mail,
    UserPrincipalName,
    UserType,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    property: Property,
    /// Lower-cased: directory strings compare without regard to case.
    value: String,
    prefix: bool,
}

/// Alternatives, of which one must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Vec<Clause>);

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut scanner = Scanner(text.trim());
        let mut clauses = Vec::new();
        loop {
            scanner.alternative(&mut clauses).ok_or_else(|| syntax(text))?;
            if scanner.0.is_empty() {
                return Ok(Self(clauses));
            }
            scanner.word("or").ok_or_else(|| syntax(text))?;
        }
    }

    /// Refuses what a plain list refuses.
    pub(crate) fn check_list(&self) -> Result<(), Problem> {
        let count = self.0.len();
        if count > MAX_CLAUSES {
            return Err(Problem::unsupported(format!(
                "Too many child clauses specified for search filter expression containing 'OR' operator: {count}. \
                 Max allowed: {MAX_CLAUSES}."
            )));
        }
        Ok(())
    }

    /// The ids of a delta query, which cannot be filtered by anything else.
    pub(crate) fn delta_ids(&self) -> Result<Vec<Uuid>, Problem> {
        let ids: Option<Vec<Uuid>> = self
            .0
            .iter()
            .map(|clause| {
                Uuid::parse_str(&clause.value).ok().filter(|_| clause.property == Property::Id)
            })
            .collect();
        match ids {
            Some(ids) if ids.len() <= MAX_DELTA_IDS => Ok(ids),
            Some(_) => Err(Problem::bad_request(format!(
                "Too many ids in filter. Max allowed: {MAX_DELTA_IDS}."
            ))),
            None => Err(Problem::unsupported("Only the id can be filtered in a delta query.")),
        }
    }

    pub(crate) fn accepts_user(&self, user: &User) -> bool {
        self.0.iter().any(|clause| match clause.property {
            Property::Id => clause.holds(&user.id().to_string()),
            Property::DisplayName => {
                user.display_name.as_deref().is_some_and(|name| clause.holds(name))
            }
            Property::Mail => user.mail.as_deref().is_some_and(|mail| clause.holds(mail)),
            Property::UserPrincipalName => clause.holds(&user.user_principal_name),
            Property::UserType => user.user_type.as_deref().is_some_and(|kind| clause.holds(kind)),
        })
    }

    pub(crate) fn accepts_group(&self, group: &Group) -> bool {
        self.0.iter().any(|clause| match clause.property {
            Property::Id => clause.holds(&group.id().to_string()),
            Property::DisplayName => clause.holds(&group.display_name),
            _ => false,
        })
    }
}

impl Clause {
    fn holds(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        if self.prefix { value.starts_with(&self.value) } else { value == self.value }
    }
}

fn syntax(text: &str) -> Problem {
    Problem::unsupported(format!("Unsupported or invalid query filter clause specified: '{text}'."))
}

/// What is left of an expression. Every method takes something off the front or fails.
struct Scanner<'a>(&'a str);

impl Scanner<'_> {
    /// One clause, or all values of an `in` list as clauses of their own.
    fn alternative(&mut self, into: &mut Vec<Clause>) -> Option<()> {
        if self.0.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("startswith")) {
            self.0 = self.0[10..].trim_start();
            self.symbol('(')?;
            let property = self.property()?;
            self.symbol(',')?;
            into.push(Clause { property, value: self.text()?, prefix: true });
            return self.symbol(')');
        }
        let property = self.property()?;
        if self.word("eq").is_some() {
            into.push(Clause { property, value: self.text()?, prefix: false });
            return Some(());
        }
        self.word("in")?;
        self.symbol('(')?;
        loop {
            into.push(Clause { property, value: self.text()?, prefix: false });
            if self.symbol(',').is_none() {
                return self.symbol(')');
            }
        }
    }

    fn property(&mut self) -> Option<Property> {
        let end = self.0.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.0.len());
        let property = match &self.0[..end] {
            "id" => Property::Id,
            "displayName" => Property::DisplayName,
            "mail" => Property::Mail,
            "userPrincipalName" => Property::UserPrincipalName,
            "userType" => Property::UserType,
            _ => return None,
        };
        self.0 = self.0[end..].trim_start();
        Some(property)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.0.strip_prefix(word)?;
        if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        self.0 = rest.trim_start();
        Some(())
    }

    fn symbol(&mut self, symbol: char) -> Option<()> {
        self.0 = self.0.strip_prefix(symbol)?.trim_start();
        Some(())
    }

    /// A quoted text; a doubled apostrophe stands for one.
    fn text(&mut self) -> Option<String> {
        let mut rest = self.0.strip_prefix('\'')?;
        let mut text = String::new();
        loop {
            let (part, after) = rest.split_once('\'')?;
            text.push_str(part);
            let Some(more) = after.strip_prefix('\'') else {
                self.0 = after.trim_start();
                return Some(text.to_lowercase());
            };
            text.push('\'');
            rest = more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::{NewUser, Tenant};

    #[test]
    fn expressions_accept_the_right_users() {
        let mut tenant = Tenant::new();
        let id =
            tenant.create_user(NewUser { display_name: "Ann O'Neil".into(), ..NewUser::default() });
        let user = tenant.user(id).expect("just created");
        let table = [
            ("displayName eq 'ann o''neil'".to_owned(), true),
            ("displayName eq 'Ann'".to_owned(), false),
            ("displayName in ('x', 'ANN O''NEIL')".to_owned(), true),
            ("startsWith(displayName,'ann')".to_owned(), true),
            (format!("id eq 'x' or id eq '{id}'"), true),
            (format!("id in ('{id}')"), true),
            ("mail eq ''".to_owned(), false),
        ];
        for (text, expected) in table {
            let filter =
                Filter::parse(&text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
            assert_eq!(filter.accepts_user(user), expected, "{text}");
        }
    }

    #[test]
    fn limits_differ_between_lists_and_deltas() {
        let ids = |count: u128| {
            let clauses: Vec<_> =
                (0..count).map(|n| format!("id eq '{}'", Uuid::from_u128(n))).collect();
            Filter::parse(&clauses.join(" or ")).expect("valid")
        };
        assert!(ids(15).check_list().is_ok());
        assert!(ids(16).check_list().is_err());
        assert_eq!(ids(50).delta_ids().expect("allowed").len(), 50);
        assert!(ids(51).delta_ids().is_err());
        assert!(Filter::parse("displayName eq 'a'").expect("valid").delta_ids().is_err());
    }
}
