use std::path::Path;

use hub_auth::oidc::{ProviderAddress, UserinfoUse};

use crate::config::{AuthConfig, Environment, parse};

fn read(lines: &str, environment: &[(&str, &str)]) -> Result<AuthConfig, String> {
    let text = format!(
        "[http]\npublic_url = 'https://hub.example.org'\n[spawner.docker]\nimage = 'lab'\n\
         [auth.oidc]\n{lines}\n"
    );
    let environment: Environment =
        environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    parse(&text, "hub.toml", Path::new("/srv"), &environment, false)
        .map(|loaded| loaded.config.auth)
        .map_err(|error| error.to_string())
}

const CLIENT: &str = "client_id = 'hub'\nclient_secret = 'hush'\n";

#[test]
fn oidc_1_a_preset_needs_little_more_than_its_client() {
    let issuer = |lines: &str| {
        let auth = read(&format!("{CLIENT}{lines}"), &[]).unwrap();
        let provider = auth.oidc.unwrap().provider;
        match provider.address {
            ProviderAddress::Issuer(issuer) => (provider.id, issuer),
            ProviderAddress::Endpoints(_) => panic!("{lines}: no issuer"),
        }
    };
    let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    for (lines, id, expected) in [
        ("preset = 'google'", "google", "https://accounts.google.com".to_owned()),
        (
            &format!("preset = 'entra'\ntenant = '{tenant}'"),
            "microsoft",
            format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        ),
        ("preset = 'gitlab'", "gitlab", "https://gitlab.com".to_owned()),
        ("preset = 'gitlab'\nsite = 'https://git.test/'", "gitlab", "https://git.test".to_owned()),
        (
            "preset = 'keycloak'\nsite = 'https://id.test'\nrealm = 'lab'",
            "keycloak",
            "https://id.test/realms/lab".to_owned(),
        ),
        ("issuer = 'https://id.test'", "oidc", "https://id.test".to_owned()),
    ] {
        assert_eq!(issuer(lines), (id.to_owned(), expected), "{lines}");
    }
}

#[test]
fn oidc_1_a_plain_provider_has_three_addresses_and_no_secret_is_a_public_client() {
    let lines = "client_id = 'hub'\nauthorize_url = 'https://id.test/a'\n\
                 token_url = 'https://id.test/t'\nuserdata_url = 'https://id.test/u'\n";
    let provider = read(lines, &[]).unwrap().oidc.unwrap().provider;
    assert!(matches!(provider.address, ProviderAddress::Endpoints(_)));
    assert!(provider.client_secret.is_none() && provider.scope.is_empty());
}

#[test]
fn keys_besides_the_preset_change_it_and_add_rules() {
    let auth = read(
        &format!(
            "{CLIENT}preset = 'google'\nhosted_domains = ['example.org']\nid = 'g'\n\
             service = 'School'\nuserinfo = 'always'\nclock_skew_seconds = 5\n\
             scope = ['openid', 'email', 'groups']\ngroups_claims = ['groups']\n\
             extra_authorize_params = {{ hd = '*', prompt = 'login' }}\n\
             required_claims = {{ hd = 'evil.test', acr = ['mfa', 'hw'] }}\n\
             allowed_groups = ['staff']\nadmin_groups = ['chiefs']\nallowed_scopes = ['groups']\n\
             admin_claims = {{ role = 'boss' }}\nsign_out = true\n"
        ),
        &[],
    )
    .unwrap();
    let rules = &auth.policy.rules().providers["g"];
    assert_eq!(rules.required_claims["hd"], ["example.org".to_owned()].into(), "never weakened");
    assert_eq!(rules.required_claims["acr"].len(), 2);
    assert_eq!(rules.allowed_groups, ["staff".to_owned()].into());
    assert_eq!(rules.admin_groups, ["chiefs".to_owned()].into());
    assert_eq!(rules.admin_claims["role"], ["boss".to_owned()].into());
    let oidc = auth.oidc.unwrap();
    assert!(oidc.sign_out);
    assert_eq!(oidc.provider.service, "School");
    assert_eq!(oidc.provider.deciding_claims, ["acr", "hd", "role"]);
    assert_eq!(oidc.provider.userinfo, UserinfoUse::Always);
    assert_eq!(oidc.provider.clock_skew.as_secs(), 5);
    let params: Vec<_> =
        oidc.provider.extra_authorize_params.iter().map(|(name, _)| name).collect();
    assert_eq!(params, ["hd", "prompt"]);
}

