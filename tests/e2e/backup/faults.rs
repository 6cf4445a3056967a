//! A disk that is full, work that is ended half way, and archives opened without us.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use hub_tests::{TestHub, docker, eventually, hub::program, volume};
use reqwest::Method;
use serde_json::json;

use super::place::{Place, hub, succeeded};

const PASSPHRASE: &str = "a passphrase of several words";

/// Runs `hub WORDS` with a file system of half a megabyte at `full`; behind what it
/// said stands what lies there afterwards.
fn on_a_small_disk(directory: &Path, words: &str) -> Output {
    let hub = program("hub");
    let line = format!(
        "mount -t tmpfs -o size=512k none full
         {} {words} --config hub.toml; code=$?; echo \"left:\" $(cd full && find . -type f)
         exit $code",
        hub.display()
    );
    fs::create_dir_all(directory.join("full")).unwrap();
    // A mount that only this command sees.
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &line])
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_4_a_full_disk_is_named_and_leaves_no_half_archive() {
    let place = Place::new().await;
    place.make_volume("ada").await;
    place.shell("ada", "dd if=/dev/urandom of=/v/big bs=1024 count=4096 2>/dev/null").await;
    for file in ["a.tar", "a.tar.zst"] {
        let output = on_a_small_disk(place.dir.path(), &format!("backup user ada -o full/{file}"));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(told.contains(&format!("full/{file}")), "{told}");
        assert!(told.contains("No space left"), "{told}");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("left:\n"), "{output:?}");
    }
    assert_eq!(place.helpers("ada").await, 0, "no container is left over");

    // Of a run, what did fit is kept, under a name that says that it is not whole.
    let output = on_a_small_disk(place.dir.path(), "backup all -o full/runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(told.contains("FAILED") && told.contains("No space left"), "{told}");
    assert!(told.ends_with("left:\n"), "{told}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_3_a_hub_that_does_not_fit_on_the_disk_leaves_nothing_there() {
    let test_hub = TestHub::builder().allowed("ada").start().await;
    let directory = test_hub.dir();
    fs::write(directory.join("noise"), noise(1 << 20)).unwrap();
    let words = "backup hub -o full/hub.tar.zst.age --with-secrets --passphrase-file passphrase \
                 --include noise";
    fs::write(directory.join("passphrase"), PASSPHRASE).unwrap();
    let output = on_a_small_disk(directory, words);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(told.contains("full/hub.tar.zst.age") && told.contains("No space left"), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("left:\n"), "{output:?}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_4_ctrl_c_ends_a_whole_run() {
    let place = Place::new().await;
    for user in ["ada", "bob"] {
        place.make_volume(user).await;
        place.shell(user, "dd if=/dev/urandom of=/v/big bs=1048576 count=256 2>/dev/null").await;
    }
    let running = Command::new(program("hub"))
        .args(["backup", "all", "-o", "runs", "--config", "hub.toml"])
        .current_dir(place.dir.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the first volume is read", || async {
        if place.helpers("ada").await > 0 { Ok(()) } else { Err("no helper") }
    })
    .await;
    let told = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(told.success());
    let output = running.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(told.contains("interrupted") && told.contains("is not complete"), "{told}");
    let runs: Vec<_> = fs::read_dir(place.path("runs")).unwrap().map(Result::unwrap).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(runs[0].path().to_string_lossy().ends_with(".partial"), "{runs:?}");
    // Neither the one that was under way nor the next one.
    assert_eq!(fs::read_dir(runs[0].path().join("users")).unwrap().count(), 0);
    for user in ["ada", "bob"] {
        assert_eq!(place.helpers(user).await, 0, "no container is left over");
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_4_ctrl_c_ends_bringing_everything_back_and_the_same_command_goes_on() {
    let mut test_hub = TestHub::builder().start().await;
    let (deployment, directory) = (test_hub.deployment.clone(), test_hub.dir().to_owned());
    let engine = docker::engine().await;
    let volume_of = |user: &str| format!("{deployment}-{user}");
    for user in ["ada", "bob"] {
        test_hub.api(Method::POST, &format!("/users/{user}"), None).await;
        let labels = [("deployment", &*deployment), ("user", user), ("kind", "volume")]
            .map(|(key, value)| (format!("hub.{key}"), value.to_owned()));
        engine.ensure_volume(&volume_of(user), &labels.into()).await.unwrap();
        let fill = "dd if=/dev/urandom of=/v/big bs=1048576 count=256 2>/dev/null";
        volume::shell(&deployment, &volume_of(user), fill).await;
    }
    let backup = ["backup", "all", "-o", "runs"];
    succeeded(&backup, hub(&directory, &backup, &[]));
    let run = fs::read_dir(directory.join("runs")).unwrap().next().unwrap().unwrap().path();
    test_hub.kill();

    let restore = ["restore", "all", "-i", run.to_str().unwrap(), "--force", "--wipe"];
    let running = Command::new(program("hub"))
        .args(restore)
        .args(["--config", "hub.toml"])
        .current_dir(&directory)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let helpers = || async {
        let labels = [("hub.helper-volume".to_owned(), volume_of("ada"))].into();
        engine.containers(&labels).await.unwrap().len()
    };
    eventually("the first volume is written", || async {
        if helpers().await > 0 { Ok(()) } else { Err("no helper") }
    })
    .await;
    let told = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(told.success());
    let output = running.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(told.contains("0 of 2 volumes are restored"), "{told}");
    assert_eq!(helpers().await, 0, "no container is left over");

    succeeded(&restore, hub(&directory, &restore, &[]));
    for user in ["ada", "bob"] {
        let size = volume::shell(&deployment, &volume_of(user), "stat -c %s /v/big").await;
        assert_eq!(size.trim(), (256 << 20).to_string(), "{user}");
    }
    test_hub.launch().await;
    let (status, ada) = test_hub.api(Method::GET, "/users/ada", None).await;
    assert_eq!((status, &ada["name"]), (200, &json!("ada")));
}

/// Bytes without a pattern.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
#[ignore = "needs Docker and age: cargo xtask test"]
async fn bak_3_an_encrypted_archive_is_opened_by_the_age_tool() {
    let test_hub = TestHub::builder().allowed("ada").https().start().await;
    let directory = test_hub.dir();
    fs::write(directory.join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    let backup = [
        "backup",
        "hub",
        "-o",
        "hub.tar.zst.age",
        "--with-secrets",
        "--passphrase-file",
        "passphrase",
    ];
    succeeded(&backup, hub(directory, &backup, &[]));
    // The tool reads passphrases from a terminal only.
    let typed = fs::File::open(directory.join("passphrase")).unwrap();
    let opened = Command::new("script")
        .args(["-qec", "age -d -o hub.tar.zst hub.tar.zst.age", "/dev/null"])
        .current_dir(directory)
        .stdin(typed)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(opened.status.success(), "{opened:?}");
    let listed = Command::new("tar")
        .args(["--zstd", "-xOf", "hub.tar.zst", "manifest.json"])
        .current_dir(directory)
        .output()
        .unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let roles: Vec<&str> = manifest["members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|member| member["role"].as_str())
        .collect();
    for role in ["config", "certificate", "tls-key", "cookie-secret", "store"] {
        assert!(roles.contains(&role), "{role} in {roles:?}");
    }

    // And the other way: what the tool has written is read by us.
    let sealed = Command::new("script")
        .args(["-qec", "age -p -o other.tar.zst.age hub.tar.zst", "/dev/null"])
        .current_dir(directory)
        .stdin({
            let twice = format!("{PASSPHRASE}\n{PASSPHRASE}\n");
            fs::write(directory.join("twice"), twice).unwrap();
            fs::File::open(directory.join("twice")).unwrap()
        })
        .output()
        .unwrap();
    assert!(sealed.status.success(), "{sealed:?}");
    let restore = ["restore", "hub", "-i", "other.tar.zst.age", "--passphrase-file", "passphrase"];
    let refused = hub(directory, &restore, &[]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("the store is not empty"), "it was read: {told}");
}
