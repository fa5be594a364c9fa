//! What the product registry asks for, and what it must leave alone.

use super::check;

const OWNED: &str = "
    user ada name=Ada_Ünal
    group A name=GRP-A = ada
    registry p groups=GRP-A owner=ada_unal description=One
    run
";

#[test]
fn a_row_becomes_product_link_and_owner() {
    check(
        "
        user ada name=Ada_Ünal
        group A name=GRP-A = ada
        registry p groups=grp-a owner=ADA_UNAL description=One
        full
        + group GRP-A
        + user ada@x (Ada Ünal)
        + member GRP-A  ada@x  gains p
        + product p
        + link p  GRP-A
        + owner p  ada@x
        @ group \"grp-a\" is 41000000
        @ owner \"ada unal\" is ada@x
        registry p groups=grp-a owner=ADA_UNAL description=Two
        delta
        ~ product p (Two)
        ",
    );
}

#[test]
fn what_people_made_stays_theirs() {
    check(
        "
        user ada name=Ada
        user bob
        group A =
        group B =
        product p
        link p A
        link p B
        run
        member p ada
        member p bob
        registry p groups=A owner=Ada description=ours
        full
        @ group \"a\" is 41000000
        @ owner \"ada\" is ada@x
        unregister p
        full
        @ group \"a\" is free again
        @ owner \"ada\" is free again
        ",
    );
    // A link that people took away is made again as long as the registry names it.
    check(&format!(
        "{OWNED}
        unlink p A
        delta
        + link p  GRP-A
        "
    ));
}

#[test]
fn what_the_registry_names_no_more_is_unlinked() {
    check(&format!(
        "{OWNED}
        unregister p
        held full
        = link p  GRP-A
        = owner p  ada@x
        full
        - link p  GRP-A
        - owner p  ada@x
        @ group \"grp-a\" is free again
        @ owner \"ada unal\" is free again
        "
    ));
    // A purge takes along what the registry gave: it is not taken away twice.
    check(&format!(
        "{OWNED}
        gone ada
        gone A
        run
        unregister p
        purge ada
        purge A
        full
        - group GRP-A
        - user ada@x (Ada Ünal)
        - member GRP-A  ada@x
        @ group \"grp-a\" is free again
        @ owner \"ada unal\" is free again
        * registry_group_unresolved \"GRP-A\"
        "
    ));
    // Renamed: a new product; the old one stays, without what the registry gave it.
    check(&format!(
        "{OWNED}
        unregister p
        registry q groups=GRP-A owner=ada_unal description=One
        full
        + product q
        - link p  GRP-A
        + link q  GRP-A
        - owner p  ada@x
        + owner q  ada@x
        "
    ));
    check(&format!(
        "{OWNED}
        registry p groups=GRP-A description=One
        full
        - owner p  ada@x
        @ owner \"ada unal\" is free again
        "
    ));
}

#[test]
fn a_name_that_means_none_or_two_is_a_finding() {
    check(
        "
        group A name=GRP =
        group B name=grp =
        registry p groups=GRP,GRP-X owner=Nobody
        full
        + group GRP
        + group grp
        + product p
        ? registry_group_unresolved \"GRP-X\": no group of the tenant has this name…
        ? registry_group_ambiguous \"GRP\": 2 groups of the tenant have this name…
        ? registry_owner_unresolved \"Nobody\": no live person has this name…
        full
        group A name=other
        group C name=GRP-X =
        user ada name=nobody
        delta
        ~ group GRP -> other
        + group GRP-X
        + user ada@x (nobody)
        + link p  grp
        + link p  GRP-X
        + owner p  ada@x
        @ group \"grp\" is 42000000
        @ group \"grp-x\" is 43000000
        @ owner \"nobody\" is ada@x
        * registry_group_unresolved \"GRP-X\"
        * registry_group_ambiguous \"GRP\"
        * registry_owner_unresolved \"Nobody\"
        ",
    );
    // A row that vanishes takes its findings along; so does another spelling.
    check(
        "
        registry p groups=GRP-X owner=Nobody
        run
        registry p groups=grp-x
        full
        ? registry_group_unresolved \"grp-x\": no group…
        * registry_group_unresolved \"GRP-X\"
        * registry_owner_unresolved \"Nobody\"
        unregister p
        full
        * registry_group_unresolved \"grp-x\"
        ",
    );
}