#[test]
fn the_callback_of_the_reference_serves_without_github_too() {
    let environment = [("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback")];
    let auth = read(&format!("{CLIENT}preset = 'google'"), &environment).unwrap();
    assert!(auth.github.is_none());
    assert_eq!(auth.oidc.unwrap().provider.callback_url.as_str(), environment[0].1);
}

#[test]
fn what_cannot_work_names_its_key() {
    let keycloak = "preset = 'keycloak'\nsite = 'https://id.test'\nrealm = 'lab'\n";
    for (key, lines) in [
        ("client_id", "preset = 'google'".to_owned()),
        ("client_secret", format!("{CLIENT}client_secret_file = 'x'\npreset = 'google'")),
        ("client_secret_file", "client_id = 'hub'\nclient_secret_file = 'nowhere'".to_owned()),
        ("issuer", CLIENT.to_owned()),
        ("issuer", format!("{CLIENT}issuer = 'id.test'")),
        ("issuer", format!("{CLIENT}{keycloak}issuer = 'https://id.test'")),
        ("issuer", format!("{CLIENT}issuer = 'https://id.test'\ntoken_url = 'https://id.test/t'")),
        ("authorize_url", format!("{CLIENT}token_url = 'https://id.test/t'")),
        ("authorize_url", format!("{CLIENT}{keycloak}authorize_url = 'https://id.test/a'")),
        (
            "token_url",
            format!("{CLIENT}authorize_url = 'https://id.test/a'\ntoken_url = 'id.test'"),
        ),
        (
            "userdata_url",
            format!(
                "{CLIENT}authorize_url = 'https://id.test/a'\ntoken_url = 'https://id.test/t'"
            ),
        ),
        ("tenant", format!("{CLIENT}preset = 'entra'")),
        ("tenant", format!("{CLIENT}preset = 'entra'\ntenant = 'common'")),
        ("site", format!("{CLIENT}preset = 'keycloak'\nrealm = 'lab'")),
        ("site", format!("{CLIENT}preset = 'google'\nsite = 'https://id.test'")),
        ("realm", format!("{CLIENT}preset = 'keycloak'\nsite = 'https://id.test'")),
        ("hosted_domains", format!("{CLIENT}{keycloak}hosted_domains = ['a.test']")),
        ("callback_url", format!("{CLIENT}{keycloak}callback_url = 'https://hub.example.org/x'")),
        ("scope", format!("{CLIENT}{keycloak}scope = ['profile']")),
        ("subject_claim", format!("{CLIENT}{keycloak}subject_claim = ''")),
        ("username_claim", format!("{CLIENT}{keycloak}username_claim = ' '")),
        ("groups_claims", format!("{CLIENT}{keycloak}groups_claims = ['']")),
        ("groups_claims", format!("{CLIENT}issuer = 'https://id.test'\nallowed_groups = ['a']")),
        ("allowed_groups", format!("{CLIENT}{keycloak}allowed_groups = ['']")),
        ("admin_groups", format!("{CLIENT}{keycloak}admin_groups = [' ']")),
        ("allowed_scopes", format!("{CLIENT}{keycloak}allowed_scopes = ['groups']")),
        ("required_claims.acr", format!("{CLIENT}{keycloak}required_claims = {{ acr = [] }}")),
        ("admin_claims.role", format!("{CLIENT}{keycloak}admin_claims = {{ role = '' }}")),
        ("id", format!("{CLIENT}{keycloak}id = 'a:b'")),
        ("id", format!("{CLIENT}{keycloak}id = 'password'")),
        ("basic_auth", format!("client_id = 'hub'\n{keycloak}basic_auth = true")),
        ("clock_skew_seconds", format!("{CLIENT}{keycloak}clock_skew_seconds = 601")),
        (
            "userinfo",
            "client_id = 'hub'\nauthorize_url = 'https://id.test/a'\ntoken_url = 'https://id.test/t'\n\
             userdata_url = 'https://id.test/u'\nuserinfo = 'never'"
                .to_owned(),
        ),
    ] {
        let error = read(&lines, &[]).unwrap_err();
        assert!(error.contains(&format!("auth.oidc.{key}")), "{key}: {error}");
    }
    for (part, lines) in [
        ("preset", "preset = 'okta'"),
        ("claim", "required_claims = { acr = 7 }"),
        ("userinfo", "userinfo = 'sometimes'"),
    ] {
        let error = read(lines, &[]).unwrap_err();
        assert!(error.contains("hub.toml:6"), "{part}: {error}");
    }
}
