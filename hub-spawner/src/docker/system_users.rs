//! Servers that run as accounts of the host, in their homes (2.8). Mostly pure.

use std::path::{Path, PathBuf};

use hub_names::UserName;
use serde::Deserialize;

use super::{blueprint::Blueprint, mounts::Propagation};
use crate::{InvalidConfig, Preset, SavedState, SpawnError, template::Template};

/// Names in the saved state, as JupyterHub's spawner for system users has them.
const USER_ID: &str = "user_id";
const GROUP_ID: &str = "group_id";

/// Homes on the daemon's host, and servers that run as their owners. `{username}` is
/// the user's name as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SystemUsers {
    /// The home on the host. Empty: as `passwd_file` says.
    pub host_homedir: String,
    /// The home in the container.
    pub image_homedir: String,
    /// Whether mounts below the home are seen on the other side.
    pub homedir_bind_propagation: Option<Propagation>,
    /// Whether containers begin as root, for images that change to `NB_UID` themselves.
    pub run_as_root: bool,
    /// The number of all users. Default: each has their own.
    pub user_id: Option<u32>,
    /// The number of all users' group. Default: each has their own.
    pub group_id: Option<u32>,
    /// Where numbers are looked up that nobody tells: the host's `/etc/passwd`, mounted
    /// where the hub is a container. Default: nowhere.
    pub passwd_file: Option<PathBuf>,
}

/// The account one server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostAccount {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: Option<u32>,
    pub(super) host_home: String,
    pub(super) image_home: String,
    pub(super) propagation: Option<Propagation>,
    pub(super) run_as_root: bool,
}

impl Default for SystemUsers {
    fn default() -> Self {
        Self {
            host_homedir: "/home/{username}".to_owned(),
            image_homedir: "/home/{username}".to_owned(),
            homedir_bind_propagation: None,
            run_as_root: false,
            user_id: None,
            group_id: None,
            passwd_file: None,
        }
    }
}

/// What a line of `passwd` says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PasswdEntry {
    uid: u32,
    gid: u32,
    home: String,
}

impl SystemUsers {
    /// Checks what does not depend on a user.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let refuse = |reason: String| InvalidConfig::new("system_users", reason);
        for (key, text) in
            [("host_homedir", &self.host_homedir), ("image_homedir", &self.image_homedir)]
        {
            let template = read(text).map_err(|error| refuse(format!("{key}: {error}")))?;
            let is_empty = text.is_empty() && key == "host_homedir";
            if !is_empty && !template.render(|_| "ada".to_owned()).starts_with('/') {
                return Err(refuse(format!("{key}: {text:?} is no absolute path")));
            }
        }
        if self.host_homedir.is_empty() && self.passwd_file.is_none() {
            return Err(refuse("host_homedir: is needed where there is no passwd_file".to_owned()));
        }
        Ok(())
    }

    /// Who `user` is on the host (SYS-1): numbers of all, else those that the server had
    /// before, else what is known of the user, else what `passwd_file` says.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if nothing tells the number or the home.
    pub(super) async fn account(
        &self,
        user: &UserName,
        preset: &Preset,
        state: &SavedState,
    ) -> Result<HostAccount, SpawnError> {
        let entry = match &self.passwd_file {
            Some(file) => entry_of(file, user).await?,
            None => None,
        };
        let told = preset.uid.or(entry.as_ref().map(|entry| entry.uid));
        let account = self.resolve(user, preset, state, entry)?;
        if self.user_id.is_none() && told.is_some_and(|told| told != account.uid) {
            tracing::warn!(
                user = %user, uid = account.uid, told,
                "the server runs as it did before, and another number is told now; delete the \
                 user or the named server at the hub to have that one"
            );
        }
        Ok(account)
    }

    /// What is remembered of the account: numbers of all are not, so that they end with
    /// the setting.
    fn remembered(&self, account: &HostAccount) -> SavedState {
        let uid = Some(account.uid).filter(|_| self.user_id.is_none());
        let gid = account.gid.filter(|_| self.group_id.is_none());
        state(uid, gid)
    }

    fn resolve(
        &self,
        user: &UserName,
        preset: &Preset,
        state: &SavedState,
        entry: Option<PasswdEntry>,
    ) -> Result<HostAccount, SpawnError> {
        let refuse =
            |reason: String| SpawnError::Rejected { what: format!("a server for {user}"), reason };
        let uid = self.user_id.or(state.number(USER_ID)).or(preset.uid);
        let uid = uid.or(entry.as_ref().map(|entry| entry.uid));
        let Some(uid) = uid else {
            return Err(refuse(
                "nothing tells which number this user has on the host; set system_users.user_id, \
                 the user's own uid, or system_users.passwd_file"
                    .to_owned(),
            ));
        };
        let home = |text: &str| {
            let template = read(text).map_err(|error| refuse(error.to_string()))?;
            let path = template.render(|_| user.to_string());
            let bad = !path.starts_with('/')
                || path.contains(':')
                || path.split('/').any(|part| part == "..");
            if bad { Err(refuse(format!("{path:?} is no home directory"))) } else { Ok(path) }
        };
        let host_home = match (self.host_homedir.as_str(), &entry) {
            ("", Some(entry)) => home(&entry.home.replace('{', "{{").replace('}', "}}"))?,
            ("", None) => {
                return Err(refuse("the host's passwd file does not list this user".to_owned()));
            }
            (text, _) => home(text)?,
        };
        Ok(HostAccount {
            name: user.to_string(),
            uid,
            gid: self
                .group_id
                .or(state.number(GROUP_ID))
                .or(preset.gid)
                .or(entry.map(|entry| entry.gid)),
            host_home,
            image_home: home(&self.image_homedir)?,
            propagation: self.homedir_bind_propagation,
            run_as_root: self.run_as_root,
        })
    }
}

