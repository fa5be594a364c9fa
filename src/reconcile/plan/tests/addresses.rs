//! Who gets which address, among people that the directory knows.

use super::check;

#[test]
fn mail_then_upn_then_a_finding() {
    check(
        "
        user ada mail=Ada.L@x upn=al@x
        user bob mail=- upn=Bob@x
        user carl mail=- upn=-
        full
        + user Ada.L@x (ada)
        + user Bob@x (bob)
        ? user_without_address carl [6361726c]: neither mail nor userPrincipalName is set
        user carl mail=- upn=carl@x
        delta
        + user carl@x (carl)
        * user_without_address carl@x
        user carl mail=- upn=-
        delta
        ? user_without_address carl@x: neither mail nor userPrincipalName is set
        ",
    );
    // A blank is no address.
    check(
        "
        user ada mail=_ upn=ada@x
        user bob mail=_ upn=_
        full
        + user ada@x (ada)
        ? user_without_address bob [626f6200]: neither…
        ",
    );
}

#[test]
fn letter_case_is_kept_and_not_compared() {
    check(
        "
        user ada mail=Ada@X
        user bob mail=aDA@x
        full
        + user Ada@X (ada)
        + user bob@x (bob), waits for aDA@x
        user ada mail=ADA@x
        delta
        ~ user Ada@X -> ADA@x
        ",
    );
}

#[test]
fn the_holder_keeps_what_it_claims() {
    check(
        "
        user bob mail=shared@x
        run
        user ada mail=shared@x
        delta
        + user ada@x (ada), waits for shared@x
        ",
    );
    // The fallback is taken too: a newcomer gets a finding and no row.
    check(
        "
        user bob mail=shared@x
        user carl
        run
        user ada mail=shared@x upn=carl@x
        delta
        ? address_conflict ada [61646100]: its mail and its userPrincipalName are both held by others
        gone carl
        delta
        + user carl@x (ada), waits for shared@x
        ! user carl@x -> {carl}@removed.invalid, live -> removed, waits for carl@x
        * address_conflict carl@x
        ",
    );
    // Who lives on its UPN keeps it against a stranger's mail.
    check(
        "
        user bob mail=shared@x
        run
        user carl mail=shared@x
        run
        user ada mail=carl@x
        delta
        + user ada@x (ada), waits for carl@x
        ",
    );
    // … and gives it up for something better, in the same run.
    check(
        "
        user bob mail=shared@x
        run
        user carl mail=shared@x
        run
        user ada mail=carl@x
        gone bob
        delta
        + user carl@x (ada)
        ! user shared@x -> {bob}@removed.invalid, live -> removed, waits for shared@x
        ~ user carl@x -> shared@x, waits for no address
        ",
    );
}

#[test]
fn known_people_come_before_newcomers_and_mail_before_upn() {
    check(
        "
        user zoe mail=z@x
        run
        user ada mail=new@x
        user zoe mail=new@x
        full
        + user ada@x (ada), waits for new@x
        ~ user z@x -> new@x
        ",
    );
    check(
        "
        user bob mail=b@x upn=ada@x
        user ada mail=b@x upn=old@x
        user carl mail=ada@x
        full
        + user b@x (ada)
        + user ada@x (carl)
        ? address_conflict bob [626f6200]: its mail…
        ",
    );
}

#[test]
fn addresses_swap_chain_and_turn_in_one_run() {
    check(
        "
        user ada
        user bob
        run
        user ada mail=bob@x
        user bob mail=ada@x
        delta
        ~ user ada@x -> bob@x
        ~ user bob@x -> ada@x
        ",
    );
    check(
        "
        user ada
        user bob
        user carl
        run
        user ada mail=bob@x upn=1@x
        user bob mail=carl@x upn=2@x
        user carl mail=new@x upn=3@x
        delta
        ~ user ada@x -> bob@x
        ~ user bob@x -> carl@x
        ~ user carl@x -> new@x
        ",
    );
    check(
        "
        user ada
        user bob
        user carl
        run
        user carl mail=bob@x
        user bob mail=ada@x
        user ada mail=carl@x
        delta
        ~ user ada@x -> carl@x
        ~ user bob@x -> ada@x
        ~ user carl@x -> bob@x
        ",
    );
}

