use super::{Finding, Imported, Outcome, import};

fn imported(script: &str) -> Imported {
    import(script).unwrap()
}

/// The text of the file, without its head.
fn document(script: &str) -> String {
    let document = imported(script).document;
    let lines = document.lines().skip_while(|line| line.starts_with('#'));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What became of each setting, one a line.
fn told(script: &str) -> String {
    let line = |one: &Finding| {
        let outcome = match &one.outcome {
            Outcome::Taken(key) => format!("= {key}"),
            Outcome::Needless(why) => format!("({why})"),
            Outcome::Left(why) => format!("? {why}"),
        };
        format!("{} {} {outcome}", one.line, one.setting)
    };
    imported(script).findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn spn_1_literals_of_all_kinds_become_keys() {
    insta::assert_snapshot!(document(
        r#"
c = get_config()  # noqa
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = "quay.io/jupyter/base-notebook" ":2024"
c.DockerSpawner.allowed_images = {"lab": "lab:1", 'R': """r:2"""}
c.DockerSpawner.volumes = {
    "jupyterhub-user-{username}": "/home/jovyan/work",  # files
    r"/data": {"bind": "/data", "mode": "ro"},
}
c.DockerSpawner.remove = True
c.DockerSpawner.cpu_limit = 2
c.Spawner.mem_limit = "1.5G"
c.Spawner.start_timeout = 5 * 60
c.Spawner.http_timeout = 30.0
c.Spawner.args = ["--debug", '--x=\x41']
c.Spawner.environment = {"A": "b", "N": 3, "T": True}
c.DockerSpawner.extra_host_config = {"shm_size": 2**30}
c.JupyterHub.allow_named_servers = not_known or True
c.Authenticator.allowed_users = {"ada", "grace"}
c.Authenticator.username_map = dict()
"#
    ), @r#"
    [auth]
    allowed_users = ["ada", "grace"]  # 19
    username_map = {}  # 20
    [servers]
    start_timeout_seconds = 300  # 13
    http_timeout_seconds = 30  # 14
    [spawner]
    kind = "docker"  # 3
    [spawner.docker]
    image = "quay.io/jupyter/base-notebook:2024"  # 4
    allowed_images = { R = "r:2", lab = "lab:1" }  # 5
    args = ["--debug", "--x=A"]  # 15
    mem_limit = "1.5G"  # 12
    cpu_limit = 2.0  # 11
    volumes = { "/data" = { bind = "/data", mode = "ro" }, "jupyterhub-user-{username}" = "/home/jovyan/work" }  # 6
    environment = { A = "b", N = "3", T = "True" }  # 16
    remove = true  # 10
    extra_host_config = { shm_size = 1073741824 }  # 17
    "#);
}

#[test]
fn spn_1_names_and_changes_at_the_top_level_are_followed() {
    insta::assert_snapshot!(document(
        r#"
network_name = "net"
c.DockerSpawner.network_name = network_name
network_name = "another"
c.DockerSpawner.extra_host_config = {"ipc_mode": f"{network_name}-x"}
c.Spawner.environment["A"] = "1"
c.Spawner.environment.update({"B": "2"})
c.Spawner.args = ["a"]
c.Spawner.args += ["b"]
c.Authenticator.admin_users = admin = set()
admin.add("ada")
c.DockerSpawner.image = "old"
c.DockerSpawner.image = "new"
"#
    ), @r#"
    [auth]
    admin_users = ["ada"]  # 10
    [spawner.docker]
    image = "new"  # 13
    args = ["a", "b"]  # 9
    environment = { A = "1", B = "2" }  # 7
    network = "net"  # 3
    remove = false  # JupyterHub's default
    extra_host_config = { ipc_mode = "another-x" }  # 5
    "#);
}

/// As the reference deployment writes them, and others.
#[test]
fn spn_1_further_fields_that_have_keys_of_their_own_go_there() {
    let script = r#"
c.DockerSpawner.extra_host_config = {"network_mode": "lab-net", "mem_limit": "8g",
    "shm_size": 7, "restart_policy": {"Name": "always"}, "StorageOpt": {"size": "10GB"}}
c.DockerSpawner.extra_create_kwargs = {"user": 0, "volume_driver": "local"}
c.DockerSpawner.extra_create_kwargs.update({"command": "start.sh --x"})
c.DockerSpawner.network_name = "lab-net"
"#;
    insta::assert_snapshot!(document(script), @r#"
    [spawner.docker]
    cmd = "start.sh --x"  # 5
    mem_limit = "8G"  # 2
    user = "0"  # 5
    network = "lab-net"  # 6
    remove = false  # JupyterHub's default
    volume_driver = "local"  # 5
    storage_size = "10G"  # 2
    extra_host_config = { shm_size = 7 }  # 2
    "#);
    insta::assert_snapshot!(told(script), @r"
    2 c.DockerSpawner.extra_host_config = spawner.docker.mem_limit, spawner.docker.storage_size, spawner.docker.extra_host_config
    5 c.DockerSpawner.extra_create_kwargs = spawner.docker.user, spawner.docker.volume_driver, spawner.docker.cmd
    6 c.DockerSpawner.network_name = spawner.docker.network
    ");
    insta::assert_snapshot!(told(r#"
c.DockerSpawner.extra_host_config = {"user": "root"}
c.DockerSpawner.extra_create_kwargs = {"hostname": "h", "Binds": ["/a:/b"], "cap_drop": ["ALL"]}
c.SystemUserSpawner.extra_host_config = {"pids_limit": -1}
"#), @r"
    2 c.DockerSpawner.extra_host_config = spawner.docker.user
    3 c.DockerSpawner.extra_create_kwargs ? Binds: the key is spawner.docker.volumes; cap_drop: add them to those that spawner.docker.drop_capabilities names unless it is set; the rest is spawner.docker.extra_create_kwargs
    4 c.SystemUserSpawner.extra_host_config ? pids_limit: there is always a limit; the key is spawner.docker.pids_limit
    ");
    let script = r#"c.DockerSpawner.extra_host_config = {"init": True}"#;
    insta::assert_snapshot!(
        told(script),
        @"1 c.DockerSpawner.extra_host_config (init: servers have an init process)"
    );
}

#[test]
fn spn_1_what_is_not_a_literal_is_told_with_its_key() {
    insta::assert_snapshot!(told(
        r#"
import os
c.DockerSpawner.image = os.environ["DOCKER_NOTEBOOK_IMAGE"]
c.DockerSpawner.prefix = os.environ.get("PREFIX", "jupyter")
notebook_dir = os.environ.get('DOCKER_NOTEBOOK_DIR') or '/home/jovyan/work'
c.DockerSpawner.notebook_dir = notebook_dir
def hook(spawner):
    spawner.environment["A"] = "b"
c.Spawner.pre_spawn_hook = hook
c.JupyterHub.db_url = "sqlite:///x"
c.JupyterHub.cleanup_servers = False
c.DockerSpawner.image_whitelist = {"a": lambda x: x}
c.KubeSpawner.image = "x"
c.Spawner.cpu_limit = None
c.Spawner.debug = "yes"
c.JupyterHub.services = [{"name": "a", "command": [interpreter, "-m", "x"]}]
"#
    ), @r#"
    3 c.DockerSpawner.image (the hub reads DOCKER_NOTEBOOK_IMAGE itself)
    4 c.DockerSpawner.prefix ? is that of the variable PREFIX, which the hub does not read; name it HUB__SPAWNER__DOCKER__PREFIX instead
    6 c.DockerSpawner.notebook_dir ? `os.environ.get('DOCKER_NOTEBOOK_DIR') or…` has a value only when it runs; the key is spawner.docker.notebook_dir
    9 c.Spawner.pre_spawn_hook ? settings are values, not programs; group_overrides, the user list and auth.spawn_env_from_auth_state may do
    10 c.JupyterHub.db_url ? the hub has a database of its own and reads none of JupyterHub's; docs/migrating.md says what comes along
    11 c.JupyterHub.cleanup_servers (servers go on when the hub is stopped)
    12 c.DockerSpawner.image_whitelist ? is a function; settings are values here; the key is spawner.docker.allowed_images
    13 c.KubeSpawner.image ? this hub knows nothing like it
    14 c.Spawner.cpu_limit (None means the default)
    15 c.Spawner.debug ? is a text, where True or False is needed; the key is spawner.docker.debug
    16 c.JupyterHub.services ? `interpreter` is no value that is written here; the key is services
    "#);
}

#[test]
fn spn_1_what_programs_change_is_no_literal_any_more() {
    insta::assert_snapshot!(told(
        r#"
c.Authenticator.admin_users = admin = set()
c.Authenticator.allowed_users = allowed = {"ada"}
with open("userlist") as f:
    for line in f:
        parts = line.split()
        admin.add(parts[0])
if debug:
    c.Spawner.debug = True
for name in ["a", "b"]:
    c.DockerSpawner.volumes[name] = "/" + name
"#
    ), @r#"
    2 c.Authenticator.admin_users ? is changed by the program in line 7; the key is auth.admin_users
    3 c.Authenticator.allowed_users = auth.allowed_users
    9 c.Spawner.debug ? is set inside an `if`, which is not followed; the key is spawner.docker.debug
    11 c.DockerSpawner.volumes ? is set inside a `for`, which is not followed; the key is spawner.docker.volumes
    "#);
}

#[test]
fn spn_1_addresses_providers_and_sections_are_put_together() {
    insta::assert_snapshot!(document(
        r#"
import sys
c.JupyterHub.authenticator_class = "native"
c.NativeAuthenticator.open_signup = True
c.NativeAuthenticator.minimum_password_length = 12
c.JupyterHub.bind_url = "http://:8000/jupyter/"
c.JupyterHub.hub_ip = "jupyterhub"
c.JupyterHub.hub_port = 8080
c.JupyterHub.log_level = "DEBUG"
c.JupyterHub.load_groups = {"crew": ["ada"], "staff": {"users": ["zoe"], "properties": {"a": 1}}}
c.JupyterHub.load_roles = [{"name": "culler", "scopes": ["list:users"], "services": ["culler"]}]
c.JupyterHub.services = [
    {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]},
]
c.JupyterHub.custom_scopes = {"custom:x": {"description": "to x"}}
c.DockerSpawner.group_overrides = {
    "01-crew": {"groups": ["crew"], "spawner_override": {"mem_limit": "4G", "environment": {"A": 1}}},
}
"#
    ), @r#"
    [http]
    listen = "0.0.0.0:8000"  # 6
    base_url = "/jupyter/"  # 6
    [hub_api]
    listen = "jupyterhub:8080"  # 7
    [auth.local]
    sign_up = "open"  # 4
    minimum_password_length = 12  # 5
    [spawner.docker]
    remove = false  # JupyterHub's default
    group_overrides = { 01-crew = { environment = { A = "1" }, groups = ["crew"], mem_limit = "4G" } }  # 16
    [[services]]  # 12
    command = ["python3", "-m", "jupyterhub_idle_culler", "--timeout=3600"]
    name = "culler"
    [[custom_scopes]]  # 15
    description = "to x"
    name = "custom:x"
    [[roles]]  # 11
    name = "culler"
    scopes = ["list:users"]
    services = ["culler"]
    [[groups]]  # 10
    name = "crew"
    users = ["ada"]
    [[groups]]  # 10
    name = "staff"
    properties = { a = 1 }
    users = ["zoe"]
    [log]
    level = "debug"  # 9
    "#);
}

#[test]
fn spn_1_the_spawner_decides_which_settings_count() {
    insta::assert_snapshot!(document(
        r#"
c.JupyterHub.spawner_class = "dockerspawner.SystemUserSpawner"
c.SystemUserSpawner.host_homedir_format_string = "/home/{username}"
c.SystemUserSpawner.user_id = -1
c.SystemUserSpawner.mem_limit = "2G"
c.DockerSpawner.mem_limit = "1G"
c.SwarmSpawner.extra_placement_spec = {"constraints": ["node.role==worker"]}
"#
    ), @r#"
    [spawner]
    kind = "docker"  # 2
    [spawner.docker]
    mem_limit = "2G"  # 5
    remove = false  # JupyterHub's default
    system_users = { host_homedir = "/home/{username}" }  # 3
    "#);
    insta::assert_snapshot!(document(
        r#"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "x"
c.Spawner.cmd = "jupyter-labhub"
c.DockerSpawner.image = "x"
"#
    ), @r#"
    [auth.dummy]
    password = "x"  # 4
    [spawner]
    kind = "process"  # 2
    [spawner.process]
    cmd = "jupyter-labhub"  # 5
    "#);
}

#[test]
fn spn_1_settings_of_other_ways_to_sign_in_do_not_count() {
    insta::assert_snapshot!(told(
        r#"
c.JupyterHub.authenticator_class = "github"
c.GoogleOAuthenticator.client_id = "google"
c.GitHubOAuthenticator.client_id = "hub"
c.OAuthenticator.client_secret = "x"
c.Authenticator.allowed_groups = {"a"}
"#
    ), @r#"
    2 c.JupyterHub.authenticator_class = auth.github
    3 c.GoogleOAuthenticator.client_id (does not count: servers are containers, people sign in with GitHub)
    4 c.GitHubOAuthenticator.client_id = auth.github.client_id
    5 c.OAuthenticator.client_secret = auth.github.client_secret
    6 c.Authenticator.allowed_groups ? has no place here: servers are containers, people sign in with GitHub
    "#);
    insta::assert_snapshot!(document(
        r#"
c.JupyterHub.authenticator_class = "google"
c.GoogleOAuthenticator.hosted_domain = "example.org"
c.OAuthenticator.auth_state_groups_key = "google_user.groups"
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.auth_token = "x"
c.JupyterHub.hub_port = 8082
c.Spawner.mem_limit = None
"#
    ), @r#"
    [hub_api]
    listen = "auto:8082"  # 7
    [auth]
    allow_all = true  # 5
    [auth.oidc]
    preset = "google"  # 2
    hosted_domains = ["example.org"]  # 3
    groups_claims = ["groups"]  # 4
    [spawner.docker]
    mem_limit = "none"  # 8
    "#);
    assert!(told("c.JupyterHub.spawner_class = 'localprocess'").contains("? there is no such"));
}

#[test]
fn spn_1_what_is_not_followed_is_told() {
    insta::assert_snapshot!(told(
        r#"
image = "a"
c.DockerSpawner.image = image
image += ":x"
c.DockerSpawner.volumes = {"/data": {"bind": "/data"}}
c.DockerSpawner.volumes["/data"]["mode"] = "ro"
c.Spawner.mem_limit, c.Spawner.cpu_limit = "1G", 1
load_subconfig("more.py")
hub = c.JupyterHub
mounts = []
c.DockerSpawner.mounts = mounts
add_mounts(mounts)
prefix = "a"
for prefix in ["b"]:
    pass
c.DockerSpawner.prefix = prefix
from somewhere import network
c.DockerSpawner.network_name = network
"#
    ), @r#"
    3 c.DockerSpawner.image = spawner.docker.image
    6 c.DockerSpawner.volumes ? is changed by the program in line 6; the key is spawner.docker.volumes
    7 c.Spawner.mem_limit ? is set together with others; the key is spawner.docker.mem_limit
    7 c.Spawner.cpu_limit ? is set together with others; the key is spawner.docker.cpu_limit
    8 load_subconfig("more.py") ? reads another script; import that one, too
    9 hub = c.JupyterHub ? settings under another name are not followed
    11 c.DockerSpawner.mounts ? is changed by the program in line 12; the key is spawner.docker.mounts
    16 c.DockerSpawner.prefix ? is changed by the program in line 14; the key is spawner.docker.prefix
    18 c.DockerSpawner.network_name ? is changed by the program in line 17; the key is spawner.docker.network
    "#);
}

#[test]
fn what_is_no_python_names_its_line() {
    for (script, expected) in [
        ("a = 1\nb = = 2\n", "line 2: not Python"),
        ("c.X.y = [1,\n", "line 1: not Python"),
        ("\u{0}", "line 1: not Python"),
    ] {
        let error = import(script).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{script:?}: {error}");
    }
}

#[test]
fn nothing_in_a_script_makes_it_panic() {
    let deep = format!("c.Spawner.args = {}{}", "[".repeat(20_000), "]".repeat(20_000));
    let chain = format!("c.Spawner.args = {}1", "a = ".repeat(20_000));
    let sum = format!("c.Spawner.start_timeout = 1{}", " + 1".repeat(20_000));
    let nested = format!("x = []\n{}c.Spawner.args = x", "x = [x]\n".repeat(20_000));
    let doubled = format!("x = ['a']\n{}c.Spawner.args = x", "x = [x, x]\n".repeat(64));
    let texts = format!("x = 'a'\n{}c.Spawner.cmd = x", "x = x + x\n".repeat(64));
    for script in [
        deep.as_str(),
        &nested,
        &doubled,
        &texts,
        &chain,
        &sum,
        "",
        "\u{feff}c.Spawner.cmd = 'x'",
        "c.Spawner.cmd = '\\",
        "c.Spawner.start_timeout = 9223372036854775807 + 1",
        "c.Spawner.start_timeout = -9223372036854775808",
        "c.Spawner.start_timeout = 2**2**2**2**2",
        "c.Spawner.start_timeout = 0x",
        "c.Spawner.cmd = f'{x!r:>{10}}'",
        "c.Spawner.cmd = '\\u00'",
        "c.Spawner.cmd = '\\ud800'",
        "c.é.ü = 'ß'",
        "c.Spawner[0].x = 1",
        "c.Spawner.environment[1:2] = {}",
        "c.Spawner.args: list = []",
        "c.Spawner.args",
        "c.Spawner.args += 1",
        "c.a.b.c.d = 1",
        "(c.Spawner.cmd, x) = ('a', 'b')",
    ] {
        if let Ok(imported) = import(script) {
            let _ = imported.findings.len();
        }
    }
}

#[test]
fn what_is_written_reads_as_the_same_values() {
    let script = "c.Spawner.environment = {'a b': 'x\\n\"y\"', 'é': '#'}\nc.JupyterHub.services = \
                  [{'name': 'a', 'url': 'http://127.0.0.1:9', 'info': {'x y': [1, 2.5]}}]\n";
    let read: toml::Table = toml::from_str(&imported(script).document).unwrap();
    let environment = &read["spawner"]["docker"]["environment"];
    assert_eq!(environment["a b"].as_str(), Some("x\n\"y\""));
    assert_eq!(environment["é"].as_str(), Some("#"));
    assert_eq!(read["services"][0]["info"]["x y"][1].as_float(), Some(2.5));
}

#[test]
fn aut_what_happens_around_a_sign_in_is_taken_over() {
    insta::assert_snapshot!(document(
        r#"
c.JupyterHub.authenticator_class = "generic-oauth"
c.Authenticator.auth_refresh_strict = True
c.Authenticator.auto_login_oauth2_authorize = True
c.Authenticator.delete_invalid_users = True
c.GenericOAuthenticator.custom_403_message = "Write to us."
c.GenericOAuthenticator.logout_redirect_url = "https://www.test/"
c.GenericOAuthenticator.userdata_params = {"fields": "id"}
c.GenericOAuthenticator.extra_params = {"audience": "hub"}
"#
    ), @r#"
    [auth]
    auto_login_oauth2_authorize = true  # 4
    delete_invalid_users = true  # 5
    auth_refresh_strict = true  # 3
    [auth.oidc]
    token_params = { audience = "hub" }  # 9
    userdata_params = { fields = "id" }  # 8
    [pages]
    logout_redirect_url = "https://www.test/"  # 7
    custom_403_message = "Write to us."  # 6
    "#);
}

#[test]
fn spn_1_who_trusts_the_id_token_alone_asks_for_no_user_info() {
    let with = |class: &str, name: &str, value: &str| {
        format!(
            "c.JupyterHub.authenticator_class = '{name}'\nc.{class}.userdata_from_id_token = {value}\n"
        )
    };
    let google = with("GoogleOAuthenticator", "google", "True");
    assert!(document(&google).contains("userinfo = \"never\"  # 2"), "{}", document(&google));
    let generic = with("GenericOAuthenticator", "generic-oauth", "True");
    assert!(document(&generic).contains("userinfo = \"never\"  # 2"), "{}", document(&generic));
    let usual = with("GenericOAuthenticator", "generic-oauth", "False");
    assert!(!document(&usual).contains("userinfo"), "{}", document(&usual));
    assert!(told(&usual).contains("what the ID token lacks"), "{}", told(&usual));
    let github = with("OAuthenticator", "github", "True");
    assert!(told(&github).contains("? has no place here"), "{}", told(&github));
}

#[test]
fn http_request_kwargs_become_the_way_out() {
    let script = |kwargs: &str| {
        format!(
            "c.JupyterHub.authenticator_class = \"github\"\nc.OAuthenticator.http_request_kwargs = {kwargs}\n"
        )
    };
    let all = script(
        r#"{"proxy_host": "proxy.test", "proxy_port": 3128, "proxy_username": "hub", "proxy_password": "a b@c", "ca_certs": "/etc/lab.pem", "request_timeout": 30}"#,
    );
    insta::assert_snapshot!(document(&all), @r#"
    [auth.github]
    timeout_seconds = 30  # 2
    [auth.outbound]
    proxy_url = "http://hub:a%20b%40c@proxy.test:3128"  # 2
    ca_file = "/etc/lab.pem"  # 2
    "#);
    let keys = "auth.outbound.proxy_url, auth.outbound.ca_file, auth.github.timeout_seconds";
    let told_all = told(&all);
    assert!(told_all.ends_with(&format!("http_request_kwargs = {keys}")), "{told_all}");
    let part = script(
        r#"{"proxy_host": "proxy.test", "proxy_port": 3128, "validate_cert": False, "connect_timeout": 5}"#,
    );
    let told_part = told(&part);
    assert!(
        told_part.ends_with(
            "http_request_kwargs ? has no place in part: validate_cert: certificates are always \
             checked; name an authority in auth.outbound.ca_file; connect_timeout: \
             timeout_seconds of the provider is for all of a request"
        ),
        "{told_part}"
    );
    assert!(document(&part).contains("proxy_url = \"http://proxy.test:3128\""));
    for wrong in [
        "[1]",
        "{\"proxy_host\": \"proxy.test\"}",
        "{\"proxy_host\": os.environ[\"P\"], \"proxy_port\": 1}",
        "{\"proxy_host\": \"proxy.test\", \"proxy_port\": 99999}",
    ] {
        let told = told(&script(wrong));
        assert!(told.contains("http_request_kwargs ? "), "{told}");
        assert!(!document(&script(wrong)).contains("proxy_url"));
    }
}
