//! Files that hub or proxy refuse while they run.

use std::fs;

use hub_tests::Deployment;

use super::{container_id, files::files};

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn cfg_1_a_reload_that_the_hub_refuses_changes_nothing_and_fails() {
    let mut deployment = Deployment::prepare();
    let callback =
        |path: &str| format!("callback_url = \"{}{path}hub/oauth_callback\"\n", deployment.url);
    let (old, moved) = (
        format!("[auth.github]\n{}", callback("/")),
        format!("[http]\nbase_url = \"/x/\"\n[auth.github]\n{}", callback("/x/")),
    );
    let config = deployment.dir().join("hub.toml");
    fs::write(&config, &old).unwrap();
    deployment.set("OAUTH_CALLBACK_URL", "");
    deployment.run(&[]).await;
    let (hub, before) = (container_id(&deployment.name).await, files(&deployment).await);

    // In order for a hub that starts; the one that runs keeps its base URL, and
    // what its container was made with goes with that.
    fs::write(&config, &moved).unwrap();
    fs::write(deployment.dir().join("userlist"), "grace admin\nada\nbob\n").unwrap();
    for _ in 0..2 {
        let refused = deployment.fail(&["reload"]).await;
        for part in ["hub_api.url", "refused the new files", "nothing was changed", "upgrade"] {
            assert!(refused.contains(part), "{part:?} in {refused}");
        }
        assert_eq!(files(&deployment).await, before);
    }

    fs::write(&config, &old).unwrap();
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("config/userlist") && !told.contains("hub.toml brought"), "{told}");
    assert_eq!(container_id(&deployment.name).await, hub);
}