#[test]
fn an_unresolved_name_unlinks_nothing() {
    check(&format!(
        "{OWNED}
        registry p groups=GRP-X owner=nobody description=One
        full
        ? registry_group_unresolved \"GRP-X\"…
        ? registry_owner_unresolved \"nobody\"…
        group X name=GRP-X =
        user bob name=Nobody
        delta
        + group GRP-X
        + user bob@x (Nobody)
        - link p  GRP-A
        + link p  GRP-X
        - owner p  ada@x
        + owner p  bob@x
        @ group \"grp-x\" is 58000000
        @ owner \"nobody\" is bob@x
        @ group \"grp-a\" is free again
        @ owner \"ada unal\" is free again
        * registry_group_unresolved \"GRP-X\"
        * registry_owner_unresolved \"nobody\"
        "
    ));
}

#[test]
fn a_name_is_bound_once() {
    check(&format!(
        "{OWNED}
        group A name=renamed
        delta
        ~ group GRP-A -> renamed
        group B name=GRP-A =
        delta
        + group GRP-A
        ? registry_group_taken \"GRP-A\": bound to {{A}} (renamed), but 1 other group(s) carry…
        = binding \"grp-a\" to 42000000
        group B name=else
        delta
        ~ group GRP-A -> else
        * registry_group_taken \"GRP-A\"
        "
    ));
    // Deleted and made again: the new one is not followed.
    check(&format!(
        "{OWNED}
        gone! A
        delta
        ! group GRP-A live -> removed
        ? registry_group_unresolved \"GRP-A\": bound to {{A}}, which is gone…
        group B name=GRP-A =
        delta
        + group GRP-A
        ? registry_group_taken \"GRP-A\": bound to {{A}} (GRP-A), but 1 other group(s)…
        * registry_group_unresolved \"GRP-A\"
        = binding \"grp-a\" to 42000000
        agreed full
        - link p  GRP-A [41000000]
        + link p  GRP-A [42000000]
        @ group \"grp-a\" is 42000000
        * registry_group_taken \"GRP-A\"
        "
    ));
    // A person renamed stays the owner; a namesake is told, and changes nothing.
    check(&format!(
        "{OWNED}
        user ada name=Else
        user bob name=Ada_Ünal
        delta
        ~ user ada@x (Ada Ünal -> Else)
        + user bob@x (Ada Ünal)
        ? registry_owner_ambiguous \"ada unal\": bound to {{ada}}, who stays the owner, but 1 other…
        user bob
        delta
        ~ user bob@x (Ada Ünal -> bob)
        * registry_owner_ambiguous \"ada unal\"
        "
    ));
}

#[test]
fn findings_of_names_not_asked_for_stay_open() {
    check(
        "
        registry p groups=GRP-X
        run
        unasked
        user ada
        delta
        + user ada@x (ada)
        ",
    );
}

#[test]
fn an_owner_is_one_live_member() {
    check(
        "
        user ada name=Ada
        user bob name=Áda
        registry p owner=Ada
        full
        + user ada@x (Ada)
        + user bob@x (Áda)
        + product p
        ? registry_owner_ambiguous \"Ada\": 2 live people have this name…
        user ada name=Ada guest
        delta
        ~ user ada@x is a guest
        + owner p  bob@x
        @ owner \"ada\" is bob@x
        * registry_owner_ambiguous \"Ada\"
        ",
    );
    // In a scope of members whoever is the only one comes in; whoever is not, does not.
    check(
        "
        policy members
        user ada name=Ada
        user bob name=Bob
        user bert name=Bób
        registry p owner=Ada
        registry q owner=bob
        full
        + user ada@x (Ada)
        + product p
        + product q
        + owner p  ada@x
        @ owner \"ada\" is ada@x
        ? registry_owner_ambiguous \"bob\": 2 live people have this name ({bert}, {bob})…
        user bert
        delta
        + user bob@x (Bob)
        + owner q  bob@x
        @ owner \"bob\" is bob@x
        * registry_owner_ambiguous \"bob\"
        ",
    );
    // Where the directory was not listed, nobody is bound.
    check(
        "
        policy members
        unasked
        user ada name=Ada
        group A = ada
        link p A
        registry p owner=Ada
        full
        + group A
        + user ada@x (Ada)
        + member A  ada@x  gains p
        ? registry_owner_unresolved \"Ada\": the list of users could not be believed…
        ",
    );
    // Disabled, an owner keeps the membership (it gives nothing) but gets no other.
    check(&format!(
        "{OWNED}
        user ada name=Ada_Ünal off
        registry q owner=ada_unal
        delta
        ! user ada@x live -> disabled
        + product q
        user ada name=Ada_Ünal
        delta
        ! user ada@x disabled -> live
        + owner q  ada@x
        "
    ));
    // Purged, the membership goes along, and no new one is made for nobody.
    check(&format!(
        "{OWNED}
        gone ada
        run
        registry q owner=ada_unal
        purge ada
        full
        - user ada@x (Ada Ünal)
        - member GRP-A  ada@x
        + product q
        ? registry_owner_unresolved \"ada unal\": bound to {{ada}}, who is purged…
        "
    ));
}
