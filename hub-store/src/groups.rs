//! Groups, and who belongs to them.

use std::collections::BTreeMap;

use hub_names::UserName;
use serde_json::Value as Json;

use crate::{
    GroupId, StoreError, User, UserId,
    engine::{Engine, Tx},
    row::{Fields, Row},
    several,
    statement::statements,
    users,
    value::Value,
};

statements! {
    INSERT: "add a group",
        "INSERT INTO user_groups (name, properties) VALUES ($1, $2) RETURNING id, name, properties";
    INSERT_IF_ABSENT: "add a group",
        "INSERT INTO user_groups (name, properties) VALUES ($1, '{}') ON CONFLICT (name) DO NOTHING";
    BY_NAME: "look up a group",
        "SELECT id, name, properties FROM user_groups WHERE name = $1";
    PAGE: "list groups",
        "SELECT id, name, properties FROM user_groups ORDER BY id LIMIT $1 OFFSET $2";
    COUNT: "count groups",
        "SELECT count(*) AS total FROM user_groups";
    SET_PROPERTIES: "change a group's properties",
        "UPDATE user_groups SET properties = $2 WHERE id = $1";
    DELETE: "delete a group",
        "DELETE FROM user_groups WHERE id = $1";
    ADD_MEMBER: "add somebody to a group",
        "INSERT INTO group_members (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    REMOVE_MEMBER: "remove somebody from a group",
        "DELETE FROM group_members WHERE group_id = $1 AND user_id = $2";
    REMOVE_ALL: "remove everybody from a group",
        "DELETE FROM group_members WHERE group_id = $1";
    LEAVE_ALL: "remove somebody from all groups",
        "DELETE FROM group_members WHERE user_id = $1";
    JOIN: "add somebody to a group",
        "INSERT INTO group_members (group_id, user_id)
         SELECT id, CAST($2 AS BIGINT) FROM user_groups WHERE name = $1 ON CONFLICT DO NOTHING";
    MEMBERS: "list a group's members",
        concat!("SELECT ", users::columns!(), " FROM users u
         JOIN group_members m ON m.user_id = u.id
         JOIN user_groups g ON g.id = m.group_id WHERE g.name = $1 ORDER BY u.id");
    OF_USER: "list a user's groups",
        "SELECT g.name FROM user_groups g JOIN group_members m ON m.group_id = g.id
         WHERE m.user_id = $1 ORDER BY g.name";
    OF_USERS: "list the groups of several users",
        concat!("SELECT m.user_id, g.name FROM user_groups g
         JOIN group_members m ON m.group_id = g.id
         WHERE m.user_id IN (", several::users!(), ") ORDER BY g.name");
}

/// A group.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Group {
    /// Which group, for good.
    pub id: GroupId,
    /// What it is called.
    pub name: String,
    /// Whatever administrators keep about it: a JSON object.
    pub properties: Json,
}

/// Groups and who belongs to them.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'s> {
    pub(crate) engine: &'s Engine,
}

