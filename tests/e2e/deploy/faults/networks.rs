//! A network's name that two networks have (XT-7).

use hub_tests::{Deployment, docker};
use serde_json::json;

/// Makes a network whether or not there is one of that name; its id. `None` if
/// the engine keeps names unique, as those since 25 do.
async fn another(name: &str) -> Option<String> {
    let wanted = json!({ "Name": name, "CheckDuplicate": false });
    match docker::post("/networks/create", &wanted).await {
        (201, made) => Some(made["Id"].as_str().unwrap().to_owned()),
        (status, said) => {
            assert_eq!(status, 409, "{said}");
            None
        }
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_7_a_name_that_two_networks_have_is_told_and_the_same_command_goes_on() {
    let deployment = Deployment::prepare();
    let name = docker::network(&deployment.name);
    let first = another(&name).await.expect("nobody has the name");
    let Some(second) = another(&name).await else { return };

    for command in [&[][..], &["network"], &["upgrade"]] {
        let said = deployment.fail(command).await;
        for part in [&name, &first, &second] {
            assert!(said.contains(part.as_str()), "{part} in {said}");
        }
        assert!(said.contains("remove all but one of them by id"), "{said}");
    }
    let engine = docker::engine().await;
    assert_eq!(docker::containers(&deployment.name).await, [], "nothing was begun");
    assert_eq!(engine.networks(&name).await.unwrap().len(), 2, "nor was one chosen");

    engine.remove_network(&second).await.unwrap();
    deployment.run(&[]).await;
    assert_eq!(engine.network(&name).await.unwrap().unwrap().id, first);
    let status = deployment.status().await;
    assert_eq!(status["hub"]["state"], "running", "{status:#}");
}
