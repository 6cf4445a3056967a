//! Where a command of the operator's tool belongs. Pure.

/// Flags of `hub` that may stand before its command and that a value follows.
const WITH_VALUE: [&str; 4] = ["--ca-file", "--timeout", "--token-file", "--url"];

/// What a running hub is asked for.
const OF_HUB: [&str; 6] = ["info", "reload", "servers", "tokens", "user", "users"];

/// Where a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Here: it reaches the hub's store and its volumes through the engine, and
    /// reads and writes files of this machine.
    AtHome {
        /// What it has to be told besides.
        further: Further,
    },
    /// In the hub's container, which has to run.
    AtRunningHub,
    /// In the hub's container, or in one like it.
    BesideHub,
}

/// What a command has to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Further {
    /// Which deployment is meant.
    pub(super) deployment: bool,
    /// Where the operator's files are.
    pub(super) directory: bool,
}

/// Where this command line of `hub` is to be run.
pub(super) fn place(arguments: &[String]) -> Place {
    let words = words(arguments);
    let (deployment, directory) = match (words.first(), words.get(1)) {
        _ if arguments.iter().any(|word| word == "--help" || word == "-h") => (false, false),
        (Some(&"backup"), Some(&"directory")) => (false, true),
        (Some(&"restore"), Some(&"directory")) => (false, false),
        (Some(&"backup"), Some(&"all")) => (true, true),
        (Some(&("backup" | "restore" | "gc")), _) => (true, false),
        (Some(&("users" | "user")), Some(&"purge")) => (true, false),
        // Reads and writes the hub's database.
        (Some(&("users" | "user")), Some(&"identity")) => return Place::BesideHub,
        (Some(word), _) if OF_HUB.contains(word) => return Place::AtRunningHub,
        _ => return Place::BesideHub,
    };
    Place::AtHome { further: Further { deployment, directory } }
}

/// The command without flags, as far as these may stand before it.
fn words(arguments: &[String]) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if WITH_VALUE.contains(&word) {
            rest.next();
        } else if !word.starts_with('-') {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Place {
        place(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn bak_1_what_works_on_this_machine_is_run_here_wherever_its_flags_stand() {
        let at_home =
            |deployment, directory| Place::AtHome { further: Further { deployment, directory } };
        for (line, expected) in [
            ("backup hub -o hub.tar", at_home(true, false)),
            ("--json backup all -o DIR", at_home(true, true)),
            ("--timeout 5 --json restore all -i DIR", at_home(true, false)),
            ("--url=https://a.example gc --orphans", at_home(true, false)),
            ("--url https://a.example users --json purge ada", at_home(true, false)),
            ("backup directory -o x.tar", at_home(false, true)),
            ("restore directory -i x.tar --into new", at_home(false, false)),
            ("users list", Place::AtRunningHub),
            ("--json users list", Place::AtRunningHub),
            ("users show backup", Place::AtRunningHub),
            ("users --help", at_home(false, false)),
            ("--token-file backup info", Place::AtRunningHub),
            ("users identity ada --forget github", Place::BesideHub),
            ("doctor", Place::BesideHub),
            ("config show --origin", Place::BesideHub),
            ("--version", Place::BesideHub),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }
}
