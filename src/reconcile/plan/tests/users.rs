//! Which people get a row, in which state and role, and when a row goes.

use super::check;

#[test]
fn identity_is_the_object_id() {
    // Everything about a person may change but the id.
    check(
        "
        user ada name=Ada_Ünal
        full
        + user ada@x (Ada Ünal)
        user ada mail=a.lovelace@y upn=al@y name=Ada_Lovelace
        delta
        ~ user ada@x -> a.lovelace@y (Ada Ünal -> Ada Lovelace)
        user ada mail=a.lovelace@y upn=other@y name=Ada_Lovelace
        delta
        ",
    );
    // The same name and address under a new id is somebody else.
    check(
        "
        user ada
        run
        gone! ada
        user bda mail=ada@x upn=ada@x name=ada
        delta
        ! user ada@x -> {ada}@removed.invalid, live -> removed, waits for ada@x
        + user ada@x (ada)
        ",
    );
    // A name that vanishes is kept; without any, the address stands in.
    check(
        "
        user ada name=Ada
        user bob name=-
        full
        + user ada@x (Ada)
        + user bob@x
        user ada name=-
        delta
        ",
    );
}

#[test]
fn account_enabled_is_three_valued() {
    check(
        "
        user ada
        user bob off
        user carl unknown
        full
        + user ada@x (ada)
        + user bob@x (bob), disabled
        + user carl@x (carl), disabled
        user ada unknown
        user bob unknown
        delta
        user ada off
        user bob
        delta
        ! user ada@x live -> disabled
        ! user bob@x disabled -> live
        user bob unknown
        delta
        gone bob
        delta
        ! user bob@x live -> removed
        ",
    );
    // Back, but nobody says whether enabled: the stored state stays until somebody does.
    check(
        "
        user ada
        run
        gone ada
        run
        user ada unknown
        delta
        user ada
        delta
        ! user ada@x removed -> live
        ",
    );
}

#[test]
fn switches_decide_on_new_rows_only() {
    check(
        "
        policy no-guests no-disabled
        user ada guest
        user bob off
        user carl unknown
        user dora
        full
        + user dora@x (dora)
        user dora guest off
        delta
        ! user dora@x live -> disabled, is a guest
        user dora guest
        delta
        ! user dora@x disabled -> live
        user bob
        user ada
        delta
        + user ada@x (ada)
        + user bob@x (bob)
        ",
    );
    check(
        "
        user ada guest
        user bob off
        run
        policy no-guests no-disabled
        full
        ",
    );
}

#[test]
fn leaving_the_last_group_ends_paths_and_never_the_person() {
    check(
        "
        policy members
        user ada
        user bob
        group A = ada
        full
        + group A
        + user ada@x (ada)
        + member A  ada@x
        A + bob
        A - ada
        delta
        + user bob@x (bob)
        - member A  ada@x
        + member A  bob@x
        user ada mail=ada@y
        delta
        ~ user ada@x -> ada@y
        ",
    );
    // Known to the directory, gone before anybody ever saw a row.
    check(
        "
        policy members
        user ada
        gone ada
        group A = ada
        full
        + group A
        ",
    );
}

#[test]
fn a_removed_person_comes_back_to_everything() {
    check(
        "
        user ada
        group A = ada
        run
        link p A
        gone ada
        delta
        ! user ada@x live -> removed
        gone! ada
        delta
        user ada
        delta
        ! user ada@x removed -> live
        ",
    );
    // A disable is one status change, however many groups there are.
    check(
        "
        user ada
        group A = ada
        group B = A
        group C = B
        run
        user ada off
        delta
        ! user ada@x live -> disabled
        ",
    );
}

#[test]
fn the_role_is_given_by_a_group_and_taken_back_only_if_given() {
    check(
        "
        policy admins=A
        user ada
        user bob
        group A = ada B
        group B = bob
        full
        + group A
        + group B
        + user ada@x (ada), admin
        + user bob@x (bob), admin
        + member A  ada@x
        + member A  bob@x
        + member B  bob@x
        A - ada B
        delta
        ~ user ada@x role admin -> user
        ~ user bob@x role admin -> user
        - member A  ada@x
        - member A  bob@x
        ",
    );
    // Without admin groups nobody's role is touched.
    check(
        "
        policy admins=A
        user ada
        group A = ada
        run
        policy admins=
        A - ada
        full
        - member A  ada@x
        ",
    );
    // A removed group gives nothing, this role included; restored, it does again.
    check(
        "
        policy admins=A
        user ada
        group A = ada
        run
        gone A
        delta
        ! group A live -> removed
        ~ user ada@x role admin -> user
        group A
        delta
        ! group A removed -> live
        ~ user ada@x role user -> admin
        ",
    );
}

