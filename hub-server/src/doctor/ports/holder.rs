//! Which process listens at an address, as far as this user may know: the
//! kernel's list of sockets, and who has them open.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    /// What the kernel calls its program.
    pub(super) program: String,
    /// The container that Docker listens for.
    pub(super) container: Option<String>,
}

impl Holder {
    /// Whether it listens for a container.
    pub(super) fn is_docker(&self) -> bool {
        matches!(self.program.as_str(), "docker-proxy" | "dockerd")
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PID {} {}", self.pid, self.program)?;
        match &self.container {
            Some(name) => write!(f, " for the container {name}"),
            None => Ok(()),
        }
    }
}

/// Who keeps others from listening at `address`.
pub(super) fn of(address: SocketAddr) -> Option<Holder> {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|table| listening(&table));
    let inode = sockets
        .filter(|socket| super::addresses::collide(socket.address, address))
        .map(|socket| socket.inode)
        .next()?;
    let (pid, program) = owner(inode)?;
    Some(Holder { pid, program, container: None })
}

/// A socket that somebody listens on.
#[derive(Debug, PartialEq, Eq)]
struct Listening {
    address: SocketAddr,
    inode: u64,
}

/// The listening sockets in a table of the kernel's.
fn listening(table: &str) -> Vec<Listening> {
    table.lines().skip(1).filter_map(socket).collect()
}

fn socket(line: &str) -> Option<Listening> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    Some(Listening { address: address(local)?, inode: fields.nth(5)?.parse().ok()? })
}

/// Hexadecimal words of four bytes, each in the order of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The process that has the socket open, and its program.
fn owner(inode: u64) -> Option<(u32, String)> {
    let link = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pid = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| has_open(*pid, &link))?;
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some((pid, program.trim().to_owned()))
}

fn has_open(pid: u32, link: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|to| to == Path::new(link)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let four = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0\n\
                       1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4343 1 0000000000000000 20 4 30 10 -1\n";
        let six = "   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 0000000000000000 100 0 0 10 0\n\
                      1: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 78 1 0000000000000000 100 0 0 10 0\n";
        let at = |text: &str, inode| Listening { address: text.parse().unwrap(), inode };
        // The tests run where such tables are little-endian.
        assert_eq!(listening(&format!("{head}{four}")), [at("127.0.0.1:8080", 4242)]);
        assert_eq!(
            listening(&format!("{head}{six}")),
            [at("[::]:443", 77), at("127.0.0.1:80", 78)]
        );
        assert_eq!(listening("head\nnonsense\n"), []);
    }

    #[test]
    fn docker_listens_for_a_container() {
        let mut holder = Holder { pid: 7, program: "docker-proxy".to_owned(), container: None };
        assert!(holder.is_docker());
        holder.container = Some("hub-proxy".to_owned());
        assert_eq!(holder.to_string(), "PID 7 docker-proxy for the container hub-proxy");
    }
}
