//! The file of `auth.userlist`.

use std::{collections::BTreeMap, io::ErrorKind, path::Path};

use hub_auth::{Userlist, UserlistEntry};
use hub_names::UserName;
use hub_spawner::{Preset, docker::DockerConfig};

use super::{ConfigError, read};

/// What a user list says.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Everybody on it, and whether they are administrators.
    pub(super) entries: Vec<(UserName, bool)>,
    /// What it says about people's servers (USR-7).
    pub(super) presets: BTreeMap<UserName, Preset>,
    /// Which groups it puts people into (USR-7).
    pub(super) groups: BTreeMap<String, Vec<UserName>>,
    /// The lines that were left out.
    pub(super) warnings: Vec<String>,
}

/// Reads the list. With `lenient`, bad lines are left out and told (USR-3).
///
/// # Errors
///
/// That it cannot be read, or all lines that are bad.
pub(super) fn read(path: &Path, lenient: bool) -> Result<Listed, ConfigError> {
    let text = read::text(path).map_err(|error| match error {
        ConfigError::Unreadable { source, .. } if source.kind() == ErrorKind::NotFound => {
            ConfigError::value(
                "auth.userlist",
                format!(
                    "{}: there is no such file; write one user a line, administrators with a second word, for example `zoe admin`",
                    path.display()
                ),
            )
        }
        other => other,
    })?;
    let (list, errors) = Userlist::parse_lenient(&text);
    let mut bad: Vec<(usize, String)> =
        errors.iter().map(|error| (error.line, error.problem.to_string())).collect();
    let file = path.display().to_string();
    let mut listed = Listed::default();
    for entry in list.entries {
        listed.warnings.extend(
            doubts(&entry).into_iter().map(|doubt| format!("{file}:{}: {doubt}", entry.line)),
        );
        match preset(&entry) {
            Ok(preset) => {
                if preset != Preset::default() {
                    listed.presets.insert(entry.name.clone(), preset);
                }
                for group in entry.fields.groups {
                    listed.groups.entry(group).or_default().push(entry.name.clone());
                }
                listed.entries.push((entry.name, entry.admin));
            }
            Err(problem) => bad.push((entry.line, problem)),
        }
    }
    bad.sort();
    if lenient {
        listed.warnings.extend(
            bad.into_iter()
                .map(|(line, problem)| format!("{file}:{line}: {problem}; the line is left out")),
        );
        return Ok(listed);
    }
    ConfigError::none_of(
        bad.into_iter()
            .map(|(line, message)| ConfigError::Syntax { file: file.clone(), line, message })
            .collect(),
    )?;
    Ok(listed)
}

/// What looks like a mistake in a line that is taken, for the old hub took it, too.
fn doubts(entry: &UserlistEntry) -> Option<String> {
    let text = entry.nearly_admin.as_ref()?;
    Some(format!(
        "{text:?} after {} makes nobody an administrator; write `admin`, or leave it out",
        entry.name
    ))
}

