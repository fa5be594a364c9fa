//! Plays stories: the notation of the tables, and what must hold after each of them.
//!
//! ```text
//! pages 1                            the directory answers with so many objects a page; first line
//! user ada [mail=M] [upn=U] [name=N] [on|off|unknown] [guest|member]   ada is made, or changed
//! group A [name=N] [= members]       this group is made, or changed; people in it are made
//! A + ada B  |  A - ada              these join, or leave
//! gone ada  |  gone! A  |  back ada  soft-deleted, deleted for good, restored
//! late [ada]                         the next round of users says nothing of anybody; nor
//!                                    does the next look-up of ada
//!
//! local M [admin]  |  drop M         people make, or delete, this row of `users`
//! link P A  |  unlink P A            … this link
//! member P ada ROLE                  … this product member, by name or by address
//! deployed ada  |  acted ada         … history that points to ada
//!
//! registry P [groups=A,B] [owner=N]  an entry of the registry  |  unregister P
//! policy [everything|linked] [guests|no-guests] [disabled|no-disabled]
//! retention DAYS  |  limit N         the retention; the removals of a kind that pass unasked
//! approve                            somebody agrees to all that waits
//!
//! run                                a full run that nobody looks at
//! turn | delta | full [held] [entity.action[*count]…]   a run (`turn`: in either mode), whether
//!                                    it holds anything, and the audit rows it writes: exactly these
//! ! kind subject                     … and the findings that are open then: exactly these
//! = ada ADDRESS STATE [admin] [name=N]  |  = ada none   the row of ada; `by_hand` has no state
//! = A STATE [name=N]                 … of a group
//! who P = ada bob                    who reaches a product
//! in A = ada bob                     the effective members of a group
//! others N                           `audit verify` tells of so many changes by others
//! links P = A  |  owns P = ada:admin the rows of `product_aad_groups` and `product_members`
//! ```
//!
//! Users are lower case, groups begin upper case. `@x` is the company's domain, mail and
//! UPN are `NAME@x` unless given, `-` is null, `_` a blank, `{256}` 256 letters.
//!
//! After every story the audit is whole, and tells of nobody else's changes but `others`. Unless something is held, another run of either
//! mode changes nothing and the view tells what the directory says; if something is
//! held, another run of either mode writes nothing but itself.

use std::collections::BTreeMap;

use graph_simulator::{Options, PageSizes};
use nexus_dirsync::directory::Mode;
use nexus_dirsync::reconcile::world::RegistryEntry;

use super::tenant::{self, full, group, is_group, join, move_on, user, value};
use crate::prelude::*;

/// The words of the issue, and the story.
pub(super) type Case = (&'static str, &'static str);

