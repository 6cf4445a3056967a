//! All roles and rights of one hub: the built-in ones and those of its operator.

use std::collections::BTreeMap;

use hub_names::UserName;

use crate::{
    role::Role,
    scope::{CustomName, InvalidScope, Owner, Scope, ScopeName, ScopeSet},
};

/// Shortest and longest name of a role, in characters.
const NAME_LEN: std::ops::RangeInclusive<usize> = 3..=255;

/// A named set of scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDefinition {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its scopes, as written.
    pub scopes: Vec<Scope>,
}

/// A right that an operator has made up, for services to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomScope {
    /// What it allows, for the person who is asked to grant it.
    pub description: String,
    /// The made-up rights that follow from it.
    pub subscopes: Vec<CustomName>,
}

/// All roles and made-up rights of one hub.
///
/// ```
/// use hub_auth::Roles;
///
/// let mut roles = Roles::default();
/// roles.define("teacher", None, Some(&["read:users!group=class".to_owned()])).unwrap();
/// let ada = roles.user_scopes(&"ada".parse().unwrap(), false, &["teacher".to_owned()]);
/// assert!(ada.to_strings().contains(&"read:users:name!group=class".to_owned()));
/// ```
#[derive(Clone, Debug)]
pub struct Roles {
    roles: BTreeMap<String, RoleDefinition>,
    custom: BTreeMap<CustomName, CustomScope>,
}

/// A role or a right that cannot be defined so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRole {
    /// It has no name that a role may have.
    #[error(
        "{0:?} is no name for a role; use 3 to 255 of a-z 0-9 - _ ~ . that begin with a letter and end with a letter or a digit"
    )]
    Name(String),
    /// What an administrator may do is not for configuration.
    #[error("the role admin cannot be redefined; give people another role instead")]
    Admin,
    /// It is defined already.
    #[error("{0:?} is defined twice")]
    Twice(String),
    /// One of its scopes is none.
    #[error("{0}")]
    Scope(#[from] InvalidScope),
    /// A name that a made-up right may not have.
    #[error(
        "{0:?} is no name for a scope; write custom: and then a-z 0-9 _ - * : beginning with a letter or a digit"
    )]
    CustomName(String),
    /// A right that follows from a made-up right and is not made up itself.
    #[error("{subscope:?}, which {scope:?} is to imply, is in no [[custom_scopes]]")]
    Subscope {
        /// The right.
        scope: String,
        /// What is to follow from it.
        subscope: String,
    },
    /// Nobody could tell what they are asked to grant.
    #[error("{0:?} has no description")]
    Undescribed(String),
}

impl Default for Roles {
    /// The built-in roles.
    fn default() -> Self {
        let roles = Role::ALL.map(|role| {
            let definition = RoleDefinition {
                name: role.name().to_owned(),
                description: role.description().to_owned(),
                scopes: role.scopes(),
            };
            (definition.name.clone(), definition)
        });
        Self { roles: BTreeMap::from(roles), custom: BTreeMap::new() }
    }
}

impl Roles {
    /// Adds a made-up right. Those that follow from it are looked at by
    /// [`check_custom`](Self::check_custom), when all are there.
    ///
    /// # Errors
    ///
    /// As the variants of [`InvalidRole`] say; nothing is added then.
    pub fn define_scope(
        &mut self,
        name: &str,
        description: &str,
        subscopes: &[String],
    ) -> Result<(), InvalidRole> {
        let custom =
            |text: &str| text.parse().map_err(|()| InvalidRole::CustomName(text.to_owned()));
        let key: CustomName = custom(name)?;
        if description.trim().is_empty() {
            return Err(InvalidRole::Undescribed(name.to_owned()));
        }
        let subscopes = subscopes.iter().map(|text| custom(text)).collect::<Result<_, _>>()?;
        let scope = CustomScope { description: description.to_owned(), subscopes };
        match self.custom.insert(key, scope) {
            None => Ok(()),
            Some(_) => Err(InvalidRole::Twice(name.to_owned())),
        }
    }

