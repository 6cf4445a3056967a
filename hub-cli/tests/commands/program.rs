//! Runs the program.

use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa};

/// The token of all tests.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The standard output of a run that has to have succeeded.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The standard error of a run that has to have failed with `code`, without
    /// a result.
    pub(crate) fn failure(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        self.stderr
    }
}

/// The program, with a token and nothing else from the environment of the tests.
pub(crate) fn hub(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("hub"));
    for name in ["HUB_URL", "HUB_CA_FILE", "HUB_TOKEN_FILE", "COLUMNS"] {
        command.env_remove(name);
    }
    command.env("HUB_TOKEN", TOKEN).args(args).stdin(Stdio::null());
    command
}

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A server's certificate for `name`.
pub(crate) fn certificate(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

/// A certificate for `name` as `openssl req -x509` makes it: an authority's.
pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = certificate(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}
