//! Users and groups that go and come back.

use super::story::{Case, play};

const CASES: &[Case] = &[
    (
        "user disabled, enabled",
        "
        group A = ada
        group Outer = A
        link App Outer
        run
        member Tool ada admin
        user ada off
        turn user.status_change
        = ada ada@x disabled
        in Outer = ada
        who App =
        who Tool =
        user ada unknown
        turn
        = ada ada@x disabled
        user ada on
        turn user.status_change
        = ada ada@x live
        who App = ada
        who Tool = ada
        ",
    ),
    (
        "user disabled, renamed and moved meanwhile, enabled",
        "
        group A = ada
        group B
        link App A
        link Other B
        run
        user ada off
        run
        user ada name=Adele mail=adele@x
        A - ada
        B + ada
        turn user.update aad_group.link aad_group.unlink
        = ada adele@x disabled name=Adele
        user ada on
        turn user.status_change
        who App =
        who Other = ada
        ",
    ),
    (
        "user soft-deleted, restored",
        "
        group A = ada
        link App A
        run
        member Tool ada member
        gone ada
        turn user.status_change
        = ada ada@x removed
        in A = ada
        who App =
        owns Tool = ada:member
        back ada
        turn user.status_change
        = ada ada@x live
        who App = ada
        who Tool = ada
        ",
    ),
    (
        "user soft-deleted and restored within one round",
        "
        group A = ada
        link App A
        run
        gone ada
        back ada
        turn
        = ada ada@x live
        who App = ada
        ",
    ),
    (
        "user disabled, soft-deleted, restored: still disabled",
        "
        group A = ada
        link App A
        run
        user ada off
        turn user.status_change
        gone ada
        turn user.status_change
        = ada ada@x removed
        back ada
        turn user.status_change
        = ada ada@x disabled
        who App =
        ",
    ),
    (
        "user hard-deleted, re-created",
        "
        group A = ada bob
        link App A
        run
        member Tool ada admin
        gone ada
        gone! ada
        turn user.status_change
        who App = bob
        owns Tool = ada:admin
        user again mail=ada@x upn=ada@x name=ada
        A + again
        turn user.update user.create aad_group.link
        = ada ada@removed.invalid removed
        = again ada@x live name=ada
        who App = again bob
        who Tool =
        owns Tool = ada:admin
        ",
    ),
    (
        "user hard-deleted, re-created within one round",
        "
        group A = ada
        link App A
        run
        gone! ada
        user again mail=ada@x upn=ada@x name=ada
        A + again
        turn user.status_change user.create aad_group.link
        = ada ada@removed.invalid removed
        = again ada@x live name=ada
        who App = again
        ",
    ),
    (
        "group soft-deleted, restored, also while linked",
        "
        group A = ada
        link App A
        run
        gone A
        turn aad_group.status_change
        = A removed
        in A = ada
        links App = A
        who App =
        back A
        turn aad_group.status_change
        = A live
        who App = ada
        ",
    ),
    (
        "group soft-deleted, restored, also while nested",
        "
        group A = ada
        group Outer = A bob
        link App Outer
        run
        gone A
        turn aad_group.status_change aad_group.unlink
        who App = bob
        in A = ada
        back A
        turn aad_group.status_change aad_group.link
        who App = ada bob
        ",
    ),
    (
        "group soft-deleted and restored within one round, while linked and nested",
        "
        group A = ada
        group Outer = A
        link App A
        link Big Outer
        run
        gone A
        back A
        turn
        who App = ada
        who Big = ada
        ",
    ),
    (
        "group linked and unlinked by people while it is soft-deleted",
        "
        group A = ada
        group B = bob
        link App A
        run
        gone A
        gone B
        turn aad_group.status_change*2
        unlink App A
        link App B
        turn
        who App =
        back A
        back B
        turn aad_group.status_change*2
        who App = bob
        ",
    ),
    (
        "group hard-deleted, re-created, also while linked",
        "
        group A = ada
        link App A
        run
        gone! A
        turn aad_group.status_change
        = A removed
        in A = ada
        who App =
        links App = A
        group Again name=A
        Again + ada
        turn aad_group.create aad_group.link
        = Again live name=A
        who App =
        links App = A
        ",
    ),
    (
        "group hard-deleted, re-created, also while nested",
        "
        group A = ada
        group Outer = A
        link App Outer
        run
        gone! A
        turn aad_group.status_change aad_group.unlink
        who App =
        group Again name=A
        Again + ada
        Outer + Again
        turn aad_group.create aad_group.link*2
        who App = ada
        ",
    ),
    (
        "a group renamed onto another's name",
        "
        group A = ada
        group B = bob
        link App A
        link Tool B
        run
        group A name=B
        turn aad_group.update
        = A live name=B
        = B live
        who App = ada
        who Tool = bob
        ",
    ),
    (
        "two groups that swap their names",
        "
        group A = ada
        group B = bob
        link App A
        run
        group A name=B
        group B name=A
        turn aad_group.update*2
        = A live name=B
        = B live name=A
        who App = ada
        ",
    ),
];

#[tokio::test]
async fn lives() {
    play(CASES).await;
}