impl HostAccount {
    /// Whom the container begins as.
    pub(super) fn user(&self) -> String {
        match (self.run_as_root, self.gid) {
            (true, _) => "0".to_owned(),
            (false, Some(gid)) => format!("{}:{gid}", self.uid),
            (false, None) => self.uid.to_string(),
        }
    }

    /// Its home, in Docker's notation.
    pub(super) fn bind(&self) -> String {
        let mode = match self.propagation {
            Some(propagation) => format!("rw,{}", propagation.as_str()),
            None => "rw".to_owned(),
        };
        format!("{}:{}:{mode}", self.host_home, self.image_home)
    }

    /// The variables by which images know whom to run as.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("USER", self.name.clone()),
            ("NB_USER", self.name.clone()),
            ("USER_ID", self.uid.to_string()),
            ("NB_UID", self.uid.to_string()),
            ("HOME", self.image_home.clone()),
        ];
        variables.extend(self.gid.map(|gid| ("NB_GID", gid.to_string())));
        variables
    }
}

/// What is remembered of the account that a server runs as, if it runs as one.
pub(super) fn remembered(blueprint: &Blueprint, account: Option<&HostAccount>) -> SavedState {
    let both = blueprint.system_users.as_ref().zip(account);
    both.map_or_else(SavedState::default, |(users, account)| users.remembered(account))
}

/// What of a server's state outlives the server: files of its user have these numbers.
pub(super) fn lasting(known: &SavedState) -> SavedState {
    state(known.number(USER_ID), known.number(GROUP_ID))
}

fn state(uid: Option<u32>, gid: Option<u32>) -> SavedState {
    let numbers = [(USER_ID, uid), (GROUP_ID, gid)];
    let known = numbers.into_iter().filter_map(|(name, number)| Some((name, number?)));
    known.fold(SavedState::default(), |state, (name, number)| state.with(name, number))
}

async fn entry_of(file: &Path, user: &UserName) -> Result<Option<PasswdEntry>, SpawnError> {
    match tokio::fs::read_to_string(file).await {
        Ok(text) => Ok(find(&text, user.as_str())),
        Err(error) => Err(SpawnError::Rejected {
            what: "the setting system_users.passwd_file".to_owned(),
            reason: format!("{} cannot be read: {error}", file.display()),
        }),
    }
}

/// The line of a user, as passwd(5) has it.
fn find(text: &str, user: &str) -> Option<PasswdEntry> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        (*name == user).then_some(())?;
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        Some(PasswdEntry { uid, gid, home: (*home).to_owned() })
    })
}

