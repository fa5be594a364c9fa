//! What a purge takes along and what it leaves, and the memberships that people gave.

use super::story::{Case, play};

const CASES: &[Case] = &[
    (
        "purge of a user who deployed",
        "
        group A = ada bob
        link App A
        run
        deployed ada
        gone ada
        gone! ada
        turn user.status_change
        retention 0
        full
        ! tombstone_kept ada
        = ada ada@x removed
        who App = bob
        ",
    ),
    (
        "purge of a user who is a product admin",
        "
        group A = ada bob
        link App A
        run
        member Tool ada admin
        member Tool bob member
        gone ada
        gone! ada
        run
        owns Tool = ada:admin bob:member
        retention 0
        full aad_group.unlink product_member.delete user.delete
        = ada none
        owns Tool = bob:member
        who Tool = bob
        ",
    ),
    (
        "purge of a user who is a product admin by the registry",
        "
        group A = ada bob
        registry App groups=A owner=ada
        run
        owns App = ada:admin
        gone ada
        gone! ada
        run
        retention 0
        full aad_group.unlink product_member.delete user.delete
        ! registry_owner_unresolved ada
        = ada none
        owns App =
        registry App groups=A
        turn
        user again name=ada mail=ada@x upn=ada@x
        registry App groups=A owner=ada
        turn user.create product_member.create
        owns App = again:admin
        who App = again bob
        ",
    ),
    (
        "purge of a user who is an audit actor",
        "
        group A = ada
        link App A
        run
        acted ada
        gone ada
        gone! ada
        run
        retention 0
        full
        ! tombstone_kept ada
        = ada ada@x removed
        ",
    ),
    (
        "purge of a user who deployed, whose address somebody else needs",
        "
        user ada
        run
        deployed ada
        gone! ada
        run
        retention 0
        run
        user heir mail=ada@x upn=ada@x
        turn user.update user.create
        ! tombstone_kept ada
        = ada ada@removed.invalid removed
        = heir ada@x live
        ",
    ),
    (
        "purge of a group, while linked and nested",
        "
        group A = ada
        group Outer = A bob
        link App A
        link App Outer
        run
        gone! A
        run
        retention 0
        full aad_group.delete aad_group.unlink product_aad_group.unlink
        = A none
        links App = Outer
        who App = bob
        ",
    ),
    (
        "purge of a group that the registry names",
        "
        group A = ada
        registry App groups=A
        run
        gone! A
        run
        retention 0
        full aad_group.delete aad_group.unlink product_aad_group.unlink
        ! registry_group_unresolved A
        links App =
        who App =
        ",
    ),
    (
        "people's rows in product_members when their user is removed and restored",
        "
        user ada
        user bob
        run
        member Tool ada admin
        member Tool bob member
        member App ada member
        gone ada
        turn user.status_change
        owns Tool = ada:admin bob:member
        owns App = ada:member
        who Tool = bob
        who App =
        back ada
        turn user.status_change
        owns Tool = ada:admin bob:member
        who Tool = ada bob
        who App = ada
        ",
    ),
    (
        "people's rows in product_members made and changed while their user is removed",
        "
        user ada
        run
        gone ada
        run
        member Tool ada member
        turn
        who Tool =
        back ada
        turn user.status_change
        owns Tool = ada:member
        who Tool = ada
        ",
    ),
    (
        "people's rows in product_members when their user loses its address and comes back",
        "
        user ada
        run
        member Tool ada admin
        gone ada
        user heir mail=ada@x upn=ada@x
        turn user.status_change user.create
        owns Tool = ada:admin
        who Tool =
        gone heir
        back ada
        turn user.status_change*2
        = ada ada@x live
        = heir heir@removed.invalid removed
        who Tool = ada
        ",
    ),
];

#[tokio::test]
async fn purges() {
    play(CASES).await;
}
