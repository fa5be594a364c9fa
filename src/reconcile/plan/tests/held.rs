//! What goes on, and what stays, when the guard has spoken.

use super::check;

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
        = purge of user ada@x
        = purge of group A
        ",
    );
}

#[test]
fn what_ends_anyway_is_no_part_of_a_purge() {
    // Bob stays a member for as long as there is the group; ada does not.
    check(
        "
        user ada
        user bob
        group A = ada bob
        run
        gone A
        run
        A - ada
        purge A
        held full
        = purge of group A
        = member A  ada@x
        held delta
        = member A  ada@x
        purge A
        full
        - group A
        - member A  ada@x
        - member A  bob@x
        ",
    );
}

#[test]
fn an_end_that_is_withheld_gives_nothing_new() {
    // Neither a role that is asked for only now, nor a place in a group further up.
    check(
        "
        user ada
        user bob
        group A = ada
        group B = bob
        run
        gone A
        held delta
        = group A
        policy admins=A
        held full
        ? admin_group_unusable A: this group of roles.admin_groups is deleted…
        = group A
        group C = A B
        held full
        + group C
        + member C  bob@x
        = group A
        group A
        full
        ~ user ada@x role user -> admin
        + member C  ada@x
        * admin_group_unusable A
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
        = purge of user carl@x
        = member A  bob@x
        ",
    );
}
