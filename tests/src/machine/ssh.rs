//! The machine's `ssh` server, and a client that is let in.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tokio::net::TcpStream;

use super::Machine;
use crate::wait::eventually;

/// What of it is not to be looked for in the home directory of whoever tests.
const CLIENT: &str = "Host *\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
                      GlobalKnownHostsFile none\n";

impl Machine {
    /// Starts an `ssh` server on it. Returns the directory with a program `ssh`
    /// that has a key for it and knows the machine's.
    pub async fn start_ssh(&self) -> PathBuf {
        let bin = self.at("bin");
        fs::create_dir(&bin).unwrap();
        for key in ["host_key", "client_key"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(self.at(key));
            assert!(command.status().unwrap().success());
        }
        let host_key = fs::read_to_string(self.at("host_key.pub")).unwrap();
        fs::write(self.at("known"), format!("{} {host_key}", self.address)).unwrap();
        let client = format!(
            "{CLIENT}  IdentityFile {}\n  UserKnownHostsFile {}\n",
            self.at("client_key").display(),
            self.at("known").display()
        );
        fs::write(self.at("ssh_config"), client).unwrap();
        let server = format!(
            "ListenAddress {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            self.address,
            self.at("host_key").display(),
            self.at("client_key.pub").display()
        );
        fs::write(self.at("sshd_config"), server).unwrap();
        let real =
            ["/usr/bin/ssh", "/usr/local/bin/ssh"].into_iter().find(|p| Path::new(p).exists());
        let real = real.expect("install openssh-client");
        let script =
            format!("#!/bin/sh\nexec {real} -F {} \"$@\"\n", self.at("ssh_config").display());
        fs::write(bin.join("ssh"), script).unwrap();
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();

        // The server insists on this directory, and on an absolute path to itself.
        let made = self.inside("mkdir").args(["-p", "/run/sshd"]).status();
        assert!(made.unwrap().success());
        let begun = self
            .inside("/usr/sbin/sshd")
            .arg("-f")
            .arg(self.at("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        assert!(begun.unwrap().success(), "install openssh-server");
        eventually("the ssh server listens", async || TcpStream::connect((self.address, 22)).await)
            .await;
        bin
    }
}
