use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use hub_spawner::{
    Exit, Liveness, Progress, SavedState, ServerKey, SpawnError, Spawner, StopMode,
    conformance::{check, request},
    docker::{DockerConfig, DockerSpawner, PullPolicy},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use url::Url;

use crate::bench::{Corner, in_a_corner};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn key(user: &str, server: &str) -> ServerKey {
    let user = user.parse().expect("a valid name");
    ServerKey::new(user, server.parse().expect("a valid name"))
}

pub(crate) async fn connect(
    corner: &Corner,
    change: impl FnOnce(&mut DockerConfig),
) -> DockerSpawner {
    let mut config = corner.config();
    change(&mut config);
    DockerSpawner::connect(config).await.expect("connect")
}

pub(crate) async fn start(spawner: &DockerSpawner, key: &ServerKey) -> Result<Url, SpawnError> {
    let started = spawner.start(&request(key.clone()), &Progress::ignored()).await?;
    Ok(started.url)
}

/// What a server answers to `GET /`, asked again until it listens.
pub(crate) async fn get(url: &Url) -> String {
    let address = url.socket_addrs(|| None).expect("an address")[0];
    timeout(PATIENCE, async {
        loop {
            // Docker accepts at a published port before anything listens behind
            // it, and resets the connection then.
            match ask(address).await {
                Ok(answer) if !answer.is_empty() => return answer,
                Ok(_) | Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
    .expect("the server answers")
}

async fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let mut answer = String::new();
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").await?;
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Starts a server that ends by itself, before or after its start is over.
async fn exit_of(spawner: &DockerSpawner, key: &ServerKey) -> Exit {
    match start(spawner, key).await {
        Err(SpawnError::Exited(exit)) => {
            let left = spawner.found().await.expect("found");
            assert!(!left.contains(key), "SPN-33: a failed start leaves nothing");
            return exit;
        }
        Err(error) => panic!("expected Exited, got {error:?}"),
        Ok(_) => {}
    }
    let ended = async {
        loop {
            let liveness = spawner.probe(key, &SavedState::default()).await.expect("probe");
            if let Liveness::Exited(exit) = liveness {
                return exit;
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("the server ends")
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn the_docker_spawner_conforms() {
    in_a_corner(|corner| async move { check(&corner).await }).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_server_answers_at_its_address() {
    in_a_corner(|corner| async move {
        let inside = corner.spawner().await;
        let url = start(&inside, &key("ada", "")).await.unwrap();
        assert!(get(&url).await.contains("hello"), "in the network: {url}");

        let published = connect(&corner, |config| config.use_internal_ip = Some(false)).await;
        let url = start(&published, &key("bob", "")).await.unwrap();
        assert_eq!(url.host_str(), Some("127.0.0.1"));
        assert!(get(&url).await.contains("hello"), "published: {url}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_server_reaches_the_host_at_the_host_address() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let host = spawner.host_address().await.unwrap().expect("the network has a gateway");
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let target = format!("http://{}/", listener.local_addr().unwrap());
        start(&spawner, &key("ada", "")).await.unwrap();
        let id = corner.container(&key("ada", "")).await;

        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 5];
            stream.read_exact(&mut asked).await.unwrap();
            let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nhub";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let command = ["wget", "-q", "-O", "-", &target];
        let (said, ()) = tokio::join!(corner.engine.exec(&id, &command), answer);
        let said = said.unwrap();
        assert_eq!((said.code, said.output.as_str()), (0, "hub"));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_37_a_server_can_do_what_notebooks_need_and_no_more() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        start(&spawner, &key("ada", "")).await.unwrap();
        let id = corner.container(&key("ada", "")).await;
        let run = async |command: &[&str]| corner.engine.exec(&id, command).await.unwrap().code;

        assert_eq!(run(&["chown", "1000:100", "/home"]).await, 0, "an image may chown its home");
        assert_ne!(run(&["mknod", "/tmp/zero", "c", "1", "5"]).await, 0, "no device nodes");
        assert_ne!(run(&["ping", "-c", "1", "127.0.0.1"]).await, 0, "no raw sockets");
        let init = corner.engine.exec(&id, &["cat", "/proc/1/cmdline"]).await.unwrap();
        assert!(init.output.contains("docker-init"), "{}", init.output);
        let status = corner.engine.exec(&id, &["cat", "/proc/self/status"]).await.unwrap();
        assert!(status.output.contains("NoNewPrivs:\t1"), "{}", status.output);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_27_a_server_that_eats_memory_is_said_to_have_done_so() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| config.mem_limit = "32M".parse().unwrap()).await;
        let hungry = key("eats-memory", "");
        let exit = exit_of(&spawner, &hungry).await;
        assert_eq!(exit.memory_limit, Some(32 << 20));
        assert!(exit.oom_killed, "{exit:?}");
        assert!(exit.summary().contains("32 MiB"), "{}", exit.summary());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_23_a_stubborn_server_is_ended_after_the_grace_period() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| config.stop_timeout_seconds = 1).await;
        let stubborn = key("stubborn", "");
        start(&spawner, &stubborn).await.unwrap();
        let state = SavedState::default();
        spawner.stop(&stubborn, &state, StopMode::Graceful).await.unwrap();
        assert_eq!(spawner.probe(&stubborn, &state).await.unwrap(), Liveness::Missing);
        assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_7_a_container_of_somebody_else_is_left_alone() {
    in_a_corner(|corner| async move {
        let theirs = connect(&corner, |config| {
            // Same names, another deployment; nothing labelled as the corner's.
            config.deployment = corner.neighbour();
            config.volumes = Some([].into());
        })
        .await;
        let ours = corner.spawner().await;
        let ada = key("ada", "");
        start(&theirs, &ada).await.unwrap();

        let error = start(&ours, &ada).await.unwrap_err();
        let mine = ours.found().await.unwrap();
        ours.stop(&ada, &SavedState::default(), StopMode::Now).await.unwrap();
        let alive = theirs.probe(&ada, &SavedState::default()).await.unwrap();
        theirs.stop(&ada, &SavedState::default(), StopMode::Now).await.unwrap();

        assert!(matches!(error, SpawnError::NameTaken { .. }), "{error:?}");
        assert_eq!(mine, []);
        assert!(matches!(alive, Liveness::Running { .. }), "{alive:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn b6_a_volume_of_another_deployment_is_not_mounted() {
    in_a_corner(|corner| async move {
        let ours = corner.spawner().await;
        start(&ours, &key("ada", "")).await.unwrap();
        let theirs = connect(&corner, |config| {
            config.deployment = corner.neighbour();
            config.prefix = corner.neighbour();
        })
        .await;
        let error = start(&theirs, &key("ada", "")).await.unwrap_err();
        assert!(matches!(error, SpawnError::Rejected { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_31_a_volume_of_an_older_spawner_is_used_and_no_second_one_made() {
    in_a_corner(|corner| async move {
        let (raw, today) =
            (format!("{}-ada-lovelace", corner.name), format!("{}-ada-2dlovelace", corner.name));
        corner.engine.ensure_volume(&raw, &corner.labels()).await.unwrap();
        let spawner = corner.spawner().await;
        let ada = key("ada-lovelace", "");
        let mounted = async || {
            start(&spawner, &ada).await.unwrap();
            let id = corner.container(&ada).await;
            let found = corner.engine.inspect(&id).await.unwrap().unwrap();
            spawner.stop(&ada, &SavedState::default(), StopMode::Now).await.unwrap();
            found.mounts[0].source.clone()
        };
        assert_eq!(mounted().await, raw);
        assert_eq!(corner.engine.volume(&today).await.unwrap(), None);

        // Somebody whose name spells today's volume of another is not given it.
        let other = key("ada-2dlovelace", "");
        corner.engine.ensure_volume(&today, &corner.labels()).await.unwrap();
        start(&spawner, &other).await.unwrap();
        let id = corner.container(&other).await;
        let found = corner.engine.inspect(&id).await.unwrap().unwrap();
        assert_eq!(found.mounts[0].source, format!("{}-ada-2d2dlovelace", corner.name));

        assert_eq!(mounted().await, today, "the one that is called as it should be goes first");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn files_survive_a_stop_and_servers_that_differ_in_case_are_two() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let (big, small) = (key("ada", "Lab"), key("ada", "lab"));
        start(&spawner, &big).await.unwrap();
        start(&spawner, &small).await.unwrap();
        assert_eq!(spawner.found().await.unwrap(), [big.clone(), small.clone()]);

        let write = ["sh", "-c", "echo kept >/home/file"];
        let id = corner.container(&big).await;
        assert_eq!(corner.engine.exec(&id, &write).await.unwrap().code, 0);
        for key in [&big, &small] {
            spawner.stop(key, &SavedState::default(), StopMode::Now).await.unwrap();
        }
        start(&spawner, &small).await.unwrap();
        let id = corner.container(&small).await;
        let read = corner.engine.exec(&id, &["cat", "/home/file"]).await.unwrap();
        assert_eq!(read.output, "kept\n");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn what_cannot_be_started_is_explained() {
    in_a_corner(|corner| async move {
        let ada = request(key("ada", ""));
        let progress = Progress::ignored();

        let absent = format!("{}:absent", corner.name);
        let spawner = connect(&corner, |config| {
            config.image = absent.clone();
            config.pull_policy = PullPolicy::Never;
        })
        .await;
        let error = spawner.prepare(&ada, &progress).await.unwrap_err();
        assert!(matches!(error, SpawnError::ImageUnavailable { .. }), "{error:?}");
        let error = spawner.start(&ada, &progress).await.unwrap_err();
        assert!(matches!(error, SpawnError::ImageUnavailable { .. }), "{error:?}");

        let spawner =
            connect(&corner, |config| config.cmd = Some(["no-such-program"].into_iter().collect()))
                .await;
        let exit = exit_of(&spawner, &ada.key).await;
        assert!(exit.summary().contains("no such command"), "{exit:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn many_servers_start_at_once() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let keys: Vec<ServerKey> = (10..22).map(|n| key(&format!("user{n}"), "")).collect();
        let started = join_all(keys.iter().map(|key| start(&spawner, key))).await;
        let mut urls: Vec<Url> = started.into_iter().map(Result::unwrap).collect();
        urls.sort();
        urls.dedup();
        assert_eq!(urls.len(), keys.len(), "each has an address of its own");
        assert_eq!(spawner.found().await.unwrap(), keys);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn faq_3_a_new_configuration_is_for_servers_that_start_later() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let (ada, bob) = (key("ada", ""), key("bob", ""));
        let url = start(&spawner, &ada).await.unwrap();
        let before = corner.container(&ada).await;

        let mut config = corner.config();
        config.prefix = format!("{}-later", config.prefix);
        let plan = spawner.plan(&config).unwrap();
        spawner.adopt(plan);
        start(&spawner, &bob).await.unwrap();
        assert_eq!(corner.container(&ada).await, before);
        assert!(get(&url).await.contains("hello"), "ada's server goes on");
        spawner.stop(&ada, &SavedState::default(), StopMode::Now).await.unwrap();
        assert_eq!(spawner.found().await.unwrap(), [bob]);

        config.deployment = format!("{}-other", config.deployment);
        assert_eq!(spawner.plan(&config).unwrap_err().key, "deployment");
    })
    .await;
}