#[test]
fn a_removed_user_gives_way_and_gets_back() {
    // A new hire gets the UPN of somebody who left; later both are there.
    check(
        "
        user ada
        run
        gone ada
        run
        user bob mail=- upn=ada@x
        delta
        ~ user ada@x -> {ada}@removed.invalid, waits for ada@x
        + user ada@x (bob)
        user ada upn=ada2@x
        delta
        ! user {ada}@removed.invalid -> ada2@x, removed -> live
        gone bob
        delta
        ~ user ada2@x -> ada@x, waits for no address
        ! user ada@x -> {bob}@removed.invalid, live -> removed, waits for ada@x
        ",
    );
    check(
        "
        user ada
        run
        gone ada
        user bob mail=ada@x
        run
        gone bob
        run
        user ada
        delta
        ! user {ada}@removed.invalid -> ada@x, removed -> live, waits for no address
        ~ user ada@x -> {bob}@removed.invalid, waits for ada@x
        ",
    );
    // Restored while everything it claims is held: live, under a placeholder that says so.
    check(
        "
        user ada
        run
        gone ada
        user bob mail=ada@x
        run
        user ada
        delta
        ! user {ada}@removed.invalid -> {ada}@conflict.invalid, removed -> live
        ? address_conflict {ada}@conflict.invalid: its mail…
        user bob
        delta
        ~ user {ada}@conflict.invalid -> ada@x, waits for no address
        ~ user ada@x -> bob@x
        * address_conflict ada@x
        ",
    );
}

#[test]
fn who_waits_gets_the_address_that_is_freed() {
    check(
        "
        user ada
        user bob mail=ada@x
        run
        user ada mail=ada@y upn=ada@y
        delta
        ~ user ada@x -> ada@y
        ~ user bob@x -> ada@x, waits for no address
        ",
    );
    // Of two who wait, the first by id; the other waits on.
    check(
        "
        user ada mail=team@x
        user bob mail=team@x
        user carl mail=team@x
        run
        gone ada
        delta
        ! user team@x -> {ada}@removed.invalid, live -> removed, waits for team@x
        ~ user bob@x -> team@x, waits for no address
        ",
    );
}

#[test]
fn a_row_of_people_is_never_run_over() {
    // Known already, so it cannot adopt: the address stays with the row.
    check(
        "
        user ada
        run
        local team@x
        user ada mail=team@x
        full
        ~ user ada@x waits for team@x
        ",
    );
    // Somebody made a row that differs from a removed user's in letter case alone.
    check(
        "
        user ada
        run
        gone ada
        run
        local ADA@x
        user bob mail=ada@x
        user carl mail=ada@x guest
        full
        + user carl@x (carl), guest, waits for ada@x
        ? adoption_waits bob [626f6200]: several existing rows match…
        ",
    );
}

/// Another service writes what it likes, and so may who edits the directory.
#[test]
fn nobody_is_in_the_way_of_whoever_must_give_way() {
    check(
        "
        user ada
        user eve
        run
        user eve mail={ada}@REMOVED.invalid upn=eve@x
        full
        gone ada
        user bob mail=ada@x
        delta
        ! user ada@x -> {ada}@removed.invalid, live -> removed, waits for ada@x
        + user ada@x (bob)
        ",
    );
    check(
        "
        user ada
        run
        local {ada}@removed.invalid
        local {ada}@conflict.invalid
        gone ada
        user bob mail=ada@x
        delta
        ! user ada@x -> {ada}-2@removed.invalid, live -> removed, waits for ada@x
        + user ada@x (bob)
        user ada
        delta
        ! user {ada}-2@removed.invalid -> {ada}-2@conflict.invalid, removed -> live
        ? address_conflict {ada}-2@conflict.invalid: its mail…
        ",
    );
}

#[test]
fn a_row_in_other_letter_case_takes_nothing_from_the_holder() {
    check(
        "
        user ada
        user bob
        run
        local ADA@x
        full
        ? address_conflict ada@x: another row has its address in other letter case…
        user ada name=Ada
        delta
        ~ user ada@x…
        user ada name=Ada mail=ADA@x
        delta
        user bob mail=ada@x
        delta
        ~ user bob@x waits for ada@x
        ",
    );
}