#[test]
fn a_role_given_by_people_is_theirs() {
    check(
        "
        user ada
        run
        promote ada
        policy admins=A
        group A = ada
        full
        + group A
        + member A  ada@x
        A - ada
        delta
        - member A  ada@x
        ",
    );
    // Taken back by both on one day: nothing is left for the daemon to take.
    check(
        "
        policy admins=A
        user ada
        group A = ada
        run
        demote ada
        A - ada
        full
        ~ user ada@x role user is people's again
        - member A  ada@x
        ",
    );
    // Somebody takes it back by hand: the group gives it again, as the directory says.
    check(
        "
        policy admins=A
        user ada
        group A = ada
        run
        demote ada
        full
        ~ user ada@x role user -> admin
        ",
    );
}

#[test]
fn a_purge_needs_to_be_removed_gone_and_free() {
    check(
        "
        user ada
        group A = ada
        run
        gone ada
        run
        purge ada
        full
        - user ada@x (ada)
        - member A  ada@x
        ",
    );
    check(
        "
        user ada
        run
        gone ada
        run
        purge ada held
        full
        ? tombstone_kept ada@x: gone for longer than the retention…
        user bob
        delta
        + user bob@x (bob)
        gone! ada
        delta
        user ada
        delta
        ! user ada@x removed -> live
        * tombstone_kept ada@x
        ",
    );
    // Neither the living nor the newly removed, whatever was asked for.
    check(
        "
        user ada
        user bob
        user carl off
        run
        gone bob
        purge ada
        purge bob
        purge carl
        full
        ! user bob@x live -> removed
        ",
    );
    // Confirmed as gone and seen again within one run: seen wins.
    check(
        "
        user ada
        run
        gone ada
        run
        user ada
        purge ada
        full
        ! user ada@x removed -> live
        ",
    );
    // Whoever goes for good leaves the address behind.
    check(
        "
        user ada
        run
        gone ada
        run
        user bob mail=ada@x
        purge ada
        full
        - user ada@x (ada)
        + user ada@x (bob)
        ",
    );
}

#[test]
fn a_held_run_gives_and_corrects_but_takes_nothing() {
    check(
        "
        policy admins=A
        user ada
        user bob
        user carl
        group A = ada bob
        group B = A
        group C = carl
        run
        user ada off name=Ada
        gone bob
        A - ada
        A + carl
        gone C
        user dora
        held delta
        ~ user ada@x (ada -> Ada)
        ~ user carl@x role user -> admin
        + user dora@x (dora)
        + member A  carl@x
        + member B  carl@x
        = user ada@x
        = user bob@x
        = group C
        = member A  ada@x
        = member B  ada@x
        = role admin of ada@x
        delta
        ! group C live -> removed
        ! user ada@x live -> disabled, role admin -> user
        ! user bob@x live -> removed
        - member A  ada@x
        - member B  ada@x
        ",
    );
    // Who is kept although gone keeps the address, too.
    check(
        "
        user ada
        run
        gone ada
        user bob mail=ada@x
        held delta
        + user bob@x (bob), waits for ada@x
        = user ada@x
        delta
        ! user ada@x -> {ada}@removed.invalid, live -> removed, waits for ada@x
        ~ user bob@x -> ada@x, waits for no address
        ",
    );
    check(
        "
        user ada
        group A = ada
        run
        gone ada
        gone A
        run
        purge ada
        purge A
        held full
        = user ada@x
        = group A
        ",
    );
}

#[test]
fn people_lose_access_at_once_unless_the_limits_on_users_trip() {
    check(
        "
        user ada
        user bob
        user carl
        group A = ada bob carl
        run
        gone carl
        run
        user ada off
        A - bob
        purge carl
        spared full
        ! user ada@x live -> disabled
        = user carl@x
        = member A  bob@x
        ",
    );
}
