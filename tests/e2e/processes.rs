//! A hub that runs servers as processes: the whole way, and no Docker.

use std::{fs, path::Path, process::Command};

use hub_tests::{
    Browser, Kernel, PASSWORD, TestHub, eventually,
    hub::{program, variable},
};
use reqwest::Method;

/// The directory of the Python that has a single-user server.
fn programs() -> String {
    let python = variable("HUB_TEST_SERVICES_PYTHON").expect("cargo xtask test says which Python");
    format!("{}:/usr/bin:/bin", Path::new(&python).parent().unwrap().display())
}

async fn hub() -> TestHub {
    TestHub::builder()
        .allowed("ada")
        .config(&format!("[auth.dummy]\npassword = \"{PASSWORD}\""))
        .processes(&programs())
        .start()
        .await
}

#[tokio::test]
#[ignore = "needs jupyterhub-singleuser: cargo xtask test"]
async fn a_notebook_runs_without_docker_and_outlives_the_hub() {
    let mut hub = hub().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("import os; open('x', 'w').write('kept'); print(6 * 7)").await, "42");
    let file = hub.dir().join("servers/users/ada/x");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");

    // The hub's own secrets are not in what servers are given.
    let secrets = kernel.run("print([n for n in os.environ if 'CONFIGPROXY' in n])").await;
    assert_eq!(secrets, "[]");

    hub.kill();
    hub.launch().await;
    eventually("the server is taken up", || async {
        let (_, body) = hub.api(Method::GET, "/users/ada", None).await;
        if body["servers"][""]["ready"] == true { Ok(()) } else { Err(body) }
    })
    .await;
    let mut again = Kernel::connect(&ada, "ada", &kernel.id).await;
    assert_eq!(again.run("print(os.path.exists('x'))").await, "True");

    let (status, _) = hub.api(Method::DELETE, "/users/ada/server", None).await;
    assert!(matches!(status, 202 | 204));
    eventually("the process is gone", || async {
        let left = fs::read_dir(hub.dir().join("servers/servers")).unwrap().count();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}

#[tokio::test]
#[ignore = "needs jupyterhub-singleuser: cargo xtask test"]
async fn the_doctor_asks_for_the_program_and_not_for_docker() {
    let hub = hub().await;
    let doctor = || {
        let file = hub.dir().join("hub.toml");
        let output = Command::new(program("hub"))
            .args(["doctor", "--config"])
            .arg(&file)
            .env_clear()
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (in_order, told) = doctor();
    assert!(in_order, "{told}");
    assert!(told.contains("jupyterhub-singleuser"), "{told}");
    assert!(told.contains("spawner.kind is process, which needs no Docker"), "{told}");

    let text = fs::read_to_string(hub.dir().join("hub.toml")).unwrap();
    let text = text.replace(&programs(), "/none/such");
    fs::write(hub.dir().join("hub.toml"), text).unwrap();
    let (in_order, told) = doctor();
    assert!(!in_order && told.contains("no program jupyterhub-singleuser in /none/such"), "{told}");
}
