//! Attributes of the kind `user.*` in a volume.

use std::fs;

use bytes::Bytes;
use hub_tests::{docker, hub::notebook_image};
use uuid::Uuid;

use super::place::Place;

/// Gives files attributes: text, all bytes there are, a line feed.
const MARK: &str = r#"cd /v && mkdir -p sub && echo one > sub/file && ln sub/file hard && mkfifo pipe
echo two > 'a name' && ln -s sub/file soft && chown -R 1000:100 . && chmod 600 'a name'
python3 -c "
import os
os.setxattr('sub/file', 'user.xdg.origin.url', b'https://example.org/data')
os.setxattr('sub/file', 'user.bytes', bytes(range(1, 256)) + bytes(9))
os.setxattr('sub', 'user.lines', b'one\ntwo\n')
os.setxattr('a name', 'user.zero', bytes(1))
os.close(os.open(b'\xff', os.O_CREAT))
os.setxattr(b'\xff', 'user.ümlaut', b'x')
""#;

/// A line for each attribute, of links as well.
const LIST: &str = r#"python3 -c "
import os
for folder, folders, files in os.walk(b'/v'):
    for path in (os.path.join(folder, name) for name in folders + files):
        for name in os.listxattr(path, follow_symlinks=False):
            print(path, ascii(name), os.getxattr(path, name, follow_symlinks=False))
" | LC_ALL=C sort"#;

/// An image with nothing in it. Dropping it removes it.
struct Nothing(String);

impl Nothing {
    async fn new() -> Self {
        let name = format!("hub-test-{}:e2e", Uuid::new_v4().simple());
        // An archive without files.
        let root = Bytes::from(vec![0; 1024]);
        docker::engine().await.import(root, &name, &[]).await.unwrap();
        Self(name)
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        docker::forget_image(&self.0);
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_1_attributes_of_files_come_back() {
    let place = Place::new().await;
    for user in ["ada", "bob"] {
        place.make_volume(user).await;
        place.shell(user, MARK).await;
    }
    let (files, attributes) = (place.tell("ada").await, place.shell("ada", LIST).await);
    // Also through the second name of the one file.
    assert_eq!(attributes.lines().count(), 7, "{attributes}");

    place.ok(&["backup", "user", "ada", "-o", "a.tar"]);
    place.shell("ada", "rm -r /v/sub").await;
    place.ok(&["restore", "user", "ada", "-i", "a.tar", "--wipe"]);
    assert_eq!(place.tell("ada").await, files);
    assert_eq!(place.shell("ada", LIST).await, attributes);

    // What comes back is saved again as it was.
    place.ok(&["backup", "user", "ada", "-o", "again.tar"]);
    let archive = |name| fs::read(place.path(name)).unwrap();
    assert_eq!(archive("again.tar").len(), archive("a.tar").len());

    // An image that has no Python: told once, and all else is saved.
    let nothing = Nothing::new().await;
    let config = fs::read_to_string(place.path("hub.toml")).unwrap();
    let config = config.replace(&notebook_image(), &nothing.0);
    fs::write(place.path("hub.toml"), config).unwrap();
    let output = place.hub(&["backup", "all", "-o", "runs"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.matches("user.*").count(), 1, "{told}");
    let volume = place.volume("ada");
    assert!(told.contains(&volume) && told.contains(&nothing.0), "{told}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.matches("saved and read again").count(), 2, "{table}");
    for user in ["ada", "bob"] {
        assert_eq!(place.helpers(user).await, 0);
    }
}
