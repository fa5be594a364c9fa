//! Groups in groups, and members before their users.

use super::story::{Case, play};

const CASES: &[Case] = &[
    (
        "nested cycle of three",
        "
        group A = ada
        group B = bob
        group C = cem
        link App A
        run
        A + B
        B + C
        C + A
        turn aad_group.link*6
        who App = ada bob cem
        in C = ada bob cem
        C - cem
        turn aad_group.unlink*3
        who App = ada bob
        B - C
        turn aad_group.unlink
        in B = bob
        in C = ada bob
        who App = ada bob
        ",
    ),
    (
        "nested cycle of three, cut where it closes",
        "
        group A = ada
        group B = A bob
        group C = B cem
        A + C
        link App A
        run
        who App = ada bob cem
        A - C
        turn aad_group.unlink*3
        who App = ada
        in B = ada bob
        in C = ada bob cem
        ",
    ),
    (
        "diamond nesting losing one arm",
        "
        group Low = ada bob
        group Left = Low
        group Right = Low
        group Top = Left Right
        link App Top
        link Side Left
        run
        Left - Low
        turn aad_group.unlink*2
        who App = ada bob
        who Side =
        Right - Low
        turn aad_group.unlink*4
        who App =
        ",
    ),
    (
        "diamond nesting losing one arm, which is deleted",
        "
        group Low = ada
        group Left = Low
        group Right = Low
        group Top = Left Right
        link App Top
        run
        gone Left
        turn aad_group.status_change
        who App = ada
        gone Right
        turn aad_group.status_change aad_group.unlink
        who App =
        back Left
        turn aad_group.status_change aad_group.link
        who App = ada
        ",
    ),
    (
        "a group that is its own member",
        "
        group A = ada
        link App A
        run
        A + A
        turn
        who App = ada
        A + bob
        turn user.create aad_group.link
        who App = ada bob
        A - A
        turn
        who App = ada bob
        gone A
        turn aad_group.status_change
        who App =
        back A
        turn aad_group.status_change
        who App = ada bob
        ",
    ),
    (
        "a member seen before its user",
        "
        group A = ada
        link App A
        run
        late bob
        user bob
        A + bob
        delta
        = bob none
        who App = ada
        user bob name=Robert
        delta user.create aad_group.link
        who App = ada bob
        ",
    ),
    (
        "a member seen before its user, which is asked for by id",
        "
        group A = ada
        link App A
        run
        late
        user bob
        A + bob
        delta user.create aad_group.link
        who App = ada bob
        ",
    ),
    (
        "a member seen before its user, which a full run brings",
        "
        group A = ada
        group Outer = A
        link App Outer
        run
        late bob
        user bob
        A + bob
        delta
        who App = ada
        full user.create aad_group.link*2
        who App = ada bob
        ",
    ),
    (
        "a member seen before its user, on the pages of one round",
        "
        pages 1
        group A = ada
        link App A
        run
        group B = bob cem
        A + B
        turn user.create*2 aad_group.create aad_group.link*4
        who App = ada bob cem
        ",
    ),
];

#[tokio::test]
async fn memberships() {
    play(CASES).await;
}
