//! Files in users' volumes, as a test writes and compares them.

use std::time::Duration;

use hub_spawner::engine::{ContainerSpec, Mount};

use crate::{docker, hub::notebook_image};

/// A line of shell that makes files of all kinds, of several owners; `dd` leaves a
/// hole of 8 MiB.
pub const FILL: &str = "cd /v && umask 022
mkdir -p sub/deep && echo one > sub/deep/file && echo two > 'a name' && echo ü > ümlaut
chown 1000:100 sub 'a name' && chown 4242:2424 sub/deep/file
chmod 4750 sub/deep/file && chmod 1777 sub && chmod 600 'a name'
ln -s sub/deep/file soft && ln -s /nowhere dangling && ln 'a name' hard && mkfifo pipe
dd if=/dev/urandom of=big bs=1024 count=3000 seek=8192 2>/dev/null
d=$(printf 'long%.0s' $(seq 40)) && mkdir -p $d/$d && echo deep > $d/$d/file && ln -s $d/$d/file far
touch -d '2001-02-03 04:05:06' sub/deep/file && touch -d '2002-03-04 05:06:07' sub
chown 1000:100 . && chmod 2770 .";

/// A line that tells all there is to know of each file: name, kind, mode, owner,
/// size, links, time, target, content.
pub const TELL: &str = "cd /v && find . | LC_ALL=C sort | while read -r f; do
stat -c '%n %F %a %u:%g %s %h' \"$f\"; [ -L \"$f\" ] || stat -c '%Y' \"$f\"
[ -L \"$f\" ] && readlink \"$f\"; [ -f \"$f\" ] && md5sum < \"$f\"; done; true";

/// How long a command in a container may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// Runs a line of shell as root, with a volume at `/v`, in a container that is
/// labelled with the deployment; what it printed.
pub async fn shell(deployment: &str, volume: &str, line: &str) -> String {
    let spec = ContainerSpec {
        command: Some(["sh", "-ec", line].map(str::to_owned).to_vec()),
        entrypoint: Some(Vec::new()),
        user: Some("0".to_owned()),
        mounts: vec![Mount::volume(volume, "/v")],
        labels: [("hub.deployment".to_owned(), deployment.to_owned())].into(),
        ..ContainerSpec::new("", notebook_image())
    };
    let done = docker::engine().await.run_to_end(&spec, DEADLINE).await.unwrap();
    assert_eq!(done.code, 0, "{}", done.output);
    done.output
}
