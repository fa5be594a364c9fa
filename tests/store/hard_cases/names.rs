//! Names that break careless code.

use super::story::{Case, play};

const CASES: &[Case] = &[
    (
        "U+0000 in a name",
        "
        group A = ada
        link App A
        run
        user ada name=nul\u{0}inside
        group A name=\u{0}
        turn user.update aad_group.update
        = ada ada@x live name=nul\u{fffd}inside
        = A live name=\u{fffd}
        user bob name=\u{0}
        turn user.create
        = bob bob@x live name=\u{fffd}
        ",
    ),
    (
        "a name of 256 characters",
        "
        group A = ada
        link App A
        run
        user ada name={256}
        group A name={256}
        turn user.update aad_group.update
        = ada ada@x live name={256}
        = A live name={256}
        ",
    ),
    (
        "an address of 256 characters",
        "
        user ada
        run
        user ada mail={256}@x
        turn user.update
        = ada {256}@x live
        ",
    ),
    (
        "a right-to-left name",
        "
        group A = ada
        link App A
        run
        user ada name=محمد_علي
        group A name=\u{202e}right_to_left\u{202c}
        turn user.update aad_group.update
        = ada ada@x live name=محمد_علي
        = A live name=\u{202e}right_to_left\u{202c}
        ",
    ),
    (
        "a name taken away is kept, and thought of as a permission lost",
        "
        user ada
        run
        user ada name=-
        turn
        ! permission_missing users
        = ada ada@x live
        ",
    ),
    (
        "names of 256 characters, right-to-left and with U+0000 in the registry",
        "
        group A name={256}
        group B name=محمد
        group C name=nul\u{0}inside
        A + ada
        B + bob
        C + cem
        user ada name={256}
        registry App groups={256},محمد owner={256}
        run
        who App = ada bob
        owns App = ada:admin
        ",
    ),
];

#[tokio::test]
async fn names() {
    play(CASES).await;
}