    /// Whether everything that made-up rights imply is there.
    ///
    /// # Errors
    ///
    /// [`InvalidRole::Subscope`] for the first that is not.
    pub fn check_custom(&self) -> Result<(), InvalidRole> {
        for (name, scope) in &self.custom {
            if let Some(missing) = scope.subscopes.iter().find(|sub| !self.custom.contains_key(sub))
            {
                return Err(InvalidRole::Subscope {
                    scope: name.as_str().to_owned(),
                    subscope: missing.as_str().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Adds a role, or replaces what is given of a built-in one; `admin` cannot be
    /// changed.
    ///
    /// # Errors
    ///
    /// As the variants of [`InvalidRole`] say; nothing is changed then.
    pub fn define(
        &mut self,
        name: &str,
        description: Option<&str>,
        scopes: Option<&[String]>,
    ) -> Result<(), InvalidRole> {
        if !is_role_name(name) {
            return Err(InvalidRole::Name(name.to_owned()));
        }
        let scopes = scopes
            .map(|texts| texts.iter().map(|text| self.scope(text)).collect::<Result<Vec<_>, _>>())
            .transpose()?;
        let builtin: Option<Role> = name.parse().ok();
        let definition = match (builtin, self.roles.get_mut(name)) {
            (Some(Role::Admin), _) => {
                // Naming its members is fine; saying what it may do is not.
                return if scopes.is_none() { Ok(()) } else { Err(InvalidRole::Admin) };
            }
            (Some(_), Some(definition)) => definition,
            (None, Some(_)) => return Err(InvalidRole::Twice(name.to_owned())),
            (_, None) => self.roles.entry(name.to_owned()).or_insert_with(|| RoleDefinition {
                name: name.to_owned(),
                description: String::new(),
                scopes: Vec::new(),
            }),
        };
        if let Some(description) = description {
            description.clone_into(&mut definition.description);
        }
        if let Some(scopes) = scopes {
            definition.scopes = scopes;
        }
        Ok(())
    }

    /// Adds scopes to what everybody may do.
    pub fn extend_user_role(&mut self, scopes: impl IntoIterator<Item = Scope>) {
        if let Some(role) = self.roles.get_mut(Role::User.name()) {
            role.scopes.extend(scopes);
        }
    }

    /// The scope that `text` writes.
    ///
    /// # Errors
    ///
    /// When it is none of this hub's.
    pub fn scope(&self, text: &str) -> Result<Scope, InvalidScope> {
        let scope: Scope = text.parse()?;
        match &scope.name {
            ScopeName::Custom(name) if !self.custom.contains_key(name) => {
                Err(InvalidScope::UndefinedCustom(name.as_str().to_owned()))
            }
            _ => Ok(scope),
        }
    }

    /// The role of that name.
    pub fn get(&self, name: &str) -> Option<&RoleDefinition> {
        self.roles.get(name)
    }

    /// All roles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &RoleDefinition> {
        self.roles.values()
    }

    /// The scopes of these roles, as written. A role that is not defined has none.
    pub fn scopes_of<'a>(&'a self, roles: impl IntoIterator<Item = &'a str>) -> Vec<Scope> {
        roles
            .into_iter()
            .filter_map(|name| self.roles.get(name))
            .flat_map(|role| role.scopes.iter().cloned())
            .collect()
    }

    /// What `scope` allows, for the person who is asked to grant it.
    pub fn meaning(&self, scope: &ScopeName) -> &str {
        match scope {
            ScopeName::Custom(name) => {
                self.custom.get(name).map_or("", |custom| custom.description.as_str())
            }
            scope => scope.meaning(),
        }
    }

    /// Everything a person may do by their roles: `user`, `admin` for administrators,
    /// and `more`.
    pub fn user_scopes(&self, user: &UserName, admin: bool, more: &[String]) -> ScopeSet {
        let admin = admin.then_some(Role::Admin.name());
        let names = [Role::User.name()].into_iter().chain(admin);
        let raw = self.scopes_of(names.chain(more.iter().map(String::as_str)));
        ScopeSet::expand(self.spell_out(raw), &Owner::User(user.clone()), None)
    }

    /// The scopes with all made-up rights that follow from them, each under the same
    /// filter. What follows from the other rights is known to [`ScopeSet::expand`].
    pub fn spell_out(&self, raw: impl IntoIterator<Item = Scope>) -> Vec<Scope> {
        let mut found: Vec<Scope> = Vec::new();
        let mut open: Vec<Scope> = raw.into_iter().collect();
        while let Some(scope) = open.pop() {
            if found.contains(&scope) {
                continue;
            }
            if let ScopeName::Custom(name) = &scope.name {
                let implied = self.custom.get(name).map_or(&[][..], |custom| &custom.subscopes);
                open.extend(implied.iter().map(|sub| Scope {
                    name: ScopeName::Custom(sub.clone()),
                    filter: scope.filter.clone(),
                }));
            }
            found.push(scope);
        }
        found
    }
}

/// JupyterHub's rule for names of roles.
fn is_role_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    NAME_LEN.contains(&bytes.len())
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && bytes.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_~.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Access;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn ada() -> UserName {
        "ada".parse().unwrap()
    }

    #[test]
    fn a_role_is_named_as_jupyterhub_names_them() {
        for name in ["abc", "a-b", "read_er", "a~b", "v1.0", &format!("a{}", "b".repeat(254))] {
            assert!(is_role_name(name), "{name}");
        }
        for name in ["", "a", "ab", "Abc", "1ab", "ab-", "a b", "äbc", &"a".repeat(256)] {
            assert!(!is_role_name(name), "{name}");
        }
    }

    #[test]
    fn built_in_roles_can_be_changed_in_part_but_not_the_administrators() {
        let mut roles = Roles::default();
        roles.define("user", None, Some(&texts(&["self", "read:hub"]))).unwrap();
        assert_eq!(roles.get("user").unwrap().description, Role::User.description());
        assert_eq!(roles.user_scopes(&ada(), false, &[]).access(ScopeName::ReadHub), Access::All);
        roles.define("token", Some("less"), None).unwrap();
        assert_eq!(roles.get("token").unwrap().scopes, Role::Token.scopes());

        assert_eq!(roles.define("admin", Some("x"), None), Ok(()));
        assert_eq!(roles.define("admin", None, Some(&[])), Err(InvalidRole::Admin));
        assert_eq!(roles.get("admin").unwrap().scopes, Role::Admin.scopes());
    }

    #[test]
    fn a_wrong_role_changes_nothing_and_says_why() {
        let mut roles = Roles::default();
        let wrong = roles.define("helper", None, Some(&texts(&["read:hub", "read:everything"])));
        let unknown = InvalidScope::UnknownName("read:everything".to_owned());
        assert_eq!(wrong, Err(InvalidRole::Scope(unknown)));
        assert_eq!(roles.get("helper"), None);
        roles.define("helper", None, None).unwrap();
        let twice = roles.define("helper", None, None);
        assert_eq!(twice, Err(InvalidRole::Twice("helper".to_owned())));
        assert_eq!(roles.define("x", None, None), Err(InvalidRole::Name("x".to_owned())));
    }

    #[test]
    fn made_up_rights_imply_one_another_under_the_same_filter() {
        let mut roles = Roles::default();
        roles
            .define_scope("custom:grades:all", "Grades.", &texts(&["custom:grades:read"]))
            .unwrap();
        assert!(matches!(roles.check_custom(), Err(InvalidRole::Subscope { .. })));
        roles.define_scope("custom:grades:read", "Read grades.", &[]).unwrap();
        roles.check_custom().unwrap();
        roles.define("grader", None, Some(&texts(&["custom:grades:all!group=class"]))).unwrap();

        let held = roles.user_scopes(&ada(), false, &texts(&["grader", "gone"]));
        let custom: Vec<_> =
            held.to_strings().into_iter().filter(|text| text.starts_with("custom:")).collect();
        assert_eq!(custom, ["custom:grades:all!group=class", "custom:grades:read!group=class"]);
        let name = roles.scope("custom:grades:read").unwrap().name;
        assert_eq!(roles.meaning(&name), "Read grades.");
    }

    #[test]
    fn made_up_rights_need_a_name_and_a_description() {
        let mut roles = Roles::default();
        for name in ["grades", "custom:", "custom:a", "custom:A:b", "custom:-ab", "custom:ab-"] {
            let wrong = roles.define_scope(name, "x", &[]);
            assert_eq!(wrong, Err(InvalidRole::CustomName(name.to_owned())), "{name}");
        }
        let mute = roles.define_scope("custom:abc", " ", &[]);
        assert_eq!(mute, Err(InvalidRole::Undescribed("custom:abc".to_owned())));
        let undefined = roles.scope("custom:abc!user=ada");
        assert_eq!(undefined, Err(InvalidScope::UndefinedCustom("custom:abc".to_owned())));
    }
}
