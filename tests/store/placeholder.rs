//! Whoever gives an address up finds a free one, whatever people and the directory say.

use nexus_dirsync::directory::Mode;

use crate::prelude::*;

/// Makes the placeholder of ada somebody else's.
type Occupation = fn(&World, &str);

const OCCUPATIONS: &[(&str, Occupation)] = &[
    ("a mail in the directory", |world, placeholder| {
        let mail = Some(placeholder.to_owned());
        world.edit(|tenant| tenant.update_user(id("eve"), |user| user.mail = mail));
    }),
    ("a row of people", |world, placeholder| {
        world.sql(&format!(
            "INSERT INTO users (email, name, role) VALUES ('{placeholder}', 'Old', 'user')"
        ));
    }),
    ("people's word about another's row", |world, placeholder| {
        world.sql(&format!("UPDATE users SET email = '{placeholder}' WHERE name = 'eve'"));
    }),
];

#[tokio::test]
async fn an_heir_gets_the_address_whoever_sits_on_the_placeholder() {
    for (on, (what, occupy)) in
        BOTH.into_iter().flat_map(|on| OCCUPATIONS.iter().map(move |o| (on, o)))
    {
        for mode in [Delta, Full] {
            let at = format!("{on:?}, {mode:?}, {what}");
            let world = World::new(on, company(&[("readers", &["ada", "eve"])])).await;
            world.run(Full).await;
            for domain in ["removed", "moving"] {
                occupy(&world, &format!("{}@{domain}.invalid", id("ada")));
            }
            inherit(&world, mode).await;
            assert!(world.user("heir").contains(&address("ada")), "{at}: {:?}", world.users());
            world.run(Full).await;
            world.assert_rests().await;
            let audit = world.store.read(|tx| tx.verify_audit()).await.unwrap();
            assert_eq!(audit.divergences, [], "{at}");
        }
    }
}

/// Somebody comes who has the address of somebody who goes.
async fn inherit(world: &World, mode: Mode) {
    world.edit(|tenant| {
        tenant.soft_delete_user(id("ada"));
        let mut heir = person("heir");
        heir.mail = Some(address("ada"));
        tenant.create_user(heir);
    });
    world.run(mode).await;
}
