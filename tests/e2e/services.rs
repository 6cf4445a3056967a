//! Services as they are written for JupyterHub: run by the hub, and by others.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use hub_tests::{
    ADMIN_TOKEN, Browser, TestHub, eventually,
    hub::{free_port, variable},
};
use reqwest::Method;
use serde_json::{Value, json};

const CULLER: &str = "culler-service-token-of-the-tests";

/// The Python that has the packages of the services.
fn python() -> String {
    variable("HUB_TEST_SERVICES_PYTHON").expect("cargo xtask test says which Python")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services").join(name)
}

/// A hub that runs the program `script` as the service `name`, which ada may use.
pub(super) async fn hub_with(name: &str, script_name: &str, more: &str) -> TestHub {
    let toml = format!(
        "[[services]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{}\"\ncommand = [{:?}, {:?}]\n{more}\n\
         [[roles]]\nname = \"visitors\"\nscopes = [\"access:services!service={name}\"]\nusers = [\"ada\"]\n\
         [[roles]]\nname = \"watchers\"\nscopes = [\"list:services\", \"read:services\"]\nservices = [\"admin\"]\n",
        free_port(),
        python(),
        script(script_name),
    );
    let hub = TestHub::builder().password("ada").password("bob").config(&toml).start().await;
    let address = format!("{}/services/{name}/", hub.url);
    eventually("the service answers", || async {
        let answer = hub.client().get(&address).send().await.unwrap();
        if answer.status() == 302 { Ok(()) } else { Err(answer.status()) }
    })
    .await;
    hub
}

async fn service(hub: &TestHub, name: &str) -> Value {
    hub.api(Method::GET, &format!("/services/{name}"), None).await.1
}

/// Signs in to the service by way of the hub and says yes there.
async fn visit(hub: &TestHub, name: &str) -> Value {
    let mut ada = Browser::new(hub);
    ada.sign_in("ada").await;
    let path = format!("/services/{name}/");
    let home = ada.get("/hub/home").await;
    assert!(home.text.replace("&#x2f;", "/").contains(&format!("href=\"{path}\"")), "{home:?}");
    let question = ada.get(&path).await;
    assert_eq!(question.status, 200, "{question:?}");
    assert!(question.text.contains(&format!("JupyterHub service {name}")), "{question:?}");
    let form = [("_xsrf", question.field("_xsrf")), ("scopes", question.field("scopes"))];
    let here = format!("{}?{}", question.url.path(), question.url.query().unwrap());
    let answer = ada.submit(&here, &form).await;
    assert_eq!((answer.status, answer.url.path()), (200, path.as_str()), "{answer:?}");
    // Nobody is asked twice.
    let again = ada.get(&path).await;
    assert_eq!(again.json()["name"], "ada");
    answer.json()
}

async fn is_closed_to_bob(hub: &TestHub, name: &str) {
    let mut bob = Browser::new(hub);
    bob.sign_in("bob").await;
    let refused = bob.get(&format!("/services/{name}/")).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.text.contains("You do not have permission to access"), "{refused:?}");
}

#[tokio::test]
#[ignore = "needs Docker and Python packages"]
async fn a_tornado_service_knows_its_visitor() {
    let mut hub = hub_with("whoami", "tornado_whoami.py", "").await;
    let told = visit(&hub, "whoami").await;
    let scopes = told["scopes"].to_string();
    assert!(scopes.contains("access:services!service=whoami"), "{scopes}");
    is_closed_to_bob(&hub, "whoami").await;

    // What it writes is in the hub's log, and when it ends it is started again.
    assert!(hub.log().contains("listening for whoami"), "{}", hub.log());
    let first = service(&hub, "whoami").await["pid"].as_u64().unwrap();
    assert!(Command::new("kill").arg(first.to_string()).status().unwrap().success());
    let second = eventually("the service is started again", || async {
        match service(&hub, "whoami").await["pid"].as_u64().unwrap() {
            pid if pid != 0 && pid != first => Ok(pid),
            pid => Err(pid),
        }
    })
    .await;

    // The program ends with the hub.
    assert!(hub.terminate().success());
    assert!(!Path::new(&format!("/proc/{second}")).exists());
}

#[tokio::test]
#[ignore = "needs Docker and Python packages"]
async fn a_service_without_jupyterhubs_classes_knows_its_visitor() {
    let hub = hub_with("fast", "fastapi_whoami.py", "").await;
    let told = visit(&hub, "fast").await;
    assert_eq!(told["name"], "ada");
    is_closed_to_bob(&hub, "fast").await;
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
#[ignore = "needs Docker and Python packages"]
async fn the_idle_culler_stops_servers_that_nobody_uses() {
    let toml = format!(
        "[[services]]\nname = \"culler\"\napi_token = \"{CULLER}\"\n\
         [[roles]]\nname = \"culler\"\nservices = [\"culler\"]\n\
         scopes = [\"list:users\", \"read:users:activity\", \"read:servers\", \"delete:servers\"]\n"
    );
    let hub = TestHub::builder().password("ada").config(&toml).start().await;
    hub.start_server("ada").await;
    let culler = Command::new(python())
        .args(["-m", "jupyterhub_idle_culler", "--timeout=1", "--cull-every=1"])
        .arg(format!("--url={}/hub/api", hub.url))
        .env("JUPYTERHUB_API_TOKEN", CULLER)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _culler = Running(culler);
    eventually("the server is stopped", || async {
        let (_, ada) = hub.api(Method::GET, "/users/ada", None).await;
        if ada["servers"] == json!({}) { Ok(()) } else { Err(ada) }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and Python packages"]
async fn jhub_client_runs_code_with_a_token() {
    let hub = TestHub::builder().password("ada").start().await;
    let output = tokio::task::spawn_blocking({
        let (url, script) = (hub.url.clone(), script("jhub_client_run.py"));
        move || {
            Command::new(python())
                .arg(script)
                .args([url.as_str(), "ada"])
                .env("JUPYTERHUB_API_TOKEN", ADMIN_TOKEN)
                .output()
                .unwrap()
        }
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("42\n"), "{said}");
}
