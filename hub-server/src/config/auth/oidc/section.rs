//! The keys of `[auth.oidc]`, described.

use super::super::provider::CLAIMS;
use crate::config::key::{Key, Kind, Section};

pub(in crate::config) const SECTION: Section = Section {
    name: super::NAME,
    about: "Sign-in with an OpenID Connect provider: a preset, or the `issuer` of any other; or a plain OAuth 2 provider by its three addresses.",
    keys: &[
        Key::new(
            "auth.oidc.preset",
            Kind::Choice(&["google", "entra", "gitlab", "keycloak"]),
            "A provider that the hub knows.",
        )
        .example("\"keycloak\""),
        Key::new(
            "auth.oidc.hosted_domains",
            Kind::List,
            "Google: the Workspace domains whose people may come; without one, any Google account.",
        )
        .default("[]")
        .example("[\"example.org\"]"),
        Key::new("auth.oidc.tenant", Kind::Text, "Entra: the id of the directory.")
            .example("\"00000000-0000-0000-0000-000000000000\""),
        Key::new(
            "auth.oidc.site",
            Kind::Url,
            "Keycloak: its address. GitLab: the same, if it is not gitlab.com.",
        )
        .example("\"https://id.example.org\""),
        Key::new("auth.oidc.realm", Kind::Text, "Keycloak: the realm.").example("\"lab\""),
        Key::new(
            "auth.oidc.issuer",
            Kind::Url,
            "Any other provider: its issuer, exactly as in its tokens. All addresses are read from `.well-known/openid-configuration` below it.",
        )
        .example("\"https://id.example.org\""),
        Key::new(
            "auth.oidc.authorize_url",
            Kind::Url,
            "A plain OAuth 2 provider: where browsers are sent.",
        )
        .example("\"https://id.example.org/authorize\""),
        Key::new(
            "auth.oidc.token_url",
            Kind::Url,
            "A plain OAuth 2 provider: where codes are exchanged.",
        )
        .example("\"https://id.example.org/token\""),
        Key::new(
            "auth.oidc.userdata_url",
            Kind::Url,
            "A plain OAuth 2 provider: what tells who somebody is.",
        )
        .example("\"https://id.example.org/userinfo\""),
        Key::new("auth.oidc.client_id", Kind::Text, "Client id of the hub at the provider.")
            .example("\"hub\""),
        Key::new(
            "auth.oidc.client_secret",
            Kind::Secret,
            "Client secret of the hub; none for a public client.",
        ),
        Key::new(
            "auth.oidc.client_secret_file",
            Kind::File,
            "File that holds the client secret, instead of `client_secret`.",
        )
        .example("\"secrets/oidc\""),
        Key::new(
            "auth.oidc.basic_auth",
            Kind::Boolean,
            "Whether id and secret travel in a header instead of the body.",
        )
        .default("false"),
        Key::new(
            "auth.oidc.callback_url",
            Kind::Url,
            "The redirect URL registered with the provider. Default: `OAUTH_CALLBACK_URL`, else made from `http.public_url`.",
        )
        .example("\"https://hub.example.org/hub/oauth_callback\""),
        Key::new(
            "auth.oidc.scope",
            Kind::List,
            "What the hub asks for. Default: `openid`, `profile`, `email`; nothing for a plain OAuth 2 provider.",
        )
        .example("[\"openid\", \"profile\", \"email\", \"groups\"]"),
        Key::new(
            "auth.oidc.extra_authorize_params",
            Kind::Table,
            "Further parameters of the address that browsers are sent to.",
        )
        .default("{}")
        .example("{ prompt = \"select_account\" }"),
        Key::new(
            "auth.oidc.token_params",
            Kind::Table,
            "Further parameters of the token request.",
        )
        .default("{}")
        .example("{ audience = \"hub\" }"),
        Key::new(
            "auth.oidc.userdata_params",
            Kind::Table,
            "Further parameters of the address at which the user info is asked for.",
        )
        .default("{}")
        .example("{ fields = \"id,name,email\" }"),
        Key::new(
            "auth.oidc.subject_claim",
            Kind::Text,
            "Dotted path of the claim that names a person for good.",
        )
        .example("\"sub\""),
        Key::new(
            "auth.oidc.username_claim",
            Kind::Text,
            "Dotted path of the claim that becomes the account's name. `email` counts only if the provider has verified it. Default: `preferred_username`; Google: `email`.",
        )
        .example("\"preferred_username\""),
        Key::new(
            "auth.oidc.strip_domains",
            Kind::List,
            "Domains that are cut off the login name: `ada@example.org` becomes `ada`. Only safe if nobody of another domain can sign in under that name.",
        )
        .example("[\"example.org\"]"),
        Key::new(
            "auth.oidc.display_name_claim",
            Kind::Text,
            "Dotted path of the claim with the name for display.",
        )
        .example("\"name\""),
        Key::new(
            "auth.oidc.groups_claims",
            Kind::List,
            "Dotted paths of the claims that hold a person's groups. Default: none; Entra, GitLab, Keycloak: `groups`.",
        )
        .example("[\"groups\", \"realm_access.roles\"]"),
        Key::new(
            "auth.oidc.userinfo",
            Kind::Choice(&["when_needed", "always", "never"]),
            "When the user info is asked for besides the ID token: if that lacks the name or groups, at each sign-in, or never. GitLab's preset: `always`.",
        )
        .example("\"always\""),
        Key::new(
            "auth.oidc.allow_all",
            Kind::Boolean,
            "Whether everybody is let in whom this provider knows.",
        )
        .default("false"),
        Key::new("auth.oidc.allowed_groups", Kind::List, "Groups whose members are let in.")
            .default("[]")
            .example("[\"/hub-users\"]"),
        Key::new(
            "auth.oidc.admin_groups",
            Kind::List,
            "Groups whose members are let in and are administrators as long as they are members.",
        )
        .default("[]")
        .example("[\"/hub-admins\"]"),
        Key::new(
            "auth.oidc.allowed_scopes",
            Kind::List,
            "Whoever grants all of these is let in. They have to be among `scope`.",
        )
        .default("[]"),
        Key::new(
            "auth.oidc.required_claims",
            CLAIMS,
            "What has to be said of everybody, whatever else lets them in: dotted path of a claim to its good values.",
        )
        .default("{}")
        .example("{ acr = [\"mfa\"] }"),
        Key::new(
            "auth.oidc.admin_claims",
            CLAIMS,
            "What is said of those who are let in and are administrators as long as it is said.",
        )
        .default("{}")
        .example("{ \"realm_access.roles\" = \"hub-admin\" }"),
        Key::new(
            "auth.oidc.sign_out",
            Kind::Boolean,
            "Whether whoever signs out of the hub is signed out at the provider as well. Register the hub's `/hub/login` there as the address to come back to.",
        )
        .default("false"),
        Key::new(
            "auth.oidc.id",
            Kind::Text,
            "The name under which the hub keeps who people are at this provider. Whoever changes it locks everybody out of their accounts, which stay bound under the old name, until `hub users identities --rename OLD_ID NEW_ID` has moved them, with the hub stopped. Default: `oidc`, or the provider's name with a preset (`microsoft` for Entra).",
        )
        .example("\"oidc\""),
        Key::new(
            "auth.oidc.service",
            Kind::Text,
            "What the button calls it. Default: `OpenID Connect`, or the preset's.",
        )
        .example("\"University\""),
        Key::new(
            "auth.oidc.clock_skew_seconds",
            Kind::Integer("seconds"),
            "How far the provider's clock may be from this machine's, at most 600.",
        )
        .example("60"),
        Key::new(
            "auth.oidc.timeout_seconds",
            Kind::Integer("seconds"),
            "How long a call to the provider may take, 1 to 120.",
        )
        .example("20"),
    ],
};
