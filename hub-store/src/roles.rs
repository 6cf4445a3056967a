//! Who was given which role. What a role may do is configuration, and not here.

use std::collections::BTreeMap;

use hub_names::UserName;

use crate::{
    StoreError, UserId,
    engine::{Engine, Tx},
    row::Row,
    several,
    statement::statements,
    value::Value,
};

statements! {
    GIVE_USER: "give a user a role",
        "INSERT INTO role_members (role, user_id)
         SELECT CAST($1 AS TEXT), id FROM users WHERE name = $2 ON CONFLICT DO NOTHING";
    GIVE_GROUP: "give a group a role",
        "INSERT INTO role_members (role, group_id)
         SELECT CAST($1 AS TEXT), id FROM user_groups WHERE name = $2 ON CONFLICT DO NOTHING";
    GIVE_SERVICE: "give a service a role",
        "INSERT INTO role_members (role, service) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    TAKE_USERS: "take a role from all users",
        "DELETE FROM role_members WHERE role = $1 AND user_id IS NOT NULL";
    TAKE_GROUPS: "take a role from all groups",
        "DELETE FROM role_members WHERE role = $1 AND group_id IS NOT NULL";
    TAKE_SERVICES: "take a role from all services",
        "DELETE FROM role_members WHERE role = $1 AND service IS NOT NULL";
    ALL_ROLES: "list roles with members",
        "SELECT DISTINCT role FROM role_members ORDER BY role";
    FORGET: "forget a role",
        "DELETE FROM role_members WHERE role = $1";
    OF_USER: "list a user's roles",
        "SELECT role FROM role_members WHERE user_id = $1 ORDER BY role";
    OF_USERS: "list the roles of several users",
        concat!("SELECT user_id, role FROM role_members
         WHERE user_id IN (", several::users!(), ") ORDER BY role");
    THROUGH_GROUPS: "list the roles of a user's groups",
        "SELECT DISTINCT r.role FROM role_members r
         JOIN group_members m ON m.group_id = r.group_id WHERE m.user_id = $1 ORDER BY r.role";
    OF_GROUP: "list a group's roles",
        "SELECT r.role FROM role_members r JOIN user_groups g ON g.id = r.group_id
         WHERE g.name = $1 ORDER BY r.role";
    OF_SERVICE: "list a service's roles",
        "SELECT role FROM role_members WHERE service = $1 ORDER BY role";
}

/// Somebody who can have a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A user.
    User(UserName),
    /// Everybody in a group.
    Group(String),
    /// A service.
    Service(String),
}

/// Who was given which role.
#[derive(Clone, Copy, Debug)]
pub struct Roles<'s> {
    pub(crate) engine: &'s Engine,
}

impl Roles<'_> {
    /// Makes `users` the only users with the role. Who does not exist is passed over.
    pub async fn replace_users(&self, role: &str, users: &[UserName]) -> Result<(), StoreError> {
        let members: Vec<_> = users.iter().cloned().map(Member::User).collect();
        self.replace(&TAKE_USERS, role, &members).await
    }

    /// Makes `groups` the only groups with the role. What does not exist is passed over.
    pub async fn replace_groups(&self, role: &str, groups: &[String]) -> Result<(), StoreError> {
        let members: Vec<_> = groups.iter().cloned().map(Member::Group).collect();
        self.replace(&TAKE_GROUPS, role, &members).await
    }

    /// Makes `services` the only services with the role.
    pub async fn replace_services(
        &self,
        role: &str,
        services: &[String],
    ) -> Result<(), StoreError> {
        let members: Vec<_> = services.iter().cloned().map(Member::Service).collect();
        self.replace(&TAKE_SERVICES, role, &members).await
    }

    /// Forgets who had roles that are not in `roles`: those that are no longer
    /// configured.
    pub async fn forget_except(&self, roles: &[&str]) -> Result<(), StoreError> {
        const ACTION: &str = "forget roles";
        let mut tx = self.engine.begin(ACTION).await?;
        for role in names(&tx.read(&ALL_ROLES, &[]).await?)? {
            if !roles.contains(&role.as_str()) {
                tx.write(&FORGET, &[(&role).into()]).await?;
            }
        }
        tx.commit(ACTION).await?;
        Ok(())
    }

    /// The roles that the user was given by name, sorted.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<String>, StoreError> {
        names(&self.engine.read(&OF_USER, &[user.into()]).await?)
    }

    /// The roles that each of `users` who has any was given by name, sorted.
    pub async fn of_users(
        &self,
        users: &[UserId],
    ) -> Result<BTreeMap<UserId, Vec<String>>, StoreError> {
        several::texts(self.engine, &OF_USERS, users, "role_members", "role").await
    }

    /// The roles that the user has through groups, sorted.
    pub async fn of_groups_of(&self, user: UserId) -> Result<Vec<String>, StoreError> {
        names(&self.engine.read(&THROUGH_GROUPS, &[user.into()]).await?)
    }

    /// The roles of the group, sorted.
    pub async fn of_group(&self, group: &str) -> Result<Vec<String>, StoreError> {
        names(&self.engine.read(&OF_GROUP, &[group.into()]).await?)
    }

    /// The roles of the service, sorted.
    pub async fn of_service(&self, service: &str) -> Result<Vec<String>, StoreError> {
        names(&self.engine.read(&OF_SERVICE, &[service.into()]).await?)
    }

    async fn replace(
        &self,
        take: &crate::statement::Statement,
        role: &str,
        members: &[Member],
    ) -> Result<(), StoreError> {
        const ACTION: &str = "replace the members of a role";
        let mut tx = self.engine.begin(ACTION).await?;
        tx.write(take, &[role.into()]).await?;
        for member in members {
            give(&mut tx, role, member).await?;
        }
        tx.commit(ACTION).await?;
        Ok(())
    }
}

async fn give(tx: &mut Tx, role: &str, member: &Member) -> Result<(), StoreError> {
    let (statement, name): (_, Value<'_>) = match member {
        Member::User(name) => (&GIVE_USER, name.into()),
        Member::Group(name) => (&GIVE_GROUP, name.into()),
        Member::Service(name) => (&GIVE_SERVICE, name.into()),
    };
    tx.write(statement, &[role.into(), name]).await?;
    Ok(())
}

fn names(rows: &[Row]) -> Result<Vec<String>, StoreError> {
    rows.iter().map(|row| row.of("role_members").text("role")).collect()
}