impl Groups<'_> {
    /// Adds a group with these members.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if there is one of that name,
    /// [`StoreError::Missing`] if a member does not exist; nothing is added then.
    pub async fn create(&self, name: &str, members: &[UserId]) -> Result<Group, StoreError> {
        let mut tx = self.engine.begin(INSERT.action).await?;
        let properties = Json::Object(serde_json::Map::new());
        let rows = tx
            .read(&INSERT, &[name.into(), (&properties).into()])
            .await
            .map_err(|failure| failure.conflict("group"))?;
        let row = rows.first().ok_or(StoreError::Missing { what: "group" })?;
        let group = Group::read(row.of("user_groups"))?;
        for member in members {
            tx.write(&ADD_MEMBER, &[group.id.into(), (*member).into()])
                .await
                .map_err(|failure| failure.missing("user"))?;
        }
        tx.commit(INSERT.action).await?;
        Ok(group)
    }

    /// Makes sure that there is a group of that name.
    pub async fn ensure(&self, name: &str) -> Result<Group, StoreError> {
        self.engine.write(&INSERT_IF_ABSENT, &[name.into()]).await?;
        self.by_name(name).await?.ok_or(StoreError::Missing { what: "group" })
    }

    /// The group of that name.
    pub async fn by_name(&self, name: &str) -> Result<Option<Group>, StoreError> {
        let row = self.engine.read_one(&BY_NAME, &[name.into()]).await?;
        row.map(|row| Group::read(row.of("user_groups"))).transpose()
    }

    /// Some of the groups, in the order they were added.
    pub async fn page(&self, offset: u64, limit: u64) -> Result<Vec<Group>, StoreError> {
        let rows = self.engine.read(&PAGE, &[Value::count(limit), Value::count(offset)]).await?;
        rows.iter().map(|row| Group::read(row.of("user_groups"))).collect()
    }

    /// How many groups there are.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let row = self.engine.read_one(&COUNT, &[]).await?;
        let total = row.map(|row| row.of("user_groups").int("total")).transpose()?.unwrap_or(0);
        Ok(u64::try_from(total).unwrap_or(0))
    }

    /// Replaces what is kept about the group.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such group.
    pub async fn set_properties(&self, id: GroupId, properties: &Json) -> Result<(), StoreError> {
        match self.engine.write(&SET_PROPERTIES, &[id.into(), properties.into()]).await? {
            0 => Err(StoreError::Missing { what: "group" }),
            _ => Ok(()),
        }
    }

    /// Deletes the group, its members' shares and roles through it included; returns
    /// whether it was there.
    pub async fn delete(&self, id: GroupId) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE, &[id.into()]).await? > 0)
    }

    /// Adds people to the group; those who belong to it stay.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if the group or one of them does not exist; nobody is
    /// added then.
    pub async fn add(&self, id: GroupId, users: &[UserId]) -> Result<(), StoreError> {
        let mut tx = self.engine.begin(ADD_MEMBER.action).await?;
        for user in users {
            tx.write(&ADD_MEMBER, &[id.into(), (*user).into()])
                .await
                .map_err(|failure| failure.missing("group or user"))?;
        }
        tx.commit(ADD_MEMBER.action).await?;
        Ok(())
    }

    /// Takes people out of the group; those who do not belong to it are passed over.
    pub async fn remove(&self, id: GroupId, users: &[UserId]) -> Result<(), StoreError> {
        let mut tx = self.engine.begin(REMOVE_MEMBER.action).await?;
        for user in users {
            tx.write(&REMOVE_MEMBER, &[id.into(), (*user).into()]).await?;
        }
        tx.commit(REMOVE_MEMBER.action).await?;
        Ok(())
    }

    /// Makes `users` the only members of the group.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if the group or one of them does not exist; nothing is
    /// changed then.
    pub async fn replace(&self, id: GroupId, users: &[UserId]) -> Result<(), StoreError> {
        const ACTION: &str = "replace a group's members";
        let mut tx = self.engine.begin(ACTION).await?;
        tx.write(&REMOVE_ALL, &[id.into()]).await?;
        for user in users {
            tx.write(&ADD_MEMBER, &[id.into(), (*user).into()])
                .await
                .map_err(|failure| failure.missing("group or user"))?;
        }
        tx.commit(ACTION).await?;
        Ok(())
    }

    /// Makes `groups` the only ones that the user belongs to, and adds those that do
    /// not exist yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such user; nothing is changed then.
    pub async fn replace_of_user(&self, user: UserId, groups: &[String]) -> Result<(), StoreError> {
        const ACTION: &str = "replace a user's groups";
        let mut tx = self.engine.begin(ACTION).await?;
        tx.write(&LEAVE_ALL, &[user.into()]).await?;
        for group in groups {
            join(&mut tx, group, user).await?;
        }
        tx.commit(ACTION).await?;
        Ok(())
    }

    /// The members of the group of that name, in the order they were added to the
    /// hub; none if there is no such group.
    pub async fn members(&self, name: &str) -> Result<Vec<User>, StoreError> {
        let rows = self.engine.read(&MEMBERS, &[name.into()]).await?;
        rows.iter().map(|row| User::read(row.of("users"))).collect()
    }

    /// The names of the members of the group of that name.
    pub async fn member_names(&self, name: &str) -> Result<Vec<UserName>, StoreError> {
        Ok(self.members(name).await?.into_iter().map(|user| user.name).collect())
    }

    /// The names of the groups that the user belongs to, sorted.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<String>, StoreError> {
        names(&self.engine.read(&OF_USER, &[user.into()]).await?)
    }

    /// The names of the groups of each of `users` who is in any, sorted.
    pub async fn of_users(
        &self,
        users: &[UserId],
    ) -> Result<BTreeMap<UserId, Vec<String>>, StoreError> {
        several::texts(self.engine, &OF_USERS, users, "user_groups", "name").await
    }
}

/// Adds the user to the group, which is added if there is none of that name.
pub(crate) async fn join(tx: &mut Tx, group: &str, user: UserId) -> Result<(), StoreError> {
    tx.write(&INSERT_IF_ABSENT, &[group.into()]).await?;
    tx.write(&JOIN, &[group.into(), user.into()])
        .await
        .map_err(|failure| failure.missing("user"))?;
    Ok(())
}

impl Group {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: GroupId::new(fields.int("id")?),
            name: fields.text("name")?,
            properties: fields.json("properties")?,
        })
    }
}

fn names(rows: &[Row]) -> Result<Vec<String>, StoreError> {
    rows.iter().map(|row| row.of("user_groups").text("name")).collect()
}
