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
        ? admin_group_unusable A: this group of roles.admin_groups is deleted…
        group A
        delta
        ! group A removed -> live
        ~ user ada@x role user -> admin
        * admin_group_unusable A
        ",
    );
}

#[test]
fn an_admin_group_that_is_not_known_takes_nobodys_role() {
    // Another id was configured, and it is wrong.
    check(
        "
        policy admins=A
        user ada
        user bob
        group A = ada
        run
        policy admins=Z
        full
        ? admin_group_unusable 5a000000: Azure AD has no group with this id…
        A - ada
        delta
        - member A  ada@x
        policy admins=A
        full
        ~ user ada@x role admin -> user
        * admin_group_unusable 5a000000
        ",
    );
    // Whoever never existed is found gone, and was never buried here.
    check(
        "
        policy admins=A
        user ada
        group A = ada
        run
        policy admins=Z
        gone! Z
        full
        ? admin_group_unusable 5a000000: Azure AD has no group with this id…
        ",
    );
    // It cannot be read; who is known to be in one that can gets the role all the same.
    check(
        "
        policy admins=A,B
        user ada
        user bob
        group A = ada
        group B =
        run
        failed B
        A - ada
        B + bob
        full
        ~ user bob@x role user -> admin
        - member A  ada@x
        + member B  bob@x
        ? admin_group_unusable B: the members of this group of roles.admin_groups cannot…
        list B = bob
        delta
        ~ user ada@x role admin -> user
        * admin_group_unusable B
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
