//! Listening sockets that a supervisor has made, as systemd does (Z-3,
//! sd_listen_fds(3)).
//!
//! What they are for is decided by their names, and is pure; taking them is a
//! library's work.

use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use super::{
    environment::Listen,
    settings::{BadSetting, bad},
};
use crate::handover::{OfferedSocket, Place, Role, SocketLabel};

const COUNT: &str = "LISTEN_FDS";
const NAMES: &str = "LISTEN_FDNAMES";

/// What systemd calls a socket of a unit that gives it no name.
const UNIT: &str = ".socket";

/// Most sockets that make sense: a few addresses for each listener.
const MOST: usize = 32;

/// The first descriptor that is passed on, after those that every process has.
const FIRST: usize = 3;

/// The sockets that are passed on to this process. Takes them, so it is for the
/// beginning: before anything else opens a file, and once.
pub(super) fn sockets(listen: &Listen) -> Result<Vec<OfferedSocket>, BadSetting> {
    // What is for another process was inherited by accident.
    if listen.pid.as_deref() != Some(std::process::id().to_string().as_str()) {
        return Ok(Vec::new());
    }
    let Some(count) = listen.count.as_deref() else { return Ok(Vec::new()) };
    let roles = roles(count, listen.names.as_deref())?;
    let mut passed = ListenFd::from_env();
    let sockets = roles.into_iter().enumerate();
    sockets.map(|(at, role)| take(&mut passed, at, role)).collect()
}

fn take(passed: &mut ListenFd, at: usize, role: Role) -> Result<OfferedSocket, BadSetting> {
    let unusable = || {
        let problem = format!(
            "descriptor {} is no stream socket that listens; in a unit, use ListenStream= with \
             Accept=no",
            FIRST + at
        );
        bad(COUNT, problem)
    };
    let (addr, socket): (_, OwnedFd) = match passed.take_tcp_listener(at) {
        Ok(Some(socket)) => {
            (Place::Tcp(socket.local_addr().map_err(|_| unusable())?), socket.into())
        }
        Ok(None) => return Err(unusable()),
        Err(_) => match passed.take_unix_listener(at) {
            Ok(Some(socket)) => {
                let addr = socket.local_addr().map_err(|_| unusable())?;
                (Place::unix(addr.as_pathname().unwrap_or("".as_ref())), socket.into())
            }
            _ => return Err(unusable()),
        },
    };
    match socket_acceptconn(&socket) {
        Ok(true) => Ok(OfferedSocket { label: SocketLabel { role, addr, given: true }, socket }),
        _ => Err(unusable()),
    }
}

/// What each socket is for.
fn roles(count: &str, names: Option<&str>) -> Result<Vec<Role>, BadSetting> {
    let count: usize = count
        .parse()
        .ok()
        .filter(|count| *count <= MOST)
        .ok_or_else(|| bad(COUNT, format!("{count:?} is no number of sockets up to {MOST}")))?;
    let names: Vec<&str> = match names {
        Some(names) => names.split(':').collect(),
        None => Vec::new(),
    };
    let is_unnamed = names.first().is_none_or(|first| {
        // Two units would come in an order that nobody has chosen.
        first.ends_with(UNIT) && names.iter().all(|name| name == first)
    });
    if is_unnamed {
        return in_order(count);
    }
    if names.len() != count {
        let problem = format!("there are {} names for {count} sockets", names.len());
        return Err(bad(NAMES, problem));
    }
    names.into_iter().map(role).collect()
}

fn in_order(count: usize) -> Result<Vec<Role>, BadSetting> {
    let roles = [Role::Public, Role::Api];
    roles.get(..count).map(<[Role]>::to_vec).ok_or_else(|| {
        let problem = format!(
            "{count} sockets without names, of which only two could be told apart; name each \
             public, api, redirect or metrics (FileDescriptorName= in a unit)"
        );
        bad(NAMES, problem)
    })
}

fn role(name: &str) -> Result<Role, BadSetting> {
    match name {
        "public" => Ok(Role::Public),
        "api" => Ok(Role::Api),
        "redirect" => Ok(Role::Redirect),
        "metrics" => Ok(Role::Metrics),
        _ => Err(bad(
            NAMES,
            format!(
                "{name:?} is none of public, api, redirect, metrics (FileDescriptorName= in a unit)"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z_3_names_say_what_sockets_are_for() {
        use Role::{Api, Metrics, Public, Redirect};
        for (count, names, expected) in [
            ("0", None, vec![]),
            ("1", None, vec![Public]),
            ("2", None, vec![Public, Api]),
            ("1", Some("hub-proxy.socket"), vec![Public]),
            ("2", Some("p.socket:p.socket"), vec![Public, Api]),
            ("2", Some("api:public"), vec![Api, Public]),
            ("3", Some("public:public:api"), vec![Public, Public, Api]),
            ("2", Some("redirect:metrics"), vec![Redirect, Metrics]),
        ] {
            assert_eq!(roles(count, names).unwrap(), expected, "{count} {names:?}");
        }
    }

    #[test]
    fn z_3_what_cannot_be_told_apart_is_refused_by_the_name_of_its_variable() {
        for (count, names, begins) in [
            ("many", None, "LISTEN_FDS: \"many\" is no number"),
            ("-1", None, "LISTEN_FDS: "),
            ("4000000000", None, "LISTEN_FDS: "),
            ("3", None, "LISTEN_FDNAMES: 3 sockets without names"),
            ("2", Some("public"), "LISTEN_FDNAMES: there are 1 names for 2"),
            ("2", Some("public:"), "LISTEN_FDNAMES: \"\" is none of public"),
            ("1", Some("front"), "LISTEN_FDNAMES: \"front\" is none of public"),
            ("2", Some("a.socket:b.socket"), "LISTEN_FDNAMES: \"a.socket\" is none"),
        ] {
            let said = roles(count, names).unwrap_err().to_string();
            assert!(said.starts_with(begins), "{said}");
        }
    }

    #[test]
    fn z_3_sockets_for_another_process_are_not_ours() {
        let count = Some("1".to_owned());
        for pid in [None, Some("1".to_owned())] {
            let listen = Listen { pid, count: count.clone(), names: None };
            assert!(sockets(&listen).unwrap().is_empty());
        }
    }
}