/// Plays every case on each database, in each mode; tells of all that fail.
pub(super) async fn play(cases: &'static [Case]) {
    let mut failed = Vec::new();
    for (name, story) in cases {
        for on in BOTH {
            for mode in [Delta, Full] {
                let case = format!("{name}; on {on:?}, its turns are {mode} runs");
                // Shown if any of them fails.
                eprintln!("{case}");
                if tokio::spawn(tell(on, mode, story)).await.is_err() {
                    failed.push(case);
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

async fn tell(on: On, mode: Mode, story: &'static str) {
    let lines: Vec<&str> = story.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut lines = lines.into_iter().peekable();
    let mut options = Options::default();
    if let Some(count) = lines.peek().and_then(|line| line.strip_prefix("pages ")) {
        let count = count.parse().unwrap();
        let PageSizes { list_default, list_max, .. } = options.pages;
        options.pages = PageSizes {
            delta_users: count,
            delta_groups: count,
            delta_members: count,
            list_default,
            list_max,
        };
        lines.next();
    }
    // Somebody beside the story: a tenant that has lost all its people is not believed.
    let world = World::with(on, company(&[("Bystanders", &["zoe"])]), options).await;
    let mut stage = Stage { world, names: BTreeMap::new(), entries: Vec::new(), others: 0 };
    while let Some(line) = lines.next() {
        eprintln!("  {line}");
        let line = line.replace("{256}", &"ä".repeat(256));
        let words: Vec<&str> = line.split_whitespace().collect();
        let (run, expected) = match words.as_slice() {
            ["run"] => {
                stage.world.run(Full).await;
                continue;
            }
            ["turn", rest @ ..] => (mode, rest),
            ["delta", rest @ ..] => (Delta, rest),
            ["full", rest @ ..] => (Full, rest),
            ["approve"] => {
                assert!(stage.world.approve_all().await > 0, "something waits");
                continue;
            }
            words => {
                stage.follow(words);
                continue;
            }
        };
        let mut findings = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("! ")) {
            findings.push(line[2..].replace(' ', "|"));
        }
        stage.run(run, expected, findings).await;
    }
    stage.rest().await;
}

/// The world of one story.
struct Stage {
    world: World,
    /// Who and what has been spoken of.
    names: BTreeMap<String, String>,
    entries: Vec<RegistryEntry>,
    /// How many rows of the daemon's own people changed, so that the audit's replay says so.
    others: usize,
}

impl Stage {
    async fn run(&self, mode: Mode, expected: &[&str], mut findings: Vec<String>) {
        let mark = self.world.audit_mark();
        let report = self.world.run(mode).await;
        let mut written: Vec<String> = self
            .world
            .audit_since(mark)
            .iter()
            .map(|line| match line.splitn(3, '|').collect::<Vec<_>>()[..] {
                [entity, action, "1"] => format!("{entity}.{action}"),
                [entity, action, count] => format!("{entity}.{action}*{count}"),
                _ => line.clone(),
            })
            .collect();
        if report.outcome == Outcome::Held {
            written.push("held".to_owned());
        }
        let mut expected = expected.to_vec();
        written.sort();
        expected.sort_unstable();
        assert_eq!(written, expected, "what the run did: {:?}", self.users());
        let mut told: Vec<String> =
            self.world.findings().iter().map(|line| self.spelt(line).replace(' ', "_")).collect();
        told.retain(|line| !line.starts_with("removals_held|"));
        told.sort();
        findings.sort();
        assert_eq!(told, findings, "the findings");
    }

    /// What holds after every story.
    async fn rest(&self) {
        let verified = self.world.store.read(|tx| tx.verify_audit()).await.unwrap();
        assert_eq!(verified.divergences, [], "audit and tables");
        assert_eq!(verified.foreign.len(), self.others, "{:?}", verified.foreign);
        if self.world.pending().await.is_empty() {
            self.world.assert_access_is_true();
            self.world.assert_rests().await;
            return;
        }
        let mark = self.world.audit_mark();
        for mode in [Delta, Full] {
            let report = self.world.run(mode).await;
            assert_eq!((report.outcome, report.changes_total()), (Outcome::Held, 0), "{mode}");
        }
        assert_eq!(self.world.audit_mark(), mark, "a hold writes nothing");
    }

    fn follow(&mut self, words: &[&str]) {
        for name in words {
            self.names.insert(id(name).to_string(), (*name).to_owned());
        }
        match words {
            ["=", name, rest @ ..] => {
                assert_eq!(self.row(name), rest.join(" "), "the row of {name}");
            }
            ["who", product, "=", rest @ ..] => {
                let from = format!(
                    "(SELECT DISTINCT a.user_id FROM product_access a JOIN products p ON p.id = a.product_id
                        WHERE p.name = '{product}') a
                     JOIN users u ON u.id = a.user_id LEFT JOIN dirsync_user_identities i ON i.user_id = u.id"
                );
                self.assert_list("coalesce(CAST(i.object_id AS text), u.email)", &from, rest);
            }
            ["in", group, "=", rest @ ..] => {
                let from = format!(
                    "dirsync_group_members m JOIN dirsync_aad_groups g ON g.aad_group_id = m.aad_group_id
                     JOIN dirsync_user_identities i ON i.user_id = m.user_id WHERE g.object_id = '{}'",
                    id(group)
                );
                self.assert_list("i.object_id", &from, rest);
            }
            ["links", product, "=", rest @ ..] => {
                let from = format!(
                    "product_aad_groups l JOIN products p ON p.id = l.product_id
                     JOIN aad_groups g ON g.id = l.aad_group_id WHERE p.name = '{product}'"
                );
                self.assert_list("g.external_id", &from, rest);
            }
            ["owns", product, "=", rest @ ..] => {
                let from = format!(
                    "product_members m JOIN products p ON p.id = m.product_id JOIN users u ON u.id = m.user_id
                     LEFT JOIN dirsync_user_identities i ON i.user_id = u.id WHERE p.name = '{product}'"
                );
                self.assert_list(
                    "coalesce(CAST(i.object_id AS text), u.email) || ':' || m.role",
                    &from,
                    rest,
                );
            }
            ["user", name, rest @ ..] => self.world.edit(|tenant| user(tenant, name, rest)),
            ["group", name, rest @ ..] => self.world.edit(|tenant| group(tenant, name, rest)),
            [name, "+", rest @ ..] => self.world.edit(|tenant| join(tenant, name, rest)),
            [name, "-", rest @ ..] => self.world.edit(|tenant| {
                for member in rest {
                    assert!(tenant.remove_member(id(name), id(member)), "{member} was in {name}");
                }
            }),
            [what @ ("gone" | "gone!" | "back"), name] => {
                assert!(self.world.edit(|tenant| move_on(tenant, what, name)), "{what} {name}");
            }
            ["late", rest @ ..] => tenant::be_late(&self.world, rest),
            ["others", count] => self.others = count.parse().unwrap(),
            words => self.by_people(words),
        }
    }

    fn by_people(&mut self, words: &[&str]) {
        let sql = match words {
            ["local", email, rest @ ..] => {
                let role = if rest.contains(&"admin") { "admin" } else { "user" };
                let email = full(email);
                format!("INSERT INTO users (email, name, role) VALUES ('{email}', 'by hand', '{role}')")
            }
            ["drop", email] => format!("DELETE FROM users WHERE email = '{}'", full(email)),
            ["link", product, group] => return self.world.link(product, id(group)),
            ["unlink", product, group] => format!(
                "DELETE FROM product_aad_groups WHERE product_id IN (SELECT id FROM products WHERE name = '{product}')
                   AND aad_group_id IN (SELECT id FROM aad_groups WHERE external_id = '{}')",
                id(group)
            ),
            ["member", product, name, role] => {
                self.world.product(product);
                format!(
                    "INSERT INTO product_members (user_id, product_id, role)
                       SELECT ({}), id, '{role}' FROM products WHERE name = '{product}'",
                    row_of(name)
                )
            }
            ["deployed", name] => {
                self.world.product("deployed");
                format!(
                    "INSERT INTO resources (name, type, product_id, status)
                       SELECT 'r', 'agent', id, 'active' FROM products WHERE name = 'deployed';
                     INSERT INTO environments (name, type) VALUES ('e', 'staging');
                     INSERT INTO resource_deployments (resource_id, environment_id, version, status, deployed_by)
                       SELECT r.id, e.id, '1', 'deployed', ({}) FROM resources r, environments e",
                    row_of(name)
                )
            }
            ["acted", name] => format!(
                "INSERT INTO audit_logs (actor_user_id, actor_type, entity_type, entity_id, action)
                   VALUES (({}), 'user', 'product', 1, 'update')",
                row_of(name)
            ),
            words => return self.by_configuration(words),
        };
        self.world.sql(&sql);
    }

    fn by_configuration(&mut self, words: &[&str]) {
        let settings = &mut self.world.settings;
        match words {
            ["registry", product, rest @ ..] => {
                let groups = value(rest, "groups").unwrap_or_default();
                let groups: Vec<&str> = groups.split(',').filter(|name| !name.is_empty()).collect();
                self.entries.retain(|entry| entry.product != *product);
                self.entries.push(entry(product, &groups, value(rest, "owner").as_deref()));
                self.world.registry(self.entries.clone());
            }
            ["unregister", product] => {
                self.entries.retain(|entry| entry.product != *product);
                self.world.registry(self.entries.clone());
            }
            ["policy", rest @ ..] => {
                for word in rest {
                    match *word {
                        "everything" | "linked" => {
                            settings.all_groups = *word == "everything";
                            settings.all_users = settings.all_groups;
                        }
                        "guests" | "no-guests" => settings.include_guests = *word == "guests",
                        "disabled" | "no-disabled" => {
                            settings.include_disabled = *word == "disabled";
                        }
                        word => panic!("what is the policy {word}?"),
                    }
                }
            }
            ["retention", days] => {
                settings.retention = Duration::from_secs(days.parse::<u64>().unwrap() * 24 * 3600);
            }
            ["limit", max] => settings.limits = at_most(max.parse().unwrap()),
            words => panic!("what is {words:?}?"),
        }
    }

    #[track_caller]
    fn assert_list(&self, columns: &str, from: &str, expected: &[&str]) {
        let lines = self.world.lines(columns, from);
        let mut lines: Vec<String> = lines.iter().map(|line| self.spelt(line)).collect();
        lines.sort();
        assert_eq!(lines, expected, "{from}");
    }

    /// The row of a user or a group, as a story tells it.
    fn row(&self, name: &str) -> String {
        let found = if is_group(name) {
            self.world.lines(
                "s.state, '', '', g.display_name",
                &format!(
                    "aad_groups g LEFT JOIN dirsync_aad_groups s ON s.aad_group_id = g.id WHERE g.external_id = '{}'",
                    id(name)
                ),
            )
        } else {
            self.world.lines(
                "u.email || ' ' || coalesce(i.state, 'by_hand'), u.role, '', u.name",
                &format!(
                    "users u LEFT JOIN dirsync_user_identities i ON i.user_id = u.id WHERE u.id = ({})",
                    row_of(name)
                ),
            )
        };
        let [row] = &found[..] else { return "none".to_owned() };
        let parts: Vec<&str> = row.splitn(4, '|').collect();
        let mut said = self.spelt(parts[0]);
        if parts[1] == "admin" {
            said.push_str(" admin");
        }
        if parts[3] != name && !said.ends_with("by_hand") {
            said.extend([" name=", &parts[3].replace(' ', "_")]);
        }
        said
    }

    fn users(&self) -> Vec<String> {
        self.world.users().iter().map(|line| self.spelt(line)).collect()
    }

    /// With names for ids, and the company's domain cut short.
    fn spelt(&self, line: &str) -> String {
        let mut line = line.replace("@contoso.example", "@x");
        for (id, name) in &self.names {
            line = line.replace(id, name);
        }
        line
    }
}

/// Asks for the id of the row of somebody, by name or by address.
fn row_of(name: &str) -> String {
    if name.contains('@') {
        return format!("SELECT id FROM users WHERE email = '{}'", full(name));
    }
    format!("SELECT user_id FROM dirsync_user_identities WHERE object_id = '{}'", id(name))
}
