//! Whose server it is -> what its container and volumes are called. Pure.

use hub_names::{ServerKey, UserName};
use serde::Deserialize;

use super::older_name;
use crate::{
    InvalidConfig,
    engine::ImageReference,
    escaping::{cut, escape, marked},
    template::Template,
};

/// Fields of the templates for names and volumes (deployment contract, 2.2).
pub(super) const FIELDS: &[&str] =
    &["username", "raw_username", "servername", "raw_servername", "prefix", "imagename"];

/// Whether what a template gives depends on the user.
pub(super) fn by_user(template: &Template) -> bool {
    template.uses("username") || template.uses("raw_username")
}

/// Whether it depends on which of a user's servers it is.
pub(super) fn by_server(template: &Template) -> bool {
    template.uses("servername") || template.uses("raw_servername")
}

fn sample(user: &str, server: &str) -> ServerKey {
    ServerKey::new(
        user.parse().expect("the samples are valid names"),
        server.parse().expect("the samples are valid names"),
    )
}

/// As JupyterHub's Docker spawner.
const DEFAULT_TEMPLATE: &str = "{prefix}-{username}";
const NAMED_TEMPLATE: &str = "{prefix}-{username}--{servername}";

/// How containers are called, and what templates are filled with.
#[derive(Clone, Debug)]
pub(super) struct Names {
    default: Template,
    named: Template,
    prefix: String,
    image: String,
    escape: Escape,
}

/// How names of users and servers are written in names of containers and volumes
/// (deployment contract, 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Escape {
    /// Small letters and digits stay, all else is `-` and hexadecimal digits: good for
    /// host names.
    #[default]
    Dns,
    /// Letters, digits and hyphens stay, all else is `_` and hexadecimal digits: as
    /// DockerSpawner did before version 12.
    Legacy,
}

impl Escape {
    fn apply(self, text: &str) -> String {
        match self {
            Self::Dns => escape(text),
            Self::Legacy => older_name::escape_with_underscores(text),
        }
    }
}

impl Names {
    /// Reads the templates and tries them on a few names.
    ///
    /// # Errors
    ///
    /// If a template is malformed, makes a name that Docker refuses, or gives
    /// two servers the same name; the offending samples are named.
    pub(super) fn new(
        template: Option<&str>,
        prefix: &str,
        image: &ImageReference,
        escape: Escape,
    ) -> Result<Self, InvalidConfig> {
        let read = |text| {
            Template::parse(text, FIELDS)
                .map_err(|error| InvalidConfig::new("name_template", error.to_string()))
        };
        let names = Self {
            default: read(template.unwrap_or(DEFAULT_TEMPLATE))?,
            named: read(template.unwrap_or(NAMED_TEMPLATE))?,
            prefix: prefix.to_owned(),
            image: image.to_string().replace(['/', ':'], "-"),
            escape,
        };
        names.try_out()?;
        Ok(names)
    }

    /// The name of a server's container.
    pub(super) fn container(&self, key: &ServerKey) -> String {
        cut(self.full(key))
    }

    /// A name for when [`Names::container`] is taken by another server of ours:
    /// marked with a hash of the exact key.
    pub(super) fn unmistakable(&self, key: &ServerKey) -> String {
        let exact = format!("{}\0{}", key.user(), key.server());
        marked(&self.full(key), &exact)
    }

    /// The name of a network of `user` alone. Marked, so that it is nobody else's even
    /// where `network` ends like a user's name.
    pub(super) fn own_network(&self, network: &str, user: &UserName) -> String {
        let full = format!("{network}-{}", escape(user.as_str()));
        marked(&full, &format!("{network}\0{user}"))
    }

    /// Fills in a template.
    pub(super) fn render(&self, template: &Template, key: &ServerKey) -> String {
        self.render_as(template, key, &self.escape.apply(key.user().as_str()))
    }

    /// What a template was filled to by older spawners, the newest first (SPN-31).
    pub(super) fn render_older(&self, template: &Template, key: &ServerKey) -> Vec<String> {
        let spellings = match template.uses("username") && self.escape == Escape::Dns {
            true => older_name::spellings(key.user().as_str()),
            false => Vec::new(),
        };
        spellings.iter().map(|spelling| self.render_as(template, key, spelling)).collect()
    }

    fn render_as(&self, template: &Template, key: &ServerKey, username: &str) -> String {
        template.render(|field| match field {
            "username" => username.to_owned(),
            "raw_username" => key.user().to_string(),
            "servername" => self.escape.apply(&key.server().as_str().to_lowercase()),
            "raw_servername" => key.server().to_string(),
            "prefix" => self.prefix.clone(),
            _ => self.image.clone(),
        })
    }

