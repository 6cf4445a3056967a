//! The variables of a service that the hub runs.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// What a service is told about itself and the hub.
#[derive(Clone, Debug)]
pub struct ServiceFacts {
    /// What it is called.
    pub name: String,
    /// Its token.
    pub api_token: SecretString,
    /// The REST API as seen from it, without a slash at the end.
    pub api_url: String,
    /// The prefix of the whole deployment.
    pub base_url: String,
    /// `scheme://host[:port]` of the hub if each service has a host of its own, else
    /// empty.
    pub host: String,
    /// By what it introduces itself as OAuth client.
    pub client_id: String,
    /// Where its visitors come back to.
    pub oauth_callback: String,
    /// The scopes that its visitors may be asked for.
    pub client_allowed_scopes: Vec<String>,
    /// Where it is to listen, if it is proxied.
    pub url: Option<String>,
    /// The prefix it is served under, if it is proxied.
    pub prefix: Option<String>,
    /// How people write its address, if that is known.
    pub public_url: String,
    /// How people write the hub's address, if that is known.
    pub public_hub_url: String,
}

impl ServiceFacts {
    /// The scopes of which a visitor needs one.
    pub fn access_scopes(&self) -> [String; 2] {
        ["access:services".to_owned(), format!("access:services!service={}", self.name)]
    }

    /// The variables.
    pub fn variables(&self) -> BTreeMap<String, SecretString> {
        let mut variables = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            variables.insert(name.to_owned(), SecretString::from(value));
        };
        set("JUPYTERHUB_SERVICE_NAME", &self.name);
        set("JUPYTERHUB_API_URL", &self.api_url);
        set("JUPYTERHUB_BASE_URL", &self.base_url);
        set("JUPYTERHUB_CLIENT_ID", &self.client_id);
        set("JUPYTERHUB_HOST", &self.host);
        set("JUPYTERHUB_OAUTH_CALLBACK_URL", &self.oauth_callback);
        let access = serde_json::Value::from(self.access_scopes().to_vec()).to_string();
        set("JUPYTERHUB_OAUTH_ACCESS_SCOPES", &access);
        // The name that clients before 3.0 read.
        set("JUPYTERHUB_OAUTH_SCOPES", &access);
        let allowed = serde_json::Value::from(self.client_allowed_scopes.clone()).to_string();
        set("JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES", &allowed);
        set("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED", "0");
        set("JUPYTERHUB_PUBLIC_URL", &self.public_url);
        set("JUPYTERHUB_PUBLIC_HUB_URL", &self.public_hub_url);
        // It belongs to nobody.
        set("JUPYTERHUB_USER", "");
        set("JUPYTERHUB_SERVER_NAME", "");
        if let Some(url) = &self.url {
            set("JUPYTERHUB_SERVICE_URL", url);
        }
        if let Some(prefix) = &self.prefix {
            set("JUPYTERHUB_SERVICE_PREFIX", prefix);
        }
        for name in ["JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"] {
            variables.insert(name.to_owned(), self.api_token.clone());
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn facts() -> ServiceFacts {
        ServiceFacts {
            name: "who am i".to_owned(),
            api_token: "s3cret".into(),
            api_url: "http://127.0.0.1:8081/hub/api".to_owned(),
            base_url: "/".to_owned(),
            host: String::new(),
            client_id: "service-who am i".to_owned(),
            oauth_callback: "/services/who%20am%20i/oauth_callback".to_owned(),
            client_allowed_scopes: vec!["read:hub".to_owned()],
            url: None,
            prefix: None,
            public_url: String::new(),
            public_hub_url: String::new(),
        }
    }

    #[test]
    fn a_service_is_told_what_hub_auth_reads() {
        let shown = |facts: &ServiceFacts| -> String {
            let lines = facts.variables();
            lines
                .iter()
                .map(|(name, value)| format!("{name}={}\n", value.expose_secret()))
                .collect()
        };
        insta::assert_snapshot!(shown(&facts()), @r#"
        JPY_API_TOKEN=s3cret
        JUPYTERHUB_API_TOKEN=s3cret
        JUPYTERHUB_API_URL=http://127.0.0.1:8081/hub/api
        JUPYTERHUB_BASE_URL=/
        JUPYTERHUB_CLIENT_ID=service-who am i
        JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED=0
        JUPYTERHUB_HOST=
        JUPYTERHUB_OAUTH_ACCESS_SCOPES=["access:services","access:services!service=who am i"]
        JUPYTERHUB_OAUTH_CALLBACK_URL=/services/who%20am%20i/oauth_callback
        JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES=["read:hub"]
        JUPYTERHUB_OAUTH_SCOPES=["access:services","access:services!service=who am i"]
        JUPYTERHUB_PUBLIC_HUB_URL=
        JUPYTERHUB_PUBLIC_URL=
        JUPYTERHUB_SERVER_NAME=
        JUPYTERHUB_SERVICE_NAME=who am i
        JUPYTERHUB_USER=
        "#);
    }

    #[test]
    fn a_proxied_service_is_told_where_to_listen() {
        let proxied = ServiceFacts {
            url: Some("http://127.0.0.1:9000".to_owned()),
            prefix: Some("/services/x/".to_owned()),
            ..facts()
        };
        let variables = proxied.variables();
        let get = |name: &str| variables[name].expose_secret().to_owned();
        assert_eq!(get("JUPYTERHUB_SERVICE_URL"), "http://127.0.0.1:9000");
        assert_eq!(get("JUPYTERHUB_SERVICE_PREFIX"), "/services/x/");
    }
}
