//! `hub backup user`, `hub restore user`, `hub users purge`.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use hub_tests::{TestHub, eventually, volume::FILL};
use reqwest::Method;

use super::place::{Place, fed, hub, succeeded};

fn size(place: &Place, name: &str) -> u64 {
    fs::metadata(place.path(name)).unwrap().len()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_1_bak_2_a_volume_comes_back_as_it_was_in_every_form() {
    let place = Place::new().await;
    place.make_volume("ada").await;
    place.shell("ada", FILL).await;
    let before = place.tell("ada").await;
    assert!(before.contains("./sub/deep/file regular file 4750 4242:2424"), "{before}");

    for file in ["a.tar", "a.tar.gz", "a.tar.zst"] {
        let told = place.ok(&["backup", "user", "ada", "-o", file]);
        assert!(told.contains(file), "{told}");
        let mode = fs::metadata(place.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");

        place.shell("ada", "echo changed > '/v/a name'; rm -r /v/sub; echo new > /v/new").await;
        place.ok(&["restore", "user", "ada", "-i", file, "--wipe"]);
        assert_eq!(place.tell("ada").await, before, "{file}");
    }
    assert!(size(&place, "a.tar.zst") < size(&place, "a.tar"));
    let stdout = place.hub(&["backup", "user", "ada", "-o", "-"]);
    assert!(stdout.status.success(), "{stdout:?}");
    assert_eq!(stdout.stdout, fs::read(place.path("a.tar")).unwrap());
    place.shell("ada", "rm -r /v/sub").await;
    let piped = ["restore", "user", "ada", "-i", "-", "--wipe"];
    succeeded(&piped, fed(place.dir.path(), &piped, "a.tar.zst"));
    assert_eq!(place.tell("ada").await, before);
    assert_eq!(place.helpers("ada").await, 0);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_2_files_that_are_there_are_only_touched_when_told_to() {
    let place = Place::new().await;
    place.make_volume("ada").await;
    place.shell("ada", "echo old > /v/file; mkdir /v/dir; echo old > /v/dir/other").await;
    place.ok(&["backup", "user", "ada", "-o", "a.tar.gz"]);
    let again = place.refused(&["backup", "user", "ada", "-o", "a.tar.gz"]);
    assert!(again.contains("exists already"), "{again}");
    place.shell("ada", "echo new > /v/file; echo new > /v/added; rm -r /v/dir").await;
    let before = place.tell("ada").await;

    let refused = place.refused(&["restore", "user", "ada", "-i", "a.tar.gz"]);
    assert!(refused.contains("is not empty") && refused.contains("--wipe"), "{refused}");
    assert_eq!(place.tell("ada").await, before);
    assert_eq!(place.helpers("ada").await, 0);

    place.ok(&["restore", "user", "ada", "-i", "a.tar.gz", "--merge"]);
    assert_eq!(place.shell("ada", "cat /v/file /v/added /v/dir/other").await, "old\nnew\nold\n");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_2_an_archive_of_the_old_recipe_fills_a_new_volume() {
    let place = Place::new().await;
    // As the recipe does: the volume at /notebooks, and tar without the slash.
    fs::create_dir_all(place.path("notebooks/sub")).unwrap();
    fs::write(place.path("notebooks/sub/a.ipynb"), "{}").unwrap();
    std::os::unix::fs::symlink("sub/a.ipynb", place.path("notebooks/link")).unwrap();
    fs::hard_link(place.path("notebooks/sub/a.ipynb"), place.path("notebooks/same")).unwrap();
    for (name, sparse) in [("old.tar.gz", ""), ("sparse.tar", "--sparse")] {
        fs::File::create(place.path("notebooks/hole")).unwrap().set_len(100_000).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--owner=1000", "--group=100", "-a", "-cf", name]);
        if !sparse.is_empty() {
            tar.arg(sparse);
        }
        let made = tar.arg("notebooks").current_dir(place.dir.path()).status().unwrap();
        assert!(made.success());

        assert_eq!(place.has_volume("ada").await, name != "old.tar.gz");
        place.ok(&["restore", "user", "ada", "-i", name, "--wipe"]);
        let told = place.tell("ada").await;
        for expected in [
            "./sub/a.ipynb regular file 644 1000:100 2 2",
            "./same regular file 644 1000:100 2 2",
            "./link symbolic link 777 1000:100",
            "./hole regular file 644 1000:100 100000 1",
            ". directory 755 1000:100",
        ] {
            assert!(told.contains(expected), "{expected} in {told}");
        }
        assert!(!told.contains("notebooks"), "{told}");
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_2_an_archive_that_leads_out_of_the_volume_changes_nothing() {
    let place = Place::new().await;
    place.make_volume("ada").await;
    place.shell("ada", "echo old > /v/file").await;
    let before = place.tell("ada").await;
    fs::write(place.path("evil"), "x").unwrap();
    fs::write(place.path("good"), "x").unwrap();
    let cases = [
        (["--transform=s,evil,../evil,", "good", "evil"], "leads upwards"),
        (["--transform=s,evil,/etc/evil,", "good", "evil"], "absolute"),
    ];
    for (arguments, expected) in cases {
        fs::remove_file(place.path("evil.tar")).ok();
        let made = Command::new("tar")
            .args(["-P", "-cf", "evil.tar"])
            .args(arguments)
            .current_dir(place.dir.path())
            .status()
            .unwrap();
        assert!(made.success());
        let refused = place.refused(&["restore", "user", "ada", "-i", "evil.tar", "--wipe"]);
        assert!(refused.contains(expected), "{refused}");
        assert_eq!(place.tell("ada").await, before);
    }
    fs::write(place.path("noise.tar"), [b'x'; 4096]).unwrap();
    let refused = place.refused(&["restore", "user", "ada", "-i", "noise.tar", "--wipe"]);
    assert!(refused.contains("no tar archive"), "{refused}");
    assert_eq!(place.tell("ada").await, before);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_2_a_running_server_is_not_restored_under() {
    let test_hub = TestHub::builder().allowed("ada").start().await;
    test_hub.api(Method::POST, "/users/ada", None).await;
    test_hub.start_server("ada").await;
    let backup = ["backup", "user", "ada", "-o", "a.tar.zst"];
    succeeded(&backup, hub(test_hub.dir(), &backup, &[]));

    let restore = ["restore", "user", "ada", "-i", "a.tar.zst", "--wipe"];
    let refused = hub(test_hub.dir(), &restore, &[]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("--stop"), "{told}");

    let stopping = [&restore[..], &["--stop"]].concat();
    succeeded(&stopping, hub(test_hub.dir(), &stopping, &[]));
    eventually("the hub has noticed", || async {
        let (_, user) = test_hub.api(Method::GET, "/users/ada", None).await;
        if user["servers"][""].is_null() { Ok(()) } else { Err(user) }
    })
    .await;
    test_hub.start_server("ada").await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_4_a_purge_removes_the_users_volumes_and_nobody_elses() {
    let place = Place::new().await;
    place.make_volume("ada").await;
    place.make_volume("bob").await;
    let asked = place.refused(&["user", "purge", "ada"]);
    assert!(asked.contains("--yes") && place.has_volume("ada").await, "{asked}");

    let told = place.ok(&["users", "purge", "ada", "--yes"]);
    assert!(told.contains(&place.volume("ada")), "{told}");
    assert!(!place.has_volume("ada").await && place.has_volume("bob").await);
    let none = place.refused(&["users", "purge", "ada", "--yes"]);
    assert!(none.contains("ada has no volume"), "{none}");
}