/// What a line says about its owner's servers.
fn preset(entry: &UserlistEntry) -> Result<Preset, String> {
    let fields = &entry.fields;
    let at =
        |key: &str, problem: &dyn std::fmt::Display| format!("{key}= of {}: {problem}", entry.name);
    let memory_limit = match &fields.mem {
        Some(text) => Some(text.parse().map_err(|error| at("mem", &error))?),
        None => None,
    };
    let cpu_limit = match &fields.cpu {
        Some(text) => match text.parse::<f64>() {
            Ok(count) if count.is_finite() && count >= 0.01 => Some(count),
            _ => return Err(at("cpu", &"write a number of processors, such as 1.5")),
        },
        None => None,
    };
    if let Some(image) = &fields.image {
        DockerConfig::new(image.as_str()).validate().map_err(|error| at("image", &error.reason))?;
    }
    let number = |key: &str, field: &Option<String>| match field {
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| at(key, &"write the number of an account of the host, such as 1001")),
        None => Ok(None),
    };
    Ok(Preset {
        image: fields.image.clone(),
        memory_limit,
        cpu_limit,
        uid: number("uid", &fields.uid)?,
        gid: number("gid", &fields.gid)?,
        ..Preset::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str, lenient: bool) -> Result<Listed, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("userlist");
        std::fs::write(&path, text).unwrap();
        read(&path, lenient)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "userlist"))
    }

    #[test]
    fn usr_3_every_bad_line_is_told_and_lenient_leaves_them_out() {
        let text =
            "zoe admin\na/b\nmax mem=lots\nwash cpu=0\nkay group=crew\nlee image=A\nsue uid=-1\n";
        let error = listed(text, false).unwrap_err();
        for (line, part) in [
            (2, "is not a user name"),
            (3, "mem= of max"),
            (4, "cpu= of wash: write a number"),
            (6, "image= of lee"),
            (7, "uid= of sue: write the number of an account"),
        ] {
            let found = error.lines().find(|one| one.starts_with(&format!("userlist:{line}: ")));
            assert!(found.is_some_and(|one| one.contains(part)), "{line} {part}: {error}");
        }
        let listed = listed(text, true).unwrap();
        let entry = |name: &str, admin| (name.parse::<UserName>().unwrap(), admin);
        assert_eq!(listed.entries, [entry("zoe", true), entry("kay", false)]);
        assert_eq!(listed.warnings.len(), 5);
    }

    #[test]
    fn usr_4_what_the_old_hub_passed_over_is_told_and_taken() {
        let listed = listed("zoe Admin\nkay group=crew\nmax x\nlee adminn\nlee admin\n", false);
        let listed = listed.unwrap();
        let entry = |name: &str, admin| (name.parse::<UserName>().unwrap(), admin);
        let expected =
            [entry("zoe", false), entry("kay", false), entry("max", false), entry("lee", true)];
        assert_eq!(listed.entries, expected);
        let [only] = listed.warnings.as_slice() else { panic!("{:?}", listed.warnings) };
        assert!(only.contains("userlist:1: \"Admin\" after zoe makes nobody"), "{only}");
    }

    #[test]
    fn usr_7_fields_become_presets() {
        let listed = listed("zoe mem=2G cpu=1.5\nmax image=lab:5\nwash\n", false).unwrap();
        let zoe = &listed.presets[&"zoe".parse::<UserName>().unwrap()];
        assert_eq!(zoe.memory_limit.unwrap().bytes(), 2 << 30);
        assert_eq!((zoe.cpu_limit, &zoe.image), (Some(1.5), &None));
        assert_eq!(listed.presets.len(), 2);
    }

    #[test]
    fn sys_1_numbers_on_the_host_become_presets() {
        let listed = listed("zoe uid=1001 gid=100\nmax uid=0\n", false).unwrap();
        let numbers = |name: &str| {
            let preset = &listed.presets[&name.parse::<UserName>().unwrap()];
            (preset.uid, preset.gid)
        };
        assert_eq!(numbers("zoe"), (Some(1001), Some(100)));
        assert_eq!(numbers("max"), (Some(0), None));
    }

    #[test]
    fn usr_7_groups_have_their_people() {
        let text = "zoe group=crew group=bridge\nkay group=crew\nzoe group=crew\nmax\n";
        let groups = listed(text, false).unwrap().groups;
        let names: Vec<(&str, Vec<&str>)> = groups
            .iter()
            .map(|(group, users)| (group.as_str(), users.iter().map(UserName::as_str).collect()))
            .collect();
        assert_eq!(names, [("bridge", vec!["zoe"]), ("crew", vec!["zoe", "zoe", "kay"])]);
    }

    #[test]
    fn a_hundred_thousand_lines_are_read() {
        let text: String = (0..100_000).map(|n| format!("user{n}\n")).collect();
        assert_eq!(listed(&text, false).unwrap().entries.len(), 100_000);
    }
}
