//! The role `admin`: who gives it, and who may take it back.

use super::check;

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
