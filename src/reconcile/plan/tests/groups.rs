//! Groups, and who is in them over nested groups.

use super::check;

#[test]
fn a_group_lives_under_its_id() {
    check(
        "
        group A name=GRP-A = ada
        group B name=- =
        full
        + group GRP-A
        + group {B}
        group A name=GRP-B
        delta
        ~ group GRP-A -> GRP-B
        group A name=-
        delta
        ~ group GRP-B -> {A}
        ",
    );
    // Deleted and made again under the same name: another group.
    check(
        "
        user ada
        group A name=GRP = ada
        run
        gone! A
        group B name=GRP = ada
        delta
        ! group GRP live -> removed
        + group GRP
        + member GRP [42000000]  ada@x
        ",
    );
}

#[test]
fn a_row_of_somebody_else_is_taken_over() {
    check(
        "
        foreign A name=old
        foreign B
        user ada
        group A name=GRP-A = ada
        full
        ~ group old -> GRP-A, is taken over
        + user ada@x (ada)
        + member GRP-A  ada@x
        ",
    );
    // Taken over at the moment of its end: it gives nothing, and is not a removal.
    check(
        "
        foreign A
        group A =
        gone A
        held full
        ~ group A is taken over as removed
        ",
    );
}

#[test]
fn a_removed_group_keeps_its_own_and_passes_none() {
    check(
        "
        user ada
        user bob
        group A = ada
        group B = A bob
        group C = B
        run
        gone B
        delta
        ! group B live -> removed
        - member C  ada@x
        - member C  bob@x
        user carl
        A + carl
        delta
        + user carl@x (carl)
        + member A  carl@x
        + member B  carl@x
        group B
        delta
        ! group B removed -> live
        + member C  ada@x
        + member C  bob@x
        + member C  carl@x
        ",
    );
    check(
        "
        user ada
        group A = ada
        group B = A
        run
        gone A
        run
        purge A
        full
        - group A
        - member A  ada@x
        ",
    );
    // Never seen alive: no row.
    check(
        "
        gone A
        full
        ",
    );
    // Seen again while a purge was confirmed: seen wins.
    check(
        "
        user ada
        group A = ada
        run
        gone A
        run
        group A
        purge A
        full
        ! group A removed -> live
        ",
    );
}

#[test]
fn a_group_never_read_gives_nothing() {
    check(
        "
        user ada
        group A
        A + ada
        group B = A
        full
        + group A
        + group B
        + user ada@x (ada)
        failed A
        delta
        list A = ada
        delta
        + member A  ada@x
        + member B  ada@x
        failed A
        delta
        ",
    );
}

#[test]
fn a_stale_group_is_not_emptied() {
    check(
        "
        user ada
        group A = ada
        run
        failed A
        groups-of ada =
        delta
        list A =
        delta
        - member A  ada@x
        ",
    );
}

#[test]
fn nesting_of_every_shape() {
    // A cycle: everybody is in all of it.
    check(
        "
        user ada
        user bob
        group A = B ada
        group B = C
        group C = A bob
        full
        + group A
        + group B
        + group C
        + user ada@x (ada)
        + user bob@x (bob)
        + member A  ada@x
        + member B  ada@x
        + member C  ada@x
        + member A  bob@x
        + member B  bob@x
        + member C  bob@x
        C - A
        delta
        - member B  ada@x
        - member C  ada@x
        ",
    );
    // A diamond keeps its top until both arms are gone.
    check(
        "
        user ada
        group A = B C
        group B = D
        group C = D
        group D = ada
        run
        B - D
        delta
        - member B  ada@x
        C - D
        delta
        - member A  ada@x
        - member C  ada@x
        ",
    );
    // In itself, in two ways at once, and not left by leaving one of them.
    check(
        "
        user ada
        group A = A ada B
        group B = ada
        full
        + group A
        + group B
        + user ada@x (ada)
        + member A  ada@x
        + member B  ada@x
        A - ada A
        delta
        ",
    );
    // A member that nobody has seen yet counts from the moment it is seen.
    check(
        "
        group A = ada B
        full
        + group A
        user ada
        group B = bob
        user bob
        delta
        + group B
        + user ada@x (ada)
        + user bob@x (bob)
        + member A  ada@x
        + member A  bob@x
        + member B  bob@x
        ",
    );
}
