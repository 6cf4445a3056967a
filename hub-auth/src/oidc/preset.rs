//! Providers that many use, with what is particular about each.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use url::Url;

use super::{ClaimPaths, OidcConfig, UserinfoUse};
use crate::{InvalidConfig, ProviderRules};

/// A provider's settings, and the rules without which it would let in too many.
#[derive(Clone, Debug)]
pub struct OidcPreset {
    /// How to ask it; change what is different for you.
    pub config: OidcConfig,
    /// The rules about what it says, to be put under its id into
    /// [`AccessRules::providers`](crate::AccessRules::providers). Add the groups that
    /// are let in, and take nothing away.
    pub rules: ProviderRules,
}

impl OidcPreset {
    /// Google. `hosted_domains` are Workspace domains, checked by the claim `hd` and
    /// not by the mail address (CVE-2024-29033); empty lets in every Google account
    /// that the other rules let in. With one domain, names are without it.
    pub fn google(
        client_id: impl Into<String>,
        client_secret: SecretString,
        callback_url: Url,
        hosted_domains: &[&str],
    ) -> Self {
        let issuer = "https://accounts.google.com";
        let mut config = OidcConfig::new(issuer, client_id, client_secret, callback_url);
        config.id = "google".to_owned();
        config.service = "Google".to_owned();
        config.claims.username = "email".to_owned();
        let mut required_claims = BTreeMap::new();
        if let [domain] = hosted_domains {
            config.claims.strip_domains = vec![(*domain).to_owned()];
            // Only chooses which accounts the page offers.
            config.extra_authorize_params = vec![("hd".to_owned(), (*domain).to_owned())];
        }
        if !hosted_domains.is_empty() {
            let domains = hosted_domains.iter().map(|domain| domain.to_lowercase()).collect();
            required_claims.insert("hd".to_owned(), domains);
        }
        Self { config, rules: requiring(required_claims) }
    }

    /// Microsoft Entra. `tenant` is the directory's id, not its name and not
    /// `common`: only then do tokens name it as their issuer. Groups are ids.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] if `tenant` is no such id.
    pub fn microsoft(
        client_id: impl Into<String>,
        client_secret: SecretString,
        callback_url: Url,
        tenant: &str,
    ) -> Result<Self, InvalidConfig> {
        let tenant = tenant.to_lowercase();
        let lengths = tenant.split('-').map(str::len);
        if !lengths.eq([8, 4, 4, 4, 12])
            || !tenant.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
        {
            return Err(InvalidConfig::setting(
                "tenant",
                format!(
                    "{tenant:?} is not the id of a directory, such as \
                     00000000-0000-0000-0000-000000000000; it is on the overview page of Entra"
                ),
            ));
        }
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        let mut config = OidcConfig::new(issuer, client_id, client_secret, callback_url);
        config.id = "microsoft".to_owned();
        config.service = "Microsoft".to_owned();
        config.claims.groups = vec!["groups".to_owned()];
        let required_claims = BTreeMap::from([("tid".to_owned(), BTreeSet::from([tenant]))]);
        Ok(Self { config, rules: requiring(required_claims) })
    }

    /// GitLab, gitlab.com or a server of one's own. Groups are full paths, such as
    /// `lab/core`, of the groups that somebody is in, directly or by a group above
    /// (`allowed_gitlab_groups`).
    pub fn gitlab(
        client_id: impl Into<String>,
        client_secret: SecretString,
        callback_url: Url,
        site: &Url,
    ) -> Self {
        let issuer = site.as_str().trim_end_matches('/');
        let mut config = OidcConfig::new(issuer, client_id, client_secret, callback_url);
        config.id = "gitlab".to_owned();
        config.service = "GitLab".to_owned();
        // The ID token tells only some groups; the user info tells all.
        config.userinfo = UserinfoUse::Always;
        config.claims.groups = vec!["groups".to_owned()];
        Self { config, rules: ProviderRules::default() }
    }

    /// A realm of a Keycloak at `site`. Groups are those of a "group membership"
    /// mapper for the claim `groups`, added to the client; roles of the realm come
    /// with `realm_access.roles`, if the mapper puts them into the ID token.
    pub fn keycloak(
        client_id: impl Into<String>,
        client_secret: SecretString,
        callback_url: Url,
        site: &Url,
        realm: &str,
    ) -> Self {
        let issuer = format!("{}/realms/{realm}", site.as_str().trim_end_matches('/'));
        let mut config = OidcConfig::new(issuer, client_id, client_secret, callback_url);
        config.id = "keycloak".to_owned();
        config.service = "Keycloak".to_owned();
        config.claims = ClaimPaths { groups: vec!["groups".to_owned()], ..ClaimPaths::default() };
        Self { config, rules: ProviderRules::default() }
    }
}

fn requiring(required_claims: BTreeMap<String, BTreeSet<String>>) -> ProviderRules {
    ProviderRules { required_claims, ..ProviderRules::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::ProviderAddress;

    fn callback() -> Url {
        "https://hub.test/hub/oauth_callback".parse().unwrap()
    }

    fn issuer(preset: &OidcPreset) -> &str {
        preset.config.check().unwrap();
        match &preset.config.address {
            ProviderAddress::Issuer(issuer) => issuer,
            ProviderAddress::Endpoints(_) => panic!("no issuer"),
        }
    }

    #[test]
    fn oidc_1_presets_name_the_issuer_as_its_tokens_do() {
        let google = OidcPreset::google("id", "secret".into(), callback(), &[]);
        assert_eq!(issuer(&google), "https://accounts.google.com");
        let site = "https://gitlab.test/".parse().unwrap();
        let gitlab = OidcPreset::gitlab("id", "secret".into(), callback(), &site);
        assert_eq!(issuer(&gitlab), "https://gitlab.test");
        let site = "https://id.test/auth/".parse().unwrap();
        let keycloak = OidcPreset::keycloak("id", "secret".into(), callback(), &site, "lab");
        assert_eq!(issuer(&keycloak), "https://id.test/auth/realms/lab");
        let tenant = "9188040D-6c67-4c5b-b112-36a304b66dad";
        let entra = OidcPreset::microsoft("id", "secret".into(), callback(), tenant).unwrap();
        let expected =
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
        assert_eq!(issuer(&entra), expected);
    }

    #[test]
    fn a_hosted_domain_is_required_of_everybody() {
        let preset = OidcPreset::google("id", "secret".into(), callback(), &["Lab.test"]);
        assert_eq!(preset.rules.required_claims["hd"], BTreeSet::from(["lab.test".to_owned()]));
        assert_eq!(preset.config.claims.strip_domains, ["Lab.test"]);
        let two = OidcPreset::google("id", "secret".into(), callback(), &["a.test", "b.test"]);
        assert_eq!(two.rules.required_claims["hd"].len(), 2);
        assert!(two.config.claims.strip_domains.is_empty(), "ada of a.test is not ada of b.test");
    }

    #[test]
    fn a_directory_is_named_by_its_id() {
        for tenant in [
            "common",
            "organizations",
            "lab.onmicrosoft.com",
            "",
            "g0000000-0000-0000-0000-000000000000",
        ] {
            assert!(
                OidcPreset::microsoft("id", "s".into(), callback(), tenant).is_err(),
                "{tenant}"
            );
        }
    }
}
