//! `hub backup directory` and `hub restore directory`

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::program::{hub, run};

const FILES: [(&str, &str, u32); 8] = [
    ("hub.toml", "[auth.github]\nclient_id = \"an-id\"\nclient_secret = \"hush-toml\"\n", 0o600),
    (".env", "DOCKER_NETWORK_NAME=net\nGITHUB_CLIENT_SECRET=hush-env\n", 0o600),
    ("userlist", "ada admin\n", 0o644),
    ("secrets/oauth.env", "GITHUB_CLIENT_ID=x\nGITHUB_CLIENT_SECRET=hush-oauth\n", 0o600),
    ("secrets/jupyterhub.key", "-----BEGIN PRIVATE KEY-----\nhush-key\n", 0o600),
    (
        "secrets/jupyterhub.crt",
        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
        0o644,
    ),
    ("singleuser/Dockerfile", "FROM scratch\nCOPY start.sh /\n", 0o644),
    ("singleuser/start.sh", "#!/bin/sh\n", 0o755),
];

/// A directory that a hub is deployed from, with things of somebody else's in it.
fn prepare(directory: &Path) {
    let else_ = [("backups/2026-11-23T030000Z/hub.tar.zst", "x", 0o600), ("notes", "x", 0o600)];
    for (name, content, mode) in FILES.into_iter().chain(else_) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(&dir.path().join("class"));
        fs::write(dir.path().join("passphrase"), "several words of it").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn hub(&self, line: &str) -> crate::program::Run {
        let words: Vec<&str> = line.split(' ').collect();
        run(hub(&words).current_dir(self.dir.path()))
    }
}

#[test]
fn bak_3_a_directory_comes_back_as_it_was() {
    let place = Place::new();
    place
        .hub(
            "backup directory --directory class -o class.tar.zst.age --with-secrets \
             --passphrase-file passphrase",
        )
        .success();
    let restore = "restore directory -i class.tar.zst.age --into new --passphrase-file passphrase";
    let told = place.hub(restore).success();
    assert!(told.contains("Written: new/singleuser/start.sh"), "{told}");
    for (name, content, mode) in FILES {
        let path = place.path("new").join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "{name}");
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    assert!(!place.path("new/notes").exists() && !place.path("new/backups").exists());

    // What is there and differs is not replaced unasked.
    fs::write(place.path("new/userlist"), "grace admin\n").unwrap();
    let refused = place.hub(restore).failure(2);
    assert!(refused.contains("new/userlist") && refused.contains("--force"), "{refused}");
    place.hub(&format!("{restore} --force")).success();
    assert_eq!(fs::read_to_string(place.path("new/userlist")).unwrap(), "ada admin\n");
    let old = fs::read_to_string(place.path("new/userlist.old")).unwrap();
    assert_eq!(old, "grace admin\n");
}

#[test]
fn bak_3_without_with_secrets_there_are_none_in_it_and_they_are_listed() {
    let place = Place::new();
    let told = place.hub("backup directory --directory class -o class.tar").success();
    let archive = String::from_utf8_lossy(&fs::read(place.path("class.tar")).unwrap()).into_owned();
    assert!(archive.contains("DOCKER_NETWORK_NAME=net"), "what is no secret is in it");
    assert!(!archive.contains("hush"), "a secret is in it");
    for left_out in ["client_secret", "GITHUB_CLIENT_SECRET of class/.env", "jupyterhub.key"] {
        assert!(told.contains(left_out), "{left_out}: {told}");
    }
    let told = place.hub("restore directory -i class.tar --into new").success();
    assert!(told.contains("put these in place"), "{told}");
    assert!(told.contains("jupyterhub.key"), "{told}");

    let refused = place.hub("restore hub -i class.tar --config new/hub.toml").failure(2);
    assert!(refused.contains("archive of a directory"), "{refused}");
    let refused = place.hub("backup directory --directory new/singleuser -o x.tar").failure(1);
    assert!(refused.contains("holds none of"), "{refused}");
}
