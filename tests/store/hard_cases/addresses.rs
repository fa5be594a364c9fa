//! Who gets which address, and whose row.

use super::story::{Case, play};

const CASES: &[Case] = &[
    (
        "duplicate mail among users, from the first run on",
        "
        group A = ada bob
        user ada mail=team@x
        user bob mail=team@x
        link App A
        run
        = ada team@x live
        = bob bob@x live
        who App = ada bob
        gone ada
        turn user.status_change user.update
        = ada ada@removed.invalid removed
        = bob team@x live
        ",
    ),
    (
        "duplicate mail among users, taken by a third",
        "
        user ada mail=team@x
        run
        user bob mail=team@x
        user cem mail=TEAM@x
        turn user.create*2
        = ada team@x live
        = bob bob@x live
        = cem cem@x live
        user ada mail=ada@x
        turn user.update*2
        = ada ada@x live
        = bob team@x live
        = cem cem@x live
        ",
    ),
    (
        "duplicate mail among users, and the UPN taken as well",
        "
        group A = ada bob
        link App A
        run
        user twin mail=ada@x upn=bob@x
        A + twin
        turn
        ! address_conflict twin
        = twin none
        who App = ada bob
        gone bob
        turn user.status_change user.create aad_group.link
        = bob bob@removed.invalid removed
        = twin bob@x live
        who App = ada twin
        ",
    ),
    (
        "mail swapped between two users, in one round",
        "
        group A = ada bob
        link App A
        run
        user ada mail=bob@x
        user bob mail=ada@x
        turn user.update*2
        = ada bob@x live
        = bob ada@x live
        who App = ada bob
        ",
    ),
    (
        "mail swapped between two users, across two pages",
        "
        pages 1
        user ada
        user bob
        run
        user ada mail=bob@x
        user bob mail=ada@x
        turn user.update*2
        = ada bob@x live
        = bob ada@x live
        ",
    ),
    (
        "mail swapped between two users, in two rounds",
        "
        user ada
        user bob
        run
        user ada mail=bob@x
        turn user.update
        = ada ada@x live
        = bob bob@x live
        user bob mail=ada@x
        turn user.update*2
        = ada bob@x live
        = bob ada@x live
        ",
    ),
    (
        "a chain of swaps, closed to a ring",
        "
        pages 1
        user ada
        user bob
        user cem
        run
        user ada mail=bob@x
        user bob mail=cem@x
        user cem mail=ada@x
        turn user.update*3
        = ada bob@x live
        = bob cem@x live
        = cem ada@x live
        ",
    ),
    (
        "a chain of swaps, open, with a newcomer at its end",
        "
        user ada
        user bob
        user cem
        run
        user ada mail=new@x
        user bob mail=ada@x
        user cem mail=bob@x
        user dora mail=cem@x upn=d@x
        turn user.create user.update*3
        = ada new@x live
        = bob ada@x live
        = cem bob@x live
        = dora cem@x live
        ",
    ),
    (
        "UPN reused after deletion",
        "
        group A = ada
        link App A
        run
        member Tool ada admin
        gone ada
        turn user.status_change
        user heir mail=ada@x upn=ada@x name=ada
        turn user.update user.create
        = ada ada@removed.invalid removed
        = heir ada@x live name=ada
        who App =
        who Tool =
        ",
    ),
    (
        "UPN reused after deletion, in the same round, and the first one restored",
        "
        group A = ada
        link App A
        run
        gone ada
        user heir mail=ada@x upn=ada@x name=ada
        turn user.status_change user.create
        = ada ada@removed.invalid removed
        = heir ada@x live name=ada
        who App =
        user ada mail=ada.old@x upn=ada.old@x
        back ada
        turn user.status_change
        = ada ada.old@x live
        = heir ada@x live name=ada
        who App = ada
        ",
    ),
    (
        "mail differing only by case, of one user",
        "
        user ada
        run
        user ada mail=ADA@x
        turn user.update
        = ada ADA@x live
        ",
    ),
    (
        "mail differing only by case, of two users",
        "
        user ada mail=Émile@x
        user bob
        run
        user bob mail=éMILE@x
        turn user.update
        = ada Émile@x live
        = bob bob@x live
        ",
    ),
    (
        "mail differing only by case, of a row made by people",
        "
        run
        local ÉMILE@x
        user émile
        turn user.update
        = émile émile@x live
        ",
    ),
    (
        "mail null, then given",
        "
        user ada mail=- upn=a.1@x
        run
        = ada a.1@x live
        user ada mail=ada@x
        turn user.update
        = ada ada@x live
        user ada mail=-
        turn user.update
        = ada a.1@x live
        ",
    ),
    (
        "mail null, then given, and it is the address of a row made by people",
        "
        user ada mail=- upn=a.1@x
        run
        local ada@x
        member Tool ada@x member
        user ada mail=ada@x
        turn user.update
        = ada a.1@x live
        = ada@x ada@x by_hand
        who Tool = ada@x
        ",
    ),
    (
        "a user adopted by e-mail whose mail then changes",
        "
        run
        local ada@x
        user ada
        turn user.update
        = ada ada@x live
        member Tool ada admin
        user ada mail=ada.new@x
        turn user.update
        = ada ada.new@x live
        who Tool = ada
        user other mail=ada@x
        turn user.create
        = other ada@x live
        = ada ada.new@x live
        ",
    ),
    (
        "a user adopted by e-mail with a membership, after somebody agrees, whose mail then changes",
        "
        run
        local ada@x
        member Tool ada@x admin
        user ada
        turn held
        ! adoption_waits ada
        = ada none
        who Tool = ada@x
        approve
        turn user.update
        = ada ada@x live
        user ada mail=ada.new@x
        turn user.update
        = ada ada.new@x live
        who Tool = ada
        ",
    ),
    (
        "two local users that match one directory user, by mail and by UPN",
        "
        run
        local ada@x
        local a.1@x
        user ada upn=a.1@x
        turn user.update
        = ada ada@x live
        = a.1@x a.1@x by_hand
        ",
    ),
    (
        "two local users that match one directory user, by letter case",
        "
        run
        local ada@x
        local ADA@x
        group A = ada
        link App A
        turn aad_group.update
        ! adoption_waits ada
        = ada none
        = ada@x ada@x by_hand
        = ADA@x ADA@x by_hand
        who App =
        drop ADA@x
        turn user.update aad_group.link
        = ada ada@x live
        who App = ada
        ",
    ),
    (
        "mail differing only by case from a row that people make later",
        "
        user ada
        run
        local ADA@x
        user ada name=Ada
        turn user.update
        ! address_conflict ada
        = ada ada@x live name=Ada
        = ADA@x ADA@x by_hand
        drop ADA@x
        full
        = ada ada@x live name=Ada
        ",
    ),
];

#[tokio::test]
async fn addresses() {
    play(CASES).await;
}
