//! The image of the servers in tests: one static program and one script.

use bytes::Bytes;

/// What the servers run. Their user's name tells them how to behave.
const SERVE: &str = r#"#!/bin/sh
case "$JUPYTERHUB_USER" in
    exits-at-once) echo "last words"; exit 3 ;;
    eats-memory) exec awk 'BEGIN { s = "x"; while (1) s = s s }' ;;
    stubborn) trap '' TERM; while :; do sleep 1; done ;;
esac
echo "serving"
exec httpd -f -p 8888 -h /www
"#;

/// Applets of busybox that the tests use.
const APPLETS: &[&str] = &[
    "awk", "cat", "chmod", "chown", "dd", "find", "httpd", "id", "ln", "md5sum", "mkdir", "mkfifo",
    "mknod", "pidof", "ping", "readlink", "sh", "sleep", "sort", "stat", "timeout", "touch", "tr",
    "wget",
];

/// A root file system of one static program and one script.
pub(crate) fn root() -> Bytes {
    let busybox = std::fs::read("/bin/busybox").expect("install busybox-static");
    let mut root = tar::Builder::new(Vec::new());
    let mut file = |path: &str, mode, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        root.append_data(&mut header, path, content).expect("writing to memory");
    };
    file("bin/busybox", 0o755, &busybox);
    file("bin/serve", 0o755, SERVE.as_bytes());
    file("www/index.html", 0o644, b"hello\n");
    file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\n");
    for applet in APPLETS {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        root.append_link(&mut header, format!("bin/{applet}"), "busybox").expect("to memory");
    }
    let mut tmp = tar::Header::new_gnu();
    tmp.set_entry_type(tar::EntryType::Directory);
    tmp.set_size(0);
    tmp.set_mode(0o777);
    root.append_data(&mut tmp, "tmp/", &[][..]).expect("writing to memory");
    root.into_inner().expect("writing to memory").into()
}