    /// Why a template may give one volume to two servers that differ by what it uses.
    /// Labels refuse the second where few choose such names; here is refused what meets
    /// soon.
    pub(super) fn volume_clash(&self, template: &Template) -> Option<String> {
        let is_by_both = by_user(template) && by_server(template);
        let [one, other] = [sample("ada", "lab"), sample("adal", "ab")];
        let name = self.render(template, &one);
        (is_by_both && name == self.render(template, &other))
            .then(|| format!("gives {one} and {other} one volume, {name}"))
    }

    /// Why a template may give one directory of the host to two servers that differ by
    /// what it uses: nothing else keeps them apart, so that a user's and a server's name
    /// need between them what is in neither.
    pub(super) fn path_clash(&self, template: &Template) -> Option<String> {
        let is_name = |field: &str| field.ends_with("username") || field.ends_with("servername");
        let is_raw = |field: &str| field.starts_with("raw_");
        let are_apart = |(one, text, other): &(&str, String, &str)| {
            one.ends_with("username") == other.ends_with("username")
                || text.contains('/')
                || self.escape == Escape::Dns
                    && text.contains("--")
                    && !is_raw(one)
                    && !is_raw(other)
        };
        let gaps = template.between(is_name);
        gaps.into_iter().find(|gap| !are_apart(gap)).map(|(one, text, other)| {
            format!(
                "{{{one}}}{text}{{{other}}} is the same for some of different users; put a / \
                 between them"
            )
        })
    }

    fn full(&self, key: &ServerKey) -> String {
        let template = if key.server().is_default() { &self.default } else { &self.named };
        self.render(template, key)
    }

    fn try_out(&self) -> Result<(), InvalidConfig> {
        let samples = [("ada", ""), ("bob", ""), ("ada", "lab"), ("ad", "alab"), ("Ö @x.org", "")];
        let mut seen: Vec<(String, String)> = Vec::new();
        for (user, server) in samples {
            let key = sample(user, server);
            let name = self.container(&key);
            if !is_object_name(&name) {
                let reason = format!("makes {name:?} of {key}, which Docker refuses as a name");
                return Err(InvalidConfig::new("name_template", reason));
            }
            if let Some((_, other)) = seen.iter().find(|(seen, _)| *seen == name) {
                let reason = format!("gives {other} and {key} the same name, {name}");
                return Err(InvalidConfig::new("name_template", reason));
            }
            seen.push((name, key.to_string()));
        }
        Ok(())
    }
}

