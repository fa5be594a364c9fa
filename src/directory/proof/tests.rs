//! No chain that broke off proves anything; and proofs for the tests of the pure core,
//! which are got in the only way there is.

use super::*;
use crate::directory::MemberKind;

const PLAIN: PageSeen<'static> = PageSeen {
    status: 200,
    has_value: true,
    next: None,
    delta: None,
    receipt: Receipt { request_id: None, at: None },
};

/// The proof of a list of one page.
fn list() -> Proof<ListEnd> {
    match Trail::start("list", 1).page(&PLAIN) {
        Ok(Step::End(proof)) => proof,
        other => panic!("no end: {other:?}"),
    }
}

/// The proof of a round of one page.
fn round() -> Proof<RoundEnd> {
    match Trail::start("round", 1).page(&PageSeen { delta: Some("link"), ..PLAIN }) {
        Ok(Step::End(proof)) => proof,
        other => panic!("no end: {other:?}"),
    }
}

/// A list of one page that held `value`.
pub(crate) fn whole<T>(value: T) -> Whole<T> {
    list().whole(value)
}

/// A round of one page that said `moves` of a group.
pub(crate) fn changes(moves: BTreeMap<Member, bool>) -> Changes {
    round().changes(moves)
}

/// A grave of this kind, by this evidence.
pub(crate) fn grave(tombstone: Tombstone, evidence: Evidence) -> Grave {
    let answer = |status| Answer { status, receipt: Receipt::default() };
    if evidence == Evidence::DeltaTombstone {
        return Grave::told(tombstone, &round());
    }
    let deleted = answer(if tombstone == Tombstone::Soft { 200 } else { 404 });
    Grave::confirmed(answer(404), deleted).expect("two answers that prove it")
}

/// A second list that lacked what the first one lacked.
pub(crate) fn departure(group: ObjectId, member: Member) -> Departure {
    let (members, groups) = (whole(BTreeSet::new()), whole(BTreeSet::new()));
    Departure::of_member((group, &members), (member, &groups)).expect("both lack it")
}

/// Walks pages, written as `status/value/next/delta`, the last being the last.
fn walk<E: Ending>(pages: &[&str], pages_max: u32) -> Result<Option<u32>, Gap> {
    let mut trail = Trail::<E>::start("a", pages_max);
    let mut end = None;
    for page in pages {
        let words: Vec<&str> = page.split('/').collect();
        let link = |at: usize| words.get(at).copied().filter(|link| *link != "-");
        let seen = PageSeen {
            status: words[0].parse().expect("a status"),
            has_value: words[1] == "v",
            next: link(2),
            delta: link(3),
            ..PLAIN
        };
        match trail.page(&seen)? {
            Step::More => {}
            Step::End(proof) => end = Some(proof.record().answers),
        }
    }
    Ok(end)
}

#[test]
fn only_a_chain_that_ended_as_it_must_is_proof() {
    let table: [(&[&str], _, _); 13] = [
        (&["200/v/-/-"], Ok(Some(1)), Err(Gap::NoDeltaLink)),
        (&["200/v/-/d"], Ok(Some(1)), Ok(Some(1))),
        (&["200/v/-/"], Ok(Some(1)), Err(Gap::NoDeltaLink)),
        (&["200/v/b/-", "200/v/-/d"], Ok(Some(2)), Ok(Some(2))),
        // Both links: there are more pages.
        (&["200/v/b/d"], Ok(None), Ok(None)),
        (&["200/v/b/-"], Ok(None), Ok(None)),
        (&["200/-/-/d"], Err(Gap::NoValue), Err(Gap::NoValue)),
        (&["200/v/b/-", "200/-/-/d"], Err(Gap::NoValue), Err(Gap::NoValue)),
        (&["206/v/-/d"], Err(Gap::Status(206)), Err(Gap::Status(206))),
        (&["204/-/-/d"], Err(Gap::Status(204)), Err(Gap::Status(204))),
        (&["200/v/a/-"], Err(Gap::Repeated(1)), Err(Gap::Repeated(1))),
        (&["200/v/b/-", "200/v/c/-", "200/v/b/-"], Err(Gap::Repeated(3)), Err(Gap::Repeated(3))),
        (
            &["200/v/b/-", "200/v/c/-", "200/v/d/-", "200/v/-/d"],
            Err(Gap::TooLong(3)),
            Err(Gap::TooLong(3)),
        ),
    ];
    for (pages, as_list, as_round) in table {
        assert_eq!(walk::<ListEnd>(pages, 3), as_list, "{pages:?}");
        assert_eq!(walk::<RoundEnd>(pages, 3), as_round, "{pages:?}");
    }
}

#[test]
fn a_chain_that_broke_off_cannot_be_ended_by_a_better_page() {
    let mut trail = Trail::<ListEnd>::start("a", 9);
    assert_eq!(trail.page(&PageSeen { has_value: false, ..PLAIN }), Err(Gap::NoValue));
    assert_eq!(trail.page(&PLAIN), Err(Gap::NoValue));
}

#[test]
fn only_two_answers_that_agree_bury_an_object() {
    let answer = |status| Answer { status, receipt: Receipt::default() };
    let confirmed = |living, deleted| {
        Grave::confirmed(answer(living), answer(deleted)).map(|grave| grave.tombstone())
    };
    for living in [200, 204, 400, 401, 403, 404, 410, 429, 500, 503] {
        for deleted in [200, 204, 400, 401, 403, 404, 410, 429, 500, 503] {
            let expected = match (living, deleted) {
                (404, 200) => Some(Tombstone::Soft),
                (404, 404) => Some(Tombstone::Hard),
                _ => None,
            };
            assert_eq!(confirmed(living, deleted), expected, "{living} and {deleted}");
        }
        let unseen = Grave::unseen(answer(living)).map(|grave| grave.tombstone());
        assert_eq!(unseen, (living == 404).then_some(Tombstone::Soft), "{living}");
    }
}

#[test]
fn somebody_left_only_if_both_lists_say_so() {
    let id = |n| ObjectId::new(Uuid::from_u128(n));
    let ada = Member { id: id(1), kind: MemberKind::User };
    let group = id(2);
    for (on_group, on_member) in [(false, false), (false, true), (true, false), (true, true)] {
        let members = whole(if on_group { BTreeSet::from([ada]) } else { BTreeSet::new() });
        let groups = whole(if on_member { BTreeSet::from([group]) } else { BTreeSet::new() });
        let left = Departure::of_member((group, &members), (ada, &groups));
        assert_eq!(left.is_some(), !on_group && !on_member, "{on_group} {on_member}");
        let first = whole(if on_group { BTreeSet::from([group]) } else { BTreeSet::new() });
        for tombstone in [Tombstone::Soft, Tombstone::Hard] {
            let grave = grave(tombstone, Evidence::ConfirmedById);
            let dead = Departure::of_dead(&members, ada, &grave).is_some();
            assert_eq!(dead, !on_group && tombstone == Tombstone::Hard);
        }
        let left = Departure::of_group(group, &first, &groups);
        assert_eq!(left.is_some(), !on_group && !on_member, "{on_group} {on_member}");
    }
}
