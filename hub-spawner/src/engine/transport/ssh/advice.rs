//! What `ssh` and the program on the other side complained about -> what to do.
//! Pure.

use super::DialFailure;

pub(super) const NO_SSH: &str = "the program ssh is missing; install openssh-client";
const UNKNOWN_HOST: &str = "its ssh key is unknown or has changed; compare the key, then connect \
                            once by hand with ssh, as the same user, or add it to known_hosts";
const NO_KEY: &str = "ssh is not let in and never asks for a password; give this process's user \
                      a key that is accepted there (ssh-copy-id), and try ssh by hand";
const NO_NAME: &str = "the name of the machine cannot be resolved; correct DOCKER_HOST";
const NO_SERVER: &str = "no ssh server answers there; check address, port and firewalls";
const NO_GROUP: &str = "ssh works, but its user may not use Docker there; add that user to the \
                        group docker on that machine";
const NO_DAEMON: &str = "ssh works, but no Docker daemon answers there; start it, or add the \
                         path of its socket to the address: ssh://user@host/run/docker.sock";
const NO_PROGRAM: &str = "ssh works, but there is no program docker there";
const NO_SOCKET: &str = "ssh works, but no socket is reached there; check its path, that Docker \
                         runs, that the user is in the group docker, and that the ssh server \
                         forwards sockets (AllowStreamLocalForwarding)";
const UNCLEAR: &str = "ssh ended without a connection; try it by hand as the same user";

/// The exit code of a shell that finds no such program.
pub(super) const NOT_FOUND: i32 = 127;

/// Words in complaints, in lower case. The first that is found counts.
const KNOWN: &[(&str, &str)] = &[
    ("host key verification failed", UNKNOWN_HOST),
    ("remote host identification has changed", UNKNOWN_HOST),
    ("could not resolve hostname", NO_NAME),
    ("permission denied while trying to connect", NO_GROUP),
    ("connect: permission denied", NO_GROUP),
    ("permission denied (", NO_KEY),
    ("too many authentication failures", NO_KEY),
    ("connect: no such file or directory", NO_DAEMON),
    ("cannot connect to the docker daemon", NO_DAEMON),
    ("connect: connection refused", NO_DAEMON),
    ("connection refused", NO_SERVER),
    ("connection timed out", NO_SERVER),
    ("no route to host", NO_SERVER),
    ("network is unreachable", NO_SERVER),
    ("connection closed by", NO_SERVER),
    ("connection reset by", NO_SERVER),
    ("kex_exchange_identification", NO_SERVER),
];

/// What to do about a process that ended with `code` and these last words.
pub(super) fn failure(code: Option<i32>, words: &str) -> DialFailure {
    let lower = words.to_lowercase();
    let known = KNOWN.iter().find(|(text, _)| lower.contains(text)).map(|(_, advice)| *advice);
    let advice = match known {
        Some(advice) => advice,
        None if code == Some(NOT_FOUND) => NO_PROGRAM,
        None => UNCLEAR,
    };
    // A banner may come first; the reason comes last.
    let mut lines: Vec<&str> = words.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let tail = lines.split_off(lines.len().saturating_sub(3)).join("; ");
    let text = match (tail.is_empty(), code) {
        (false, _) => format!("ssh: {tail}"),
        (true, Some(code)) => format!("ssh ended with code {code}"),
        (true, None) => "ssh was ended by a signal".to_owned(),
    };
    DialFailure::new(advice, text)
}

/// A forwarded connection that was closed at once. An `ssh` server says the same
/// of a missing socket, one that may not be used, and one it will not forward.
pub(super) fn closed(socket: &str) -> DialFailure {
    DialFailure::new(NO_SOCKET, format!("nothing answers at {socket} there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dm_3_complaints_of_ssh_become_advice() {
        let rows = [
            (255, "Host key verification failed.", "known_hosts"),
            (255, "ada@h: Permission denied (publickey,password).", "ssh-copy-id"),
            (255, "ssh: Could not resolve hostname nope: Name or service not known", "resolved"),
            (255, "ssh: connect to host h port 22: Connection refused", "no ssh server"),
            (1, "dial unix /var/run/docker.sock: connect: permission denied", "group docker"),
            (1, "dial unix /var/run/docker.sock: connect: no such file or directory", "no Docker"),
            (127, "bash: line 1: docker: command not found", "no program docker"),
            (1, "something new", "by hand"),
        ];
        for (code, words, expected) in rows {
            let found = failure(Some(code), words);
            assert!(found.advice.contains(expected), "{words}: {}", found.advice);
            assert!(found.text.contains(words), "{}", found.text);
        }
    }

    #[test]
    fn the_last_words_count_and_not_the_banner() {
        let words = "Welcome!\nAll is logged.\n\n \nNo coffee.\nHost key verification failed.\n";
        let found = failure(Some(255), words);
        assert_eq!(found.text, "ssh: All is logged.; No coffee.; Host key verification failed.");
        assert_eq!(failure(None, "").text, "ssh was ended by a signal");
    }
}
