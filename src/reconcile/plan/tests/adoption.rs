//! Rows that people made before the directory told of the person.

use super::check;

#[test]
fn one_enabled_member_account_adopts() {
    check(
        "
        local Ada@x name=A
        user ada name=Ada
        full
        ~ user Ada@x -> ada@x (A -> Ada), is adopted
        ",
    );
    check(
        "
        policy admins=A
        local ada@x
        user ada
        group A = ada
        full
        + group A
        ~ user ada@x (ada@x -> ada), is adopted, role user -> admin
        + member A  ada@x
        ",
    );
}

#[test]
fn a_guest_never_adopts() {
    check(
        "
        local ada@x
        user ada upn=ada_x#EXT#@t guest
        full
        + user ada x#EXT#@t (ada), guest, waits for ada@x
        ",
    );
    check(
        "
        local ada@x
        user ada guest
        full
        ? address_conflict ada [61646100]: its mail…
        ",
    );
    // … and does not stand in the way of one who may.
    check(
        "
        local team@x
        user ada mail=team@x guest
        user bob mail=team@x
        full
        + user ada@x (ada), guest, waits for team@x
        ~ user team@x (team@x -> bob), is adopted
        ",
    );
}

#[test]
fn a_disabled_account_waits_without_a_row() {
    check(
        "
        local ada@x
        user ada off
        user bob mail=bob@x
        full
        + user bob@x (bob)
        user ada unknown
        delta
        user ada
        delta
        ~ user ada@x (ada@x -> ada), is adopted
        ",
    );
    // Whatever the order of ids, the enabled account adopts and the other takes its UPN.
    check(
        "
        local team@x
        user ada mail=team@x off
        user bob mail=team@x
        full
        + user ada@x (ada), disabled, waits for team@x
        ~ user team@x (team@x -> bob), is adopted
        ",
    );
    check(
        "
        local team@x
        user bob mail=team@x off
        user ada mail=team@x
        full
        ~ user team@x (team@x -> ada), is adopted
        + user bob@x (bob), disabled, waits for team@x
        ",
    );
}

#[test]
fn two_accounts_adopt_nothing() {
    check(
        "
        local team@x
        user ada mail=team@x
        user bob mail=Team@x
        user carl mail=team@x upn=- off
        full
        + user ada@x (ada), waits for team@x
        + user bob@x (bob), waits for Team@x
        ? address_conflict carl [6361726c]: its mail…
        ",
    );
    // One of the two has a row already: still two accounts with that address.
    check(
        "
        user ada
        run
        local team@x
        user ada mail=team@x
        run
        user bob mail=team@x
        delta
        + user bob@x (bob), waits for team@x
        ",
    );
}

#[test]
fn two_rows_are_adopted_by_nobody() {
    check(
        "
        local ada@x
        local ADA@x
        user ada
        full
        ? adoption_waits ada [61646100]: several existing rows match…
        drop ADA@x
        full
        ~ user ada@x (ada@x -> ada), is adopted
        * adoption_waits ada@x
        ",
    );
}

#[test]
fn a_row_that_counts_waits_for_a_person() {
    for weight in ["admin", "products"] {
        check(&format!(
            "
            local ada@x {weight}
            user ada
            full
            ? adoption_waits ada [61646100]: an existing row with this address is an admin…
            = adoption by ada [61646100]
            full
            = adoption by ada [61646100]
            drop ada@x
            full
            + user ada@x (ada)
            * adoption_waits ada@x
            "
        ));
    }
    check(
        "
        local ada@x admin
        user ada
        run
        agreed full
        ~ user ada@x (ada@x -> ada), is adopted
        * adoption_waits ada@x
        full
        ",
    );
}

#[test]
fn whoever_has_a_row_is_in_scope_though_member_of_nothing() {
    check(
        "
        policy members
        local Ada@x
        user ada
        user bob
        full
        ~ user Ada@x -> ada@x (Ada@x -> ada), is adopted
        user ada off
        delta
        ! user ada@x live -> disabled
        ",
    );
    check(
        "
        policy members
        local bob@x
        user bob mail=-
        full
        ~ user bob@x (bob@x -> bob), is adopted
        ",
    );
}

