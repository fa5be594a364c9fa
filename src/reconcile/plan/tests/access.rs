//! The products that a membership change gives or takes: pairs, not paths.

use super::check;

#[test]
fn moving_within_a_product_gains_and_loses_nothing() {
    check(
        "
        user ada
        group A = ada
        group B =
        run
        link p A
        link p B
        link q B
        A - ada
        B + ada
        delta
        - member A  ada@x
        + member B  ada@x  gains q
        B - ada
        delta
        - member B  ada@x  loses p, q
        ",
    );
}

#[test]
fn a_membership_of_one_s_own_is_a_path_too() {
    check(
        "
        user ada
        group A =
        run
        link p A
        member p ada
        A + ada
        delta
        + member A  ada@x
        A - ada
        delta
        - member A  ada@x
        ",
    );
    // The owner's membership, made in the same run, keeps the product.
    check(
        "
        user ada name=Ada
        group A = ada
        run
        link p A
        registry p owner=ada
        A - ada
        delta
        - member A  ada@x
        + owner p  ada@x
        @ owner \"ada\" is ada@x
        ",
    );
}

#[test]
fn who_or_what_is_not_live_gives_and_loses_nothing() {
    // A removed group gave nothing any more.
    check(
        "
        user ada
        group A = ada
        group B = A
        run
        link p A
        link q B
        gone A
        delta
        ! group A live -> removed
        - member B  ada@x  loses q
        A - ada
        delta
        - member A  ada@x
        ",
    );
    // A disabled person has nothing to gain, and nothing left to lose.
    check(
        "
        user ada off
        group A = ada
        group B =
        run
        link p A
        link q B
        B + ada
        A - ada
        delta
        - member A  ada@x
        + member B  ada@x
        user ada
        B - ada
        A + ada
        delta
        ! user ada@x disabled -> live
        + member A  ada@x  gains p
        - member B  ada@x
        user ada off
        A - ada
        delta
        ! user ada@x live -> disabled
        - member A  ada@x  loses p
        ",
    );
}

#[test]
fn a_new_link_counts_for_who_joins_with_it() {
    check(
        "
        user ada
        user bob
        group A = ada
        run
        registry p groups=A
        A + bob
        full
        + member A  bob@x  gains p
        + product p
        + link p  A
        @ group \"a\" is 41000000
        ",
    );
}

/// What is refused is still a difference, and is met again until nobody refuses it.
#[test]
fn gifts_that_are_refused_are_met_again() {
    check(
        "
        user ada
        user bob
        group A = ada
        group Kid = bob
        policy gifts
        run
        link p A
        A + Kid
        refused delta
        = joining A  bob@x
        refused full
        = joining A  bob@x
        delta
        + member A  bob@x  gains p
        ",
    );
    // A link of the registry likewise; the group's people are its members all the same.
    check(
        "
        user ada
        group A = ada
        policy gifts
        run
        registry p groups=A
        refused full
        + product p
        @ group \"a\" is 41000000
        = linking p  A
        full
        + link p  A
        ",
    );
}
