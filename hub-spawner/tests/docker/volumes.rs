//! What is in a volume, out of it and into another one.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use hub_spawner::engine::{Labels, Mount};

use crate::{
    bench::{Corner, in_a_corner},
    containers::shell,
};

/// Files of all kinds. `dd` leaves a hole of 8 MiB before its bytes.
const FILL: &str = "cd /v && umask 022
mkdir -p sub/deep && echo one > sub/deep/file && echo two > 'a name'
chown 1000:100 sub && chown 4242:2424 sub/deep/file && chmod 4750 sub/deep/file && chmod 1777 sub
ln -s sub/deep/file soft && ln -s /nowhere dangling && ln 'a name' hard && mkfifo pipe
dd if=/dev/urandom of=big bs=1024 count=2048 seek=8192 2>/dev/null
touch -d '2001-02-03 04:05:06' sub/deep/file && touch -d '2002-03-04 05:06:07' sub
chown 1000:100 . && chmod 2770 .";

/// All there is to know about each file but times of links.
const TELL: &str = "cd /v && find . | sort | while read -r f; do
stat -c '%n %F %a %u:%g %s %h' \"$f\"; [ -L \"$f\" ] || stat -c '%Y' \"$f\"
[ -L \"$f\" ] && readlink \"$f\"; [ -f \"$f\" ] && md5sum < \"$f\"; done; true";

async fn run(corner: &Corner, volume: &str, line: &str) -> String {
    let mut spec = shell(corner, "files", line);
    spec.mounts = vec![Mount::volume(volume, "/v")];
    let output = corner.engine.run_to_end(&spec, Duration::from_secs(60)).await.expect("run");
    assert_eq!(output.code, 0, "{}", output.output);
    output.output
}

async fn helpers(corner: &Corner, volume: &str) -> usize {
    let labels: Labels = [("hub.helper-volume".to_owned(), volume.to_owned())].into();
    corner.engine.containers(&labels).await.expect("list containers").len()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_1_a_volume_comes_back_as_it_was() {
    in_a_corner(|corner| async move {
        let (from, to) = (format!("{}-from", corner.name), format!("{}-to", corner.name));
        for volume in [&from, &to] {
            corner.engine.ensure_volume(volume, &corner.labels()).await.unwrap();
        }
        run(&corner, &from, FILL).await;
        let before = run(&corner, &from, TELL).await;
        assert!(before.contains("./sub/deep/file regular file 4750 4242:2424 4 1"), "{before}");

        let image = corner.image();
        let archive = corner.engine.export_volume(&from, &image).await.unwrap();
        let parts: Vec<Bytes> = archive.try_collect().await.unwrap();
        assert_eq!(helpers(&corner, &from).await, 0);
        let whole = Bytes::from(parts.concat());
        let mut read = tar::Archive::new(&whole[..]);
        let names: Vec<_> =
            read.entries().unwrap().map(|e| e.unwrap().path_bytes().to_vec()).collect();
        assert!(names.iter().all(|name| name.starts_with(b"./")), "{names:?}");

        let archive = stream::iter(parts).map(Ok);
        corner.engine.import_volume(&to, &image, archive).await.unwrap();
        assert_eq!(helpers(&corner, &to).await, 0);
        let after = run(&corner, &to, TELL).await;
        assert_eq!(before, after);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_1_no_volume_is_made_by_asking_for_its_content() {
    in_a_corner(|corner| async move {
        let error = corner.engine.export_volume(&corner.name, &corner.image()).await.err().unwrap();
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(corner.engine.volume(&corner.name).await.unwrap(), None);
        corner.engine.ensure_volume(&corner.name, &corner.labels()).await.unwrap();
        let error = corner.engine.export_volume(&corner.name, "hub-test:none").await.err().unwrap();
        assert!(error.is_not_found(), "{error:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_2_an_archive_that_breaks_off_is_an_error() {
    in_a_corner(|corner| async move {
        let (engine, image) = (&corner.engine, corner.image());
        engine.ensure_volume(&corner.name, &corner.labels()).await.unwrap();
        let broken = stream::iter([Err(io::Error::other("the disk is gone"))]);
        let error = engine.import_volume(&corner.name, &image, broken).await.unwrap_err();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        assert_eq!(cause.to_string(), "the disk is gone", "{error:?}");
        let nonsense = stream::iter([Ok(Bytes::from(vec![b'x'; 4096]))]);
        let error = engine.import_volume(&corner.name, &image, nonsense).await.unwrap_err();
        assert!(error.text().is_some(), "{error:?}");
        assert_eq!(helpers(&corner, &corner.name).await, 0);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_1_what_an_interrupted_transfer_left_can_be_removed() {
    in_a_corner(|corner| async move {
        let engine = &corner.engine;
        engine.ensure_volume(&corner.name, &corner.labels()).await.unwrap();
        run(&corner, &corner.name, "dd if=/dev/zero of=/v/big bs=1048576 count=64 2>/dev/null")
            .await;
        let mut archive = engine.export_volume(&corner.name, &corner.image()).await.unwrap();
        assert!(archive.next().await.unwrap().is_ok());
        drop(archive);
        assert_eq!(helpers(&corner, &corner.name).await, 1);
        engine.remove_volume_helpers(&corner.name).await.unwrap();
        assert_eq!(helpers(&corner, &corner.name).await, 0);
        engine.remove_volume(&corner.name).await.unwrap();
    })
    .await;
}