#[test]
fn who_is_in_scope_for_a_row_alone_gets_that_row_or_none() {
    // Not a guest, not a disabled account, not one whose mail is another.
    check(
        "
        policy members
        local team@x
        user ada mail=team@x guest
        user bob mail=team@x off
        user carl mail=carl@y upn=team@x
        full
        ",
    );
    check(
        "
        policy members
        local team@x
        user ada mail=team@x
        user bob mail=team@x
        full
        ? adoption_waits ada [61646100]: an existing row has the address of several accounts…
        ? adoption_waits bob [626f6200]: an existing row has the address of several accounts…
        user bob
        full
        ~ user team@x (team@x -> ada), is adopted
        * adoption_waits team@x
        * adoption_waits bob [626f6200]
        ",
    );
    // A member of a group with that address has a claim of its own, and gets a row.
    check(
        "
        policy members
        local team@x
        user ada mail=team@x
        user bob mail=team@x
        group A = bob
        full
        + group A
        + user bob@x (bob), waits for team@x
        + member A  bob@x
        ? adoption_waits ada [61646100]: an existing row has the address of several accounts…
        ",
    );
}

#[test]
fn a_row_that_counts_waits_in_a_narrow_scope_too() {
    check(
        "
        policy members
        local ada@x products
        user ada
        full
        ? adoption_waits ada [61646100]: an existing row with this address is an admin…
        = adoption by ada [61646100]
        drop ada@x
        full
        * adoption_waits ada [61646100]
        ",
    );
}

#[test]
fn whoever_left_and_still_has_access_by_hand_is_told() {
    for scope in ["all", "members"] {
        for left in ["gone ada", "user ada off"] {
            check(&format!(
                "
                policy {scope} no-disabled
                local ada@x products
                user ada
                full
                ? adoption_waits ada [61646100]: an existing row with this address is an admin…
                = adoption by ada [61646100]
                {left}
                full
                ? adoption_waits ada [61646100]: the account is disabled or deleted, but…
                drop ada@x
                full
                * adoption_waits ada [61646100]
                "
            ));
        }
        // Unknown is not left, and a row without any weight gives nothing.
        check(&format!(
            "
            policy {scope}
            local ada@x
            local bob@x products
            user ada off
            user bob unknown
            full
            "
        ));
    }
}

#[test]
fn whoever_left_is_told_of_for_as_long_as_the_row_is_there() {
    // A row of its own, under its UPN, does not end the other one.
    check(
        "
        local r@x admin
        user ada mail=r@x
        user bob mail=r@x upn=p@x off
        full
        + user p@x (bob), disabled, waits for r@x
        ? adoption_waits ada [61646100]: an existing row with this address is an admin…
        ? adoption_waits p@x: the account is disabled or deleted, but…
        = adoption by ada [61646100]
        full
        = adoption by ada [61646100]
        agreed full
        ~ user r@x (r@x -> ada), is adopted
        * adoption_waits r@x
        * adoption_waits p@x
        ",
    );
    // Nor does a row under the mail, where the other has the UPN.
    check(
        "
        local m@x
        local p@x products
        user ada mail=m@x upn=p@x
        run
        user ada mail=m@x upn=p@x off
        full
        ! user m@x live -> disabled
        ? adoption_waits m@x: the account is disabled or deleted, but…
        drop p@x
        full
        * adoption_waits m@x
        ",
    );
    // Nor does having had one before.
    check(
        "
        user bob upn=p@x mail=-
        run
        local r@x products
        user bob upn=p@x mail=r@x off
        full
        ! user p@x live -> disabled, waits for r@x
        ? adoption_waits p@x: the account is disabled or deleted, but…
        drop r@x
        full
        ~ user p@x -> r@x, waits for no address
        * adoption_waits r@x
        ",
    );
}
