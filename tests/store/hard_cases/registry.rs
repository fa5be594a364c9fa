//! Names of the registry, and people who work on its products.

use super::story::{Case, play};

const CASES: &[Case] = &[
    (
        "a registry name that matches none",
        "
        group A = ada
        registry App groups=A,missing owner=nobody
        run
        who App = ada
        turn
        ! registry_group_unresolved missing
        ! registry_owner_unresolved nobody
        links App = A
        group M name=missing
        M + nobody
        turn user.create aad_group.create aad_group.link product_aad_group.link product_member.create
        links App = A M
        owns App = nobody:admin
        who App = ada nobody
        ",
    ),
    (
        "a registry name that matches two",
        "
        group A name=twin
        group B name=TWIN
        A + ada
        B + bob
        user cem name=Ada_Ré
        user dora name=ada_re
        registry App groups=twin owner=ada_re
        run
        turn
        ! registry_group_ambiguous twin
        ! registry_owner_ambiguous ada_re
        links App =
        owns App =
        group B name=other
        user dora name=dora
        turn user.update aad_group.update product_aad_group.link product_member.create
        links App = A
        owns App = cem:admin
        who App = ada cem
        ",
    ),
    (
        "a registry name whose group changes hands",
        "
        group A = ada
        group B = bob
        registry App groups=A
        run
        group A name=old
        group B name=A
        turn held aad_group.update*2
        ! registry_group_taken A
        links App = A
        who App = ada
        approve
        turn product_aad_group.link product_aad_group.unlink
        links App = B
        who App = bob
        ",
    ),
    (
        "a registry name whose group changes hands, and back",
        "
        group A = ada
        group B = bob
        registry App groups=A
        run
        group A name=old
        group B name=A
        turn held aad_group.update*2
        ! registry_group_taken A
        group B name=B
        group A name=A
        turn aad_group.update*2
        links App = A
        who App = ada
        ",
    ),
    (
        "a registry name whose group is hard-deleted and re-created",
        "
        group A = ada
        registry App groups=A
        run
        gone! A
        turn aad_group.status_change
        ! registry_group_unresolved A
        who App =
        group Again name=A
        Again + ada
        turn held aad_group.create aad_group.link
        ! registry_group_taken A
        who App =
        approve
        turn product_aad_group.link product_aad_group.unlink
        links App = Again
        who App = ada
        ",
    ),
    (
        "a registry row renamed",
        "
        group A = ada
        registry App groups=A owner=ada
        run
        unregister App
        registry Appl groups=A owner=ada
        turn product.create product_aad_group.link product_aad_group.unlink product_member.create product_member.delete
        links App =
        owns App =
        who App =
        links Appl = A
        owns Appl = ada:admin
        who Appl = ada
        ",
    ),
    (
        "a registry row renamed, with more at stake than the limit",
        "
        group A = ada
        registry App groups=A owner=ada
        run
        limit 0
        unregister App
        registry Appl groups=A owner=ada
        turn held product.create product_aad_group.link product_member.create
        who App = ada
        who Appl = ada
        approve
        turn product_aad_group.unlink product_member.delete
        who App =
        who Appl = ada
        ",
    ),
    (
        "a link made by people on a product of the registry",
        "
        group A = ada
        group B = bob
        registry App groups=A
        run
        link App B
        turn
        links App = A B
        who App = ada bob
        unregister App
        turn product_aad_group.unlink
        links App = B
        who App = bob
        ",
    ),
    (
        "a link made by people on a product of the registry, which the registry names later",
        "
        group A = ada
        group B = bob
        registry App groups=A
        run
        link App B
        registry App groups=A,B
        turn
        registry App groups=A
        turn
        links App = A B
        who App = ada bob
        ",
    ),
    (
        "a link of the registry that people take away",
        "
        group A = ada
        registry App groups=A
        run
        unlink App A
        turn product_aad_group.link
        links App = A
        who App = ada
        others 1
        ",
    ),
    (
        "a member made by people on a product of the registry, owner included",
        "
        group A = ada bob
        registry App groups=A owner=ada
        run
        member App bob admin
        turn
        owns App = ada:admin bob:admin
        unregister App
        turn product_aad_group.unlink product_member.delete
        owns App = bob:admin
        who App = bob
        ",
    ),
];

#[tokio::test]
async fn registry() {
    play(CASES).await;
}
