//! What code in a server can do to what is around it: nothing (C1, C11).

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use hub_spawner::{
    Progress, Spawner,
    conformance::request,
    docker::RegistryLogin,
    engine::{ContainerSpec, Labels},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{
    bench::{docker, in_a_corner, socket},
    spawner::{connect, key, start},
};

/// Calls what a container must not do, in the words of the C library, and prints of each
/// how it ended: `done`, or the error's name.
const TRIES: &str = r#"
import ctypes, errno, json, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *arguments):
    ctypes.set_errno(0)
    if function(*arguments) >= 0:
        return "done"
    return errno.errorcode.get(ctypes.get_errno(), "?")
def tried(function):
    try:
        function()
        return "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, "?")
BIND, NEW_USER, NEW_NS, ATTACH = 4096, 0x10000000, 0x20000, 16
told = {
    "mount a file system": call(libc.mount, b"none", b"/mnt", b"tmpfs", 0, None),
    "mount a directory": call(libc.mount, b"/etc", b"/mnt", None, BIND, None),
    "mount /proc": call(libc.mount, b"proc", b"/mnt", b"proc", 0, None),
    "unmount": call(libc.umount2, b"/proc", 0),
    "raw socket": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    "packet socket": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    "device": tried(lambda: os.mknod("/tmp/zero", 0o20666, os.makedev(1, 5))),
    "chroot": tried(lambda: os.chroot("/tmp")),
    "new user space": call(libc.unshare, NEW_USER),
    "new mount space": call(libc.unshare, NEW_NS),
    "ptrace of another user": call(libc.ptrace, ATTACH, int(sys.argv[1]), None, None),
    "load a module": call(libc.syscall, 175, None, 0, b""),
    "keys of the kernel": call(libc.syscall, 250, 0, -3, 0),
    "programs of the kernel": call(libc.syscall, 321, 0, None, 0),
    "reboot": call(libc.reboot, 0),
    "set the clock": tried(lambda: time.clock_settime(time.CLOCK_REALTIME, 1)),
    "name the host": tried(lambda: socket.sethostname("x")),
    "system request": tried(lambda: open("/proc/sysrq-trigger", "w").close()),
    "settings of the kernel": tried(lambda: open("/proc/sys/kernel/core_pattern", "w").close()),
    "memory of the kernel": tried(lambda: open("/proc/kcore", "rb").read(1)),
}
if os.getuid():
    told["become root"] = tried(lambda: os.setuid(0))
print(json.dumps(told))
"#;

/// The image of notebook servers: `cargo xtask test` makes it.
#[expect(clippy::disallowed_methods, reason = "tests are told by their runner what to use")]
fn notebook() -> String {
    let told = std::env::var("HUB_TEST_IMAGE").ok().filter(|image| !image.is_empty());
    told.unwrap_or_else(|| "hub-notebook:latest".to_owned())
}

/// Runs a program in a container as this user, without waiting for its end if it `stays`;
/// what it printed.
async fn run(id: &str, user: &str, command: &[&str], stays: bool) -> String {
    let docker = docker();
    let options = CreateExecOptions {
        cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
        user: Some(user.to_owned()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(id, options).await.expect("make");
    let options = StartExecOptions { detach: stays, ..StartExecOptions::default() };
    let mut said = String::new();
    if let StartExecResults::Attached { mut output, .. } =
        docker.start_exec(&exec.id, Some(options)).await.expect("run")
    {
        while let Some(part) = output.next().await {
            said.push_str(&part.expect("output").to_string());
        }
    }
    said
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn c1_code_in_a_server_cannot_reach_around_its_walls() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| {
            config.image = notebook();
            config.cmd = Some(["sleep", "600"].into_iter().collect());
        })
        .await;
        let ada = key("ada", "");
        start(&spawner, &ada).await.unwrap();
        let id = corner.container(&ada).await;
        let own = run(&id, "", &["id", "-u"], false).await;
        assert_eq!(own.trim(), "1000", "servers are nobody special");
        // Of root, and of the server's own user.
        for (other, user) in [("0", ""), ("1000", "0")] {
            run(&id, other, &["sh", "-c", "echo $$ >/tmp/of-$(id -u); exec sleep 600"], true).await;
            let file = format!("/tmp/of-{other}");
            let pid = crate::bench::eventually("the other process runs", async || {
                let said = run(&id, "0", &["cat", &file], false).await;
                said.trim().parse::<u32>().ok()
            })
            .await;
            let told = run(&id, user, &["python3", "-c", TRIES, &pid.to_string()], false).await;
            let told: serde_json::Map<String, Value> =
                serde_json::from_str(told.trim()).unwrap_or_else(|error| panic!("{error}: {told}"));
            assert!(told.len() >= 20, "{told:?}");
            for (what, end) in told {
                let is_refused = matches!(
                    end.as_str(),
                    Some("EPERM" | "EACCES" | "EROFS" | "ENOSYS" | "ENOENT")
                ) || what == "memory of the kernel" && end == "done";
                // Root may look at what it runs: it has no right over others of the host.
                assert!(is_refused || user == "0" && what.starts_with("ptrace"), "{what}: {end}");
            }
        }
    })
    .await;
}

