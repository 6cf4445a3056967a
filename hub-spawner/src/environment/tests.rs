use secrecy::ExposeSecret;

use super::*;
use crate::HubLinks;

fn request(server: &str) -> StartRequest {
    let suffix = if server.is_empty() { String::new() } else { format!("{server}/") };
    let prefix = format!("/user/alice/{suffix}");
    StartRequest {
        key: ServerKey::new("alice".parse().unwrap(), server.parse().unwrap()),
        api_token: SecretString::from("0123"),
        kept_token: None,
        links: HubLinks {
            api_url: "http://hub:8081/hub/api".to_owned(),
            activity_url: "http://hub:8081/hub/api/users/alice/activity".to_owned(),
            base_url: "/".to_owned(),
            service_prefix: prefix.clone(),
            client_id: "jupyterhub-user-alice".to_owned(),
            oauth_callback: format!("{prefix}oauth_callback"),
            ..HubLinks::default()
        },
        access_scopes: vec![
            format!("access:servers!server=alice/{server}"),
            "access:servers!user=alice".to_owned(),
        ],
        admin_access: false,
        environment: std::collections::BTreeMap::new(),
        options: serde_json::Value::Null,
        preset: crate::Preset::default(),
        state: crate::SavedState::default(),
    }
}

fn shown(request: &StartRequest, settings: &ServerSettings) -> String {
    let variables = Environment::variables(request, settings).unwrap();
    variables.iter().map(|(name, value)| format!("{name}={}\n", value.expose_secret())).collect()
}

#[test]
fn nbi_3_a_server_is_told_all_it_needs() {
    insta::assert_snapshot!(shown(&request(""), &ServerSettings::default()), @r#"
    JPY_API_TOKEN=0123
    JUPYTERHUB_ACTIVITY_URL=http://hub:8081/hub/api/users/alice/activity
    JUPYTERHUB_API_TOKEN=0123
    JUPYTERHUB_API_URL=http://hub:8081/hub/api
    JUPYTERHUB_BASE_URL=/
    JUPYTERHUB_CLIENT_ID=jupyterhub-user-alice
    JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED=0
    JUPYTERHUB_HOST=
    JUPYTERHUB_OAUTH_ACCESS_SCOPES=["access:servers!server=alice/","access:servers!user=alice"]
    JUPYTERHUB_OAUTH_CALLBACK_URL=/user/alice/oauth_callback
    JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES=[]
    JUPYTERHUB_OAUTH_SCOPES=["access:servers!server=alice/","access:servers!user=alice"]
    JUPYTERHUB_PUBLIC_HUB_URL=
    JUPYTERHUB_PUBLIC_URL=
    JUPYTERHUB_SERVER_NAME=
    JUPYTERHUB_SERVICE_PREFIX=/user/alice/
    JUPYTERHUB_SERVICE_URL=http://0.0.0.0:8888/user/alice/
    JUPYTERHUB_USER=alice
    "#);
}

#[test]
fn nbi_3_what_is_configured_is_added() {
    let mut request = request("second");
    request.admin_access = true;
    let settings = ServerSettings {
        notebook_dir: Some("/home/{username}".to_owned()),
        default_url: Some("/lab".to_owned()),
        memory_limit: Some(536_870_912),
        cpu_limit: Some(2.0),
        cpu_guarantee: Some(0.5),
        image: Some("lab:4".to_owned()),
        debug: true,
        disable_user_config: true,
        ..ServerSettings::default()
    };
    let plain = shown(&super::tests::request("second"), &ServerSettings::default());
    let full = shown(&request, &settings);
    let added: Vec<&str> = full.lines().filter(|line| !plain.contains(line)).collect();
    assert_eq!(
        added,
        [
            "CPU_GUARANTEE=0.5",
            "CPU_LIMIT=2.0",
            "JUPYTERHUB_ADMIN_ACCESS=1",
            "JUPYTERHUB_DEBUG=1",
            "JUPYTERHUB_DEFAULT_URL=/lab",
            "JUPYTERHUB_DISABLE_USER_CONFIG=1",
            "JUPYTERHUB_ROOT_DIR=/home/alice",
            "JUPYTER_IMAGE_SPEC=lab:4",
            "MEM_LIMIT=536870912",
        ]
    );
    assert!(full.contains("JUPYTERHUB_SERVICE_URL=http://0.0.0.0:8888/user/alice/second/\n"));
}

#[test]
fn the_operators_variables_have_the_last_word() {
    let overriding = [("JUPYTERHUB_USER", "else"), ("TZ", "Europe/Rome")];
    let settings = ServerSettings {
        environment: overriding
            .map(|(name, value)| (name.to_owned(), SecretString::from(value)))
            .into(),
        ..ServerSettings::default()
    };
    let shown = shown(&request(""), &settings);
    assert!(shown.contains("JUPYTERHUB_USER=else\n") && shown.contains("TZ=Europe/Rome\n"));
}

#[test]
fn secrets_are_not_printed_with_the_request() {
    let printed = format!("{:?}", request(""));
    assert!(!printed.contains("0123"), "{printed}");
}

#[test]
fn variables_of_one_server_give_way_to_those_of_the_hub_and_the_operator() {
    let own = |pairs: &[(&str, &str)]| -> BTreeMap<String, SecretString> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
    };
    let request = StartRequest {
        environment: own(&[("GITHUB_TOKEN", "gho_x"), ("JUPYTERHUB_USER", "mal"), ("LANG", "C")]),
        ..request("")
    };
    let settings =
        ServerSettings { environment: own(&[("LANG", "de_DE")]), ..ServerSettings::default() };
    let variables = Environment::variables(&request, &settings).unwrap();
    let value = |name: &str| secrecy::ExposeSecret::expose_secret(&variables[name]);
    assert_eq!(value("GITHUB_TOKEN"), "gho_x");
    assert_ne!(value("JUPYTERHUB_USER"), "mal");
    assert_eq!(value("LANG"), "de_DE");
}
