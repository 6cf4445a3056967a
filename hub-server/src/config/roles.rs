//! `[[roles]]`, `[[custom_scopes]]` and `[[groups]]`: who may do what.

use hub_auth::{AccessPolicy, Roles};
use hub_names::UserName;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    ConfigError, ServiceConfig,
    key::{Key, Kind, Section},
};

pub(super) const SCOPES_SECTION: Section = Section {
    name: "custom_scopes",
    about: "Rights of your own, for services to ask about. The section repeats, once for each.",
    keys: &[Key::new(
        "custom_scopes",
        Kind::Sections,
        "`name`, which begins with `custom:`; `description`, for the person who is asked to grant it; `subscopes`, the custom scopes that follow from it.",
    )
    .default("[]")
    .example("[{ name = \"custom:grades:read\", description = \"Read grades.\" }]")],
};

pub(super) const SECTION: Section = Section {
    name: "roles",
    about: "Named sets of scopes, and who has them. The section repeats, once for each.",
    keys: &[Key::new(
        "roles",
        Kind::Sections,
        "`name`; `description`; `scopes`; `users`, `groups` and `services` that have it. A list that is there replaces who had the role before, one that is not there leaves them. `user`, `server` and `token` can be changed, `admin` can only be given to services.",
    )
    .default("[]")
    .example("[{ name = \"teacher\", scopes = [\"admin-ui\", \"list:users!group=class\", \"servers!group=class\"], users = [\"zoe\"] }]")],
};

pub(super) const GROUPS_SECTION: Section = Section {
    name: "groups",
    about: "Groups that are there from the start. The section repeats, once for each.",
    keys: &[Key::new(
        "groups",
        Kind::Sections,
        "`name`; `users`, who are added to it (nobody is taken out); `properties`, a table of whatever you keep about it.",
    )
    .default("[]")
    .example("[{ name = \"class\", users = [\"wash\", \"kaylee\"] }]")],
};

/// Who has a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMembers {
    /// The role.
    pub role: String,
    /// The users who have it; `None` leaves them as they are.
    pub users: Option<Vec<UserName>>,
    /// The groups that have it; `None` leaves them as they are.
    pub groups: Option<Vec<String>>,
    /// The services that have it; `None` leaves them as they are.
    pub services: Option<Vec<String>>,
}

/// A group that is there from the start.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupConfig {
    /// What it is called.
    pub name: String,
    /// Who is added to it.
    pub users: Vec<UserName>,
    /// What is kept about it; `None` leaves that as it is.
    pub properties: Option<Json>,
}

/// Who may do what.
#[derive(Clone, Debug)]
pub struct RolesConfig {
    /// What each role may do.
    pub roles: Roles,
    /// Who has them.
    pub members: Vec<RoleMembers>,
    /// Groups that are there from the start.
    pub groups: Vec<GroupConfig>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScope {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    subscopes: Vec<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRole {
    name: String,
    description: Option<String>,
    scopes: Option<Vec<String>>,
    users: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    services: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    name: String,
    #[serde(default)]
    users: Vec<String>,
    properties: Option<toml::Table>,
}

impl RawGroup {
    /// Whether it names people.
    pub(super) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }
}

/// What the roles may do; who has them is checked later, when services and the rules
/// of names are known.
pub(super) fn define(
    scopes: &[RawScope],
    roles: &[RawRole],
    extra_user_scopes: &[String],
) -> Result<Roles, ConfigError> {
    let mut errors = Vec::new();
    let mut all = Roles::default();
    for scope in scopes {
        if let Err(error) = all.define_scope(&scope.name, &scope.description, &scope.subscopes) {
            errors.push(ConfigError::value("custom_scopes", error.to_string()));
        }
    }
    if let Err(error) = all.check_custom() {
        errors.push(ConfigError::value("custom_scopes", error.to_string()));
    }
    for role in roles {
        let RawRole { name, description, scopes, .. } = role;
        if let Err(error) = all.define(name, description.as_deref(), scopes.as_deref()) {
            errors.push(ConfigError::value(format!("roles.{name}"), error.to_string()));
        }
    }
    for text in extra_user_scopes {
        match all.scope(text) {
            Ok(scope) => all.extend_user_role([scope]),
            Err(error) => {
                errors.push(ConfigError::value("auth.extra_user_scopes", error.to_string()));
            }
        }
    }
    ConfigError::none_of(errors)?;
    Ok(all)
}

/// Who has the roles, and who belongs to the groups.
pub(super) fn check(
    roles: Roles,
    raw: Vec<RawRole>,
    groups: Vec<RawGroup>,
    policy: &AccessPolicy,
    services: &[ServiceConfig],
) -> Result<RolesConfig, ConfigError> {
    let mut errors = Vec::new();
    let mut members = Vec::new();
    for role in raw {
        let at = |key: &str| format!("roles.{}.{key}", role.name);
        let users = role.users.as_deref().map(|users| names(&at("users"), users, policy));
        let users = users.transpose().map_err(|error| errors.push(error)).ok().flatten();
        if role.name == "admin" && (role.users.is_some() || role.groups.is_some()) {
            errors.push(ConfigError::value(
                "roles.admin",
                "is given to people by auth.admin_users or the user list, and to no group",
            ));
        }
        for name in role.services.iter().flatten() {
            if !services.iter().any(|service| service.name == *name) {
                errors.push(ConfigError::value(
                    at("services"),
                    format!("there is no service {name:?} in [[services]]"),
                ));
            }
        }
        let (groups, services) = (role.groups, role.services);
        members.push(RoleMembers { role: role.name, users, groups, services });
    }
    let mut known: Vec<GroupConfig> = Vec::new();
    for group in groups {
        if group.name.trim().is_empty() || known.iter().any(|one| one.name == group.name) {
            errors.push(ConfigError::value(
                "groups.name",
                format!("{:?} is empty or there twice", group.name),
            ));
        }
        match names(&format!("groups.{}.users", group.name), &group.users, policy) {
            Ok(users) => known.push(GroupConfig {
                name: group.name,
                users,
                properties: group.properties.and_then(|table| serde_json::to_value(table).ok()),
            }),
            Err(error) => errors.push(error),
        }
    }
    ConfigError::none_of(errors)?;
    Ok(RolesConfig { roles, members, groups: known })
}

fn names(key: &str, texts: &[String], policy: &AccessPolicy) -> Result<Vec<UserName>, ConfigError> {
    texts
        .iter()
        .map(|text| {
            policy.normalise(text).map_err(|error| {
                ConfigError::value(key, format!("{text:?} is no name of a user: {error}"))
            })
        })
        .collect()
}