/// What the daemon answers, with nothing left out.
async fn raw(path: &str) -> Value {
    let mut stream = UnixStream::connect(socket()).await.expect("connect");
    let ask = format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(" 200 "), "{path}: {head}");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn c11_inspect_has_no_secret_but_in_the_servers_own_environment() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| {
            config.environment.insert("OPERATORS".to_owned(), "s3cr3t-1".into());
            let login = RegistryLogin { username: "u".to_owned(), password: "s3cr3t-2".into() };
            config.registry_auth.insert("r.example".to_owned(), login);
            config.post_start_cmd = "true".parse().unwrap();
        })
        .await;
        let ada = key("ada", "");
        let mut request = request(ada.clone());
        request.api_token = "s3cr3t-3".into();
        spawner.start(&request, &Progress::ignored()).await.unwrap();
        let id = corner.container(&ada).await;

        let mut container = raw(&format!("/containers/{id}/json")).await;
        let own = container["Config"]["Env"].take().to_string();
        assert!(own.contains("s3cr3t-1") && own.contains("s3cr3t-3") && !own.contains("s3cr3t-2"));
        let mut all = vec![container, raw(&format!("/containers/{id}/top")).await];
        for path in ["/containers/json?all=1", "/volumes", "/networks", "/images/json", "/info"] {
            all.push(raw(path).await);
        }
        let (volume, network) = (format!("{}-ada", corner.name), &corner.name);
        for path in [
            format!("/volumes/{volume}"),
            format!("/networks/{network}"),
            format!("/images/{}/json", corner.image()),
            format!("/images/{}/history", corner.image()),
        ] {
            all.push(raw(&path).await);
        }
        for told in all {
            assert!(!told.to_string().contains("s3cr3t"), "{told}");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_35_what_containers_have_of_the_pool_their_labels_say() {
    in_a_corner(|corner| async move {
        let pooled = |pool: &[&str]| {
            let pool = pool.iter().map(|&id| id.to_owned()).collect();
            connect(&corner, |config| {
                config.gpu_pool = pool;
                config.gpus = hub_spawner::docker::Gpus::Count(1);
            })
        };
        // Servers of others that have two of the pool.
        for (user, gpus) in [("bob", "0"), ("eve", "1")] {
            let labels: Labels = [
                ("hub.deployment", corner.name.as_str()),
                ("hub.kind", "server"),
                ("hub.user", user),
                ("hub.server", ""),
                ("hub.gpus", gpus),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
            let name = format!("{}-{user}", corner.name);
            let spec = ContainerSpec { labels, ..ContainerSpec::new(name, corner.image()) };
            corner.engine.create_container_from(&spec).await.unwrap();
        }
        let ada = key("ada", "");
        let error = start(&pooled(&["0", "1"]).await, &ada).await.unwrap_err();
        assert!(error.user_message().contains("all graphics processors are in use"), "{error}");

        // One is free: the container is made with it, and this machine has no such device.
        let gate = crate::gate::Gate::before(socket()).await;
        let spawner = connect(&corner, |config| {
            config.host = Some(gate.address());
            // What is made for a volume could not be removed either.
            config.volumes = Some([].into());
            config.gpu_pool = ["0", "1", "2"].map(str::to_owned).into();
            config.gpus = hub_spawner::docker::Gpus::Count(1);
        });
        gate.refuse(Some(("DELETE", "/containers/{}")));
        gate.beside(Box::pin(async {
            let error = start(&spawner.await, &ada).await.expect_err("no such hardware");
            assert!(!error.user_message().contains("all graphics"), "{error:?}");
        }))
        .await;
        let told = raw(&format!("/containers/{}/json", corner.container(&ada).await)).await;
        assert_eq!(told["Config"]["Labels"]["hub.gpus"], "2");
        assert_eq!(told["HostConfig"]["DeviceRequests"][0]["DeviceIDs"], serde_json::json!(["2"]));

        // What it has is given back with it.
        let again = start(&pooled(&["0", "1", "2"]).await, &key("zoe", "")).await.unwrap_err();
        assert!(again.user_message().contains("all graphics processors are in use"), "{again}");
        let id = corner.container(&key("bob", "")).await;
        corner.engine.remove_container(&id, true).await.unwrap();
        let freed = start(&pooled(&["0", "1", "2"]).await, &key("zoe", "")).await.unwrap_err();
        assert!(!freed.user_message().contains("all graphics"), "{freed}");
    })
    .await;
}