fn read(text: &str) -> Result<Template, crate::template::InvalidTemplate> {
    Template::parse(text, &["username"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nada:x:1234:500:Ada:/srv/ada:/bin/sh\nbad";

    fn ada() -> UserName {
        "ada".parse().unwrap()
    }

    #[test]
    fn sys_1_the_first_that_tells_a_number_counts() {
        let entry = || find(PASSWD, "ada");
        let all = SystemUsers { user_id: Some(7), ..SystemUsers::default() };
        let preset = Preset { uid: Some(8), gid: Some(9), ..Preset::default() };
        let before = state(Some(5), Some(6)).with("object_id", "c0ffee");
        let nothing = SavedState::default();
        let of = |users: &SystemUsers, preset: &Preset, state: &SavedState, entry| {
            let found = users.resolve(&ada(), preset, state, entry).unwrap();
            (found.uid, found.gid)
        };
        let uid = |users: &SystemUsers, preset: &Preset, entry| of(users, preset, &nothing, entry);
        let each = SystemUsers::default();
        assert_eq!(of(&all, &preset, &before, entry()), (7, Some(6)));
        assert_eq!(of(&each, &preset, &before, entry()), (5, Some(6)));
        assert_eq!(of(&each, &Preset::default(), &state(Some(5), None), entry()), (5, Some(500)));
        assert_eq!(uid(&all, &preset, entry()), (7, Some(9)));
        assert_eq!(uid(&each, &preset, entry()), (8, Some(9)));
        assert_eq!(uid(&each, &Preset::default(), entry()), (1234, Some(500)));
        let refused = each.resolve(&ada(), &Preset::default(), &nothing, None).unwrap_err();
        assert!(refused.user_message().contains("passwd_file"), "{refused}");
        assert_eq!(find(PASSWD, "bob"), None);
    }

    #[test]
    fn sys_1_a_server_runs_in_the_home_of_its_user() {
        let users = SystemUsers {
            host_homedir: String::new(),
            homedir_bind_propagation: Some(Propagation::RSlave),
            ..SystemUsers::default()
        };
        let entry = find(PASSWD, "ada");
        let account = users.resolve(&ada(), &Preset::default(), &SavedState::default(), entry);
        let account = account.unwrap();
        assert_eq!(account.bind(), "/srv/ada:/home/ada:rw,rslave");
        assert_eq!(account.user(), "1234:500");
        let names: Vec<_> = account.variables().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["USER", "NB_USER", "USER_ID", "NB_UID", "HOME", "NB_GID"]);
        let root = HostAccount { run_as_root: true, ..account };
        assert_eq!(root.user(), "0");
    }

    #[tokio::test]
    async fn sys_1_a_server_keeps_the_numbers_it_had_unless_they_were_those_of_all() {
        let each = SystemUsers::default();
        let told = |uid| Preset { uid: Some(uid), gid: Some(9), ..Preset::default() };
        let first = each.account(&ada(), &told(8), &SavedState::default()).await.unwrap();
        let running =
            SavedState::default().with("object_id", "c0ffee").and(each.remembered(&first));
        let kept = lasting(&running);
        assert_eq!(kept, SavedState::default().with("user_id", 8).with("group_id", 9));
        // Also where nothing tells the number any more, or another one.
        for preset in [Preset::default(), told(10)] {
            let again = each.account(&ada(), &preset, &kept).await.unwrap();
            assert_eq!(again, first);
        }

        let all = SystemUsers { user_id: Some(7), group_id: Some(7), ..SystemUsers::default() };
        let shared = all.account(&ada(), &Preset::default(), &SavedState::default()).await.unwrap();
        assert!(all.remembered(&shared).is_empty());
    }

    #[test]
    fn a_name_leads_to_no_other_directory() {
        let preset = Preset { uid: Some(1), ..Preset::default() };
        for name in ["a:b", "ada:ro"] {
            let user = name.parse().unwrap();
            let found =
                SystemUsers::default().resolve(&user, &preset, &SavedState::default(), None);
            assert!(found.is_err(), "{name}");
        }
    }

    #[test]
    fn homes_that_make_no_sense_are_refused() {
        for (host, image) in [("home/{username}", "/h"), ("", "/h"), ("/h", ""), ("/{nope}", "/h")]
        {
            let users = SystemUsers {
                host_homedir: host.to_owned(),
                image_homedir: image.to_owned(),
                ..SystemUsers::default()
            };
            assert!(users.check().is_err(), "{host} {image}");
        }
        assert!(SystemUsers::default().check().is_ok());
    }
}