/// Whether Docker takes this as the name of a container or volume.
pub(super) fn is_object_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() >= 2
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(user: &str, server: &str) -> ServerKey {
        ServerKey::new(user.parse().unwrap(), server.parse().unwrap())
    }

    fn names() -> Names {
        Names::new(None, "jupyter", &"r.example/lab:4".parse().unwrap(), Escape::Dns).unwrap()
    }

    #[test]
    fn spn_6_names_are_escaped_as_dockerspawner_does() {
        let rows = [
            ("jtyberg", "jtyberg"),
            ("user@email.com", "user-40email-2ecom"),
            ("has-hyphen", "has-2dhyphen"),
            ("a_b", "a-5fb"),
            ("UPPER", "-55-50-50-45-52"),
            ("üser", "-c3-bcser"),
            ("x y", "x-20y"),
            ("user--foo", "user-2d-2dfoo"),
        ];
        for (name, escaped) in rows {
            assert_eq!(escape(name), escaped, "{name}");
        }
        assert_eq!(
            names().container(&key("user@x.io", "my Server_2")),
            "jupyter-user-40x-2eio--my-20server-5f2"
        );
        assert_eq!(names().container(&key("ada", "")), "jupyter-ada");
    }

    #[test]
    fn spn_5_long_names_are_cut_and_marked() {
        let first = names().container(&key(&"x".repeat(100), ""));
        let second = names().container(&key(&format!("{}y", "x".repeat(99)), ""));
        assert_eq!(first.len(), 63);
        assert!(first.starts_with("jupyter-xxx") && first[52..].starts_with("---"), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn spn_2_templates_are_tried_before_they_are_used() {
        let image = "lab".parse().unwrap();
        let rows = [
            ("{prefix}-{username}-{imagename}--{servername}", None),
            ("{nope}", Some("not known")),
            ("{username", Some("not closed")),
            ("server", Some("same name")),
            ("x-{username}", Some("gives ada/ and ada/lab the same name")),
            ("x-{username}{servername}", Some("gives ada/lab and ad/alab the same name")),
            ("x-{raw_username}-{servername}", Some("Docker refuses")),
            ("-{username}-{servername}", Some("Docker refuses")),
        ];
        for (template, complaint) in rows {
            let read = Names::new(Some(template), "jupyter", &image, Escape::Dns).err();
            let said = read.map(|error| error.to_string());
            match complaint {
                None => assert_eq!(said, None, "{template}"),
                Some(text) => assert!(
                    said.as_ref().is_some_and(|said| said.contains(text)),
                    "{template}: {said:?}"
                ),
            }
        }
    }

    #[test]
    fn spn_6_legacy_names_are_escaped_as_dockerspawner_did() {
        let rows = [
            ("jtyberg", "jtyberg"),
            ("user@email.com", "user_40email_2Ecom"),
            ("has-hyphen", "has-hyphen"),
            ("a_b", "a_5Fb"),
            ("UPPER", "UPPER"),
            ("üser", "_C3_BCser"),
            ("x y", "x_20y"),
            ("user--foo", "user--foo"),
        ];
        for (name, escaped) in rows {
            assert_eq!(Escape::Legacy.apply(name), escaped, "{name}");
        }
        let image = "lab".parse().unwrap();
        let legacy = Names::new(None, "jupyter", &image, Escape::Legacy).unwrap();
        assert_eq!(legacy.container(&key("ada@x", "")), "jupyter-ada_40x");
        let template = Template::parse("v-{username}", FIELDS).unwrap();
        assert!(legacy.render_older(&template, &key("a-b", "")).is_empty());
    }

    #[test]
    fn spn_36_networks_of_users_are_told_apart() {
        let own = |network: &str, user: &str| names().own_network(network, &user.parse().unwrap());
        assert_ne!(own("net", "ada-x"), own("net-ada", "x"));
        assert!(own("net", "ada").starts_with("net-ada---"));
        assert!(
            is_object_name(&own("net", &"x".repeat(200))) && own("n", &"x".repeat(200)).len() <= 63
        );
    }

    #[test]
    fn names_that_differ_only_in_case_can_be_told_apart() {
        let (big, small) = (key("ada", "Lab"), key("ada", "lab"));
        assert_eq!(names().container(&big), names().container(&small));
        assert_ne!(names().unmistakable(&big), names().unmistakable(&small));
    }

    /// Names that are likely to collide: few letters, many separators.
    fn tricky() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[ab2d][ab2dA@ü_-]{0,4}[ab2d-]").expect("a valid pattern")
    }

    proptest! {
        #[test]
        fn b6_distinct_servers_have_distinct_names(
            (user, server) in (tricky(), prop_oneof![Just(String::new()), tricky()]),
            (other_user, other_server) in (tricky(), prop_oneof![Just(String::new()), tricky()]),
        ) {
            let (one, other) = (key(&user, &server), key(&other_user, &other_server));
            // Server names are compared without regard to case, see above.
            let same = user == other_user && server.to_lowercase() == other_server.to_lowercase();
            prop_assert_eq!(names().container(&one) == names().container(&other), same);
            prop_assert_eq!(names().unmistakable(&one) == names().unmistakable(&other), one == other);
        }

        #[test]
        fn b6_escaping_is_injective(one in "\\PC{0,20}", other in "\\PC{0,20}") {
            for escape in [Escape::Dns, Escape::Legacy] {
                prop_assert_eq!(escape.apply(&one) == escape.apply(&other), one == other);
            }
        }

        #[test]
        fn b6_no_two_users_share_a_network(one in tricky(), other in tricky()) {
            let own = |user: &str| names().own_network("net", &user.parse().unwrap());
            prop_assert_eq!(own(&one) == own(&other), one == other);
        }

        #[test]
        fn b6_no_template_gives_two_servers_one_name(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("{username}"), Just("{servername}"), Just("{prefix}"), Just("-"),
                    Just("--"), Just("x"), Just("{{"), Just("{imagename}"),
                    Just("{raw_username}"), Just("{raw_servername}"),
                ],
                1..6,
            ),
            escape in prop_oneof![Just(Escape::Dns), Just(Escape::Legacy)],
            (user, server) in (tricky(), prop_oneof![Just(String::new()), tricky()]),
            (other_user, other_server) in (tricky(), prop_oneof![Just(String::new()), tricky()]),
        ) {
            let (one, other) = (key(&user, &server), key(&other_user, &other_server));
            let image = "lab".parse().unwrap();
            let read = Names::new(Some(&parts.concat()), "jupyter", &image, escape);
            // Most are refused when the hub starts. Of the others, two servers with one
            // name get names that are marked with whose they are.
            if let Ok(names) = read && one != other && names.container(&one) == names.container(&other) {
                prop_assert_ne!(names.unmistakable(&one), names.unmistakable(&other));
                prop_assert_ne!(names.container(&one), names.unmistakable(&other));
            }
        }

        #[test]
        fn spn_5_every_name_is_one_docker_takes(user in "\\PC{1,60}", server in "\\PC{0,60}") {
            let (Ok(user), Ok(server)) = (user.parse(), server.parse()) else { return Ok(()) };
            let name = names().container(&ServerKey::new(user, server));
            prop_assert!(name.len() <= 63 && is_object_name(&name), "{}", name);
        }
    }
}
