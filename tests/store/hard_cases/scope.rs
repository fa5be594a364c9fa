//! Users and groups that leave the scope and come back.

use super::story::{Case, play};

const CASES: &[Case] = &[
    (
        "a user out of scope by filter and back: guests",
        "
        group A = ada bob
        link App A
        run
        policy no-guests
        user ada guest
        turn user.update
        = ada ada@x live
        who App = ada bob
        user gus guest
        A + gus
        turn
        = gus none
        who App = ada bob
        user ada member
        turn user.update
        who App = ada bob
        policy guests
        turn user.create aad_group.link
        who App = ada bob gus
        ",
    ),
    (
        "a user out of scope by filter and back: disabled accounts",
        "
        group A = ada bob
        link App A
        run
        policy no-disabled
        user ada off
        user dan off
        A + dan
        turn user.status_change
        = ada ada@x disabled
        = dan none
        who App = bob
        user ada on
        user dan on
        turn user.create user.status_change aad_group.link
        who App = ada bob dan
        ",
    ),
    (
        "a user out of scope by filter and back: the scope of users",
        "
        group A = ada
        group B = bob
        user cem
        link App A
        run
        policy linked
        turn
        = bob bob@x live
        = cem cem@x live
        who App = ada
        user cem off
        turn user.status_change
        = cem cem@x disabled
        policy everything
        turn
        who App = ada
        = cem cem@x disabled
        ",
    ),
    (
        "a user out of scope and back by its last group",
        "
        group A = ada bob
        group B = cem
        policy linked
        link App A
        run
        = cem none
        A - ada
        turn aad_group.unlink
        = ada ada@x live
        who App = bob
        A + ada
        turn aad_group.link
        who App = ada bob
        ",
    ),
    (
        "a group out of scope and back by its link",
        "
        group A = ada
        group B = bob
        policy linked
        link App A
        link Tool B
        run
        unlink Tool B
        turn
        = B live
        who Tool =
        B + cem
        turn user.create aad_group.link
        link Tool B
        turn
        who Tool = bob cem
        ",
    ),
];

#[tokio::test]
async fn scope() {
    play(CASES).await;
}
