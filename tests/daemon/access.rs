//! `access`: who has access, and why.

use graph_simulator::{NewGroup, NewUser, Tenant};
use rustix::process::Signal;
use uuid::Uuid;

use crate::stage::Stage;
use crate::support::world::BOTH;

fn person(tenant: &mut Tenant, name: &str) -> Uuid {
    let mail = format!("{}@contoso.example", name.to_lowercase());
    tenant.create_user(NewUser {
        display_name: name.to_owned(),
        user_principal_name: mail.clone(),
        mail: Some(mail),
        account_enabled: Some(true),
        user_type: Some("Member".to_owned()),
        id: None,
    })
}

fn group(tenant: &mut Tenant, name: &str, members: &[Uuid]) -> Uuid {
    let group =
        tenant.create_group(NewGroup { display_name: name.to_owned(), ..NewGroup::default() });
    for member in members {
        assert!(tenant.add_member(group, *member));
    }
    group
}

const REGISTRY: &str = r#"
    [[product]]
    name = "shop"
    description = "The shop"
    environment = "production"
    groups = ["Outer"]
    owner = "Olga"
"#;

#[tokio::test]
async fn a_nested_path_is_explained_step_by_step() {
    for on in BOTH {
        let mut tenant = Tenant::new();
        let [ada, bob, _olga] = ["Ada", "Bob", "Olga"].map(|name| person(&mut tenant, name));
        let inner = group(&mut tenant, "Inner", &[ada]);
        let middle = group(&mut tenant, "Middle", &[inner]);
        group(&mut tenant, "Outer", &[middle, bob]);
        let stage = Stage::new(on, tenant).await;
        stage.write_registry(REGISTRY);
        let daemon = stage.start().await;
        daemon.first_run().await;

        let who = stage.ask(&["access", "who", "shop"]).await;
        assert!(who.contains("3 people on 3 paths"), "{who}");
        let path = stage.ask(&["access", "explain", "ADA@contoso.example", "shop"]).await;
        let expected =
            "Ada (ada@contoso.example) -> Inner -> Middle -> Outer -> shop with role member\n";
        assert_eq!(path, expected, "{on:?}");
        stage.world.simulator.edit(|tenant| tenant.rename_group(inner, "In\u{1b}[2Kner"));
        daemon.turn(Signal::USR1).await;
        let path = stage.ask(&["access", "explain", "ada@contoso.example", "shop"]).await;
        assert!(path.contains("-> In\\u{1b}[2Kner -> Middle"), "{on:?}: {path:?}");
        let owner = stage.ask(&["access", "explain", "olga@contoso.example", "shop"]).await;
        assert_eq!(
            owner,
            "Olga (olga@contoso.example) -> product member with role admin -> shop\n"
        );

        stage.world.simulator.edit(|tenant| {
            tenant.update_user(bob, |user| user.account_enabled = Some(false));
            assert!(tenant.remove_member(middle, inner));
        });
        daemon.turn(Signal::USR1).await;
        for gone in ["ada@contoso.example", "bob@contoso.example", "nobody@contoso.example"] {
            let told = stage.ask(&["access", "explain", gone, "shop"]).await;
            assert_eq!(told, format!("{gone} has no access to shop\n"));
        }
        let told = stage.tell(&["access", "who", "shoop"]).await;
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.err.contains("there is no product \"shoop\""), "{told:?}");
        let told = stage.tell(&["access", "explain", "ada@contoso.example", "shoop"]).await;
        assert_eq!(told.code, 1, "a misspelt product is no answer: {told:?}");
        daemon.stop().await;
    }
}
