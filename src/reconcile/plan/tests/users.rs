//! Which people get a row and in which state, and when a row goes.

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
