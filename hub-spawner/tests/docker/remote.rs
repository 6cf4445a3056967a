//! A daemon behind TLS: a second one, on this machine.

mod certificates;
mod daemon;

use std::{fs, path::Path, time::Duration};

use futures_util::TryStreamExt;
use hub_spawner::{
    Liveness, Progress, ServerKey, SpawnError, Spawner, StopMode, conformance,
    docker::{CommandLine, DockerConfig, DockerSpawner},
    engine::{ContainerSpec, DockerHost, Engine, EngineError, HostSettings},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::bench::{self, eventually};
use certificates::Authority;
use daemon::Daemon;

pub(crate) use daemon::free_port;

const IMAGE: &str = "hub-test-remote:1";

/// What is wrong, as an operator reads it.
async fn advice(settings: &HostSettings) -> String {
    let host = DockerHost::resolve(settings).expect("the settings make sense");
    match Engine::connect_to(&host).await.expect_err("there is no way in") {
        EngineError::Unreachable { advice, .. } => advice.to_owned(),
        other => panic!("expected Unreachable, got {other:?}"),
    }
}

async fn engine(settings: &HostSettings) -> Engine {
    let host = DockerHost::resolve(settings).expect("the settings make sense");
    Engine::connect_to(&host).await.expect("connect")
}

async fn with_image(daemon: &Daemon) -> Engine {
    let engine = engine(&daemon.settings()).await;
    engine.import(bench::root(), IMAGE, &["ENV PATH=/bin"]).await.expect("import");
    engine
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_1_a_daemon_behind_tls_runs_containers() {
    let daemon = Daemon::start().await;
    let engine = with_image(&daemon).await;
    let spec = ContainerSpec {
        command: Some(["sh", "-c", "echo hello; exit 4"].map(str::to_owned).to_vec()),
        ..ContainerSpec::new("job", IMAGE)
    };
    let ran = engine.run_to_end(&spec, Duration::from_secs(120)).await.unwrap();
    assert_eq!((ran.code, ran.output.as_str()), (4, "hello\n"));

    // Large in both directions: nothing may wait for the other side for ever.
    engine.ensure_volume("from", &Default::default()).await.unwrap();
    let fill = ContainerSpec {
        command: Some(
            ["sh", "-c", "dd if=/dev/urandom of=/v/big bs=1048576 count=32"]
                .map(str::to_owned)
                .into(),
        ),
        mounts: vec![hub_spawner::engine::Mount::volume("from", "/v")],
        ..spec.clone()
    };
    assert_eq!(engine.run_to_end(&fill, Duration::from_secs(120)).await.unwrap().code, 0);
    let archive = engine.export_volume("from", IMAGE).await.unwrap();
    engine.ensure_volume("to", &Default::default()).await.unwrap();
    engine.import_volume("to", IMAGE, archive.map_err(std::io::Error::other)).await.unwrap();
    let sizes = async |volume: &str| {
        let parts: Vec<_> = engine.export_volume(volume, IMAGE).await?.try_collect().await?;
        Ok::<usize, EngineError>(parts.iter().map(bytes::Bytes::len).sum())
    };
    assert_eq!(sizes("from").await.unwrap(), sizes("to").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_1_servers_run_at_a_daemon_behind_tls() {
    let daemon = Daemon::start().await;
    with_image(&daemon).await;
    let port = free_port().await;
    let spawner = DockerSpawner::connect(DockerConfig {
        host: Some(daemon.address()),
        tls_verify: true,
        cert_path: Some(daemon.client_dir().to_owned()),
        network: "host".to_owned(),
        host_ports: format!("{port}-{port}").parse().ok(),
        port,
        cmd: Some(format!("httpd -f -p {port} -h /www").parse::<CommandLine>().unwrap()),
        ..DockerConfig::new(IMAGE)
    })
    .await
    .unwrap();
    let ada = ServerKey::default_of("ada".parse().unwrap());
    let request = conformance::request(ada.clone());
    spawner.prepare(&request, &Progress::ignored()).await.unwrap();
    let started = spawner.start(&request, &Progress::ignored()).await.unwrap();
    assert_eq!(started.url.as_str(), format!("http://127.0.0.1:{port}/"));
    let page = eventually("the server answers", async || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    })
    .await;
    assert!(page.ends_with("hello\n"), "{page}");
    spawner.stop(&ada, &started.state, StopMode::Now).await.unwrap();
    assert!(spawner.found().await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn faq_1_a_server_logs_where_its_daemon_sends_logs() {
    let daemon = Daemon::with(&["--log-driver=none"]).await;
    with_image(&daemon).await;
    let spawner = DockerSpawner::connect(DockerConfig {
        host: Some(daemon.address()),
        tls_verify: true,
        cert_path: Some(daemon.client_dir().to_owned()),
        network: "host".to_owned(),
        host_ports: "9000-9000".parse().ok(),
        cmd: Some("sh -c 'echo nobody keeps this; exit 3'".parse::<CommandLine>().unwrap()),
        ..DockerConfig::new(IMAGE)
    })
    .await
    .unwrap();
    let ada = ServerKey::default_of("ada".parse().unwrap());
    let request = conformance::request(ada.clone());
    spawner.prepare(&request, &Progress::ignored()).await.unwrap();
    let exit = match spawner.start(&request, &Progress::ignored()).await {
        Err(SpawnError::Exited(exit)) => exit,
        // It had an address before it ended.
        started => {
            let state = started.unwrap().state;
            eventually("the server has ended", async || {
                match spawner.probe(&ada, &state).await.unwrap() {
                    Liveness::Exited(exit) => Some(exit),
                    _ => None,
                }
            })
            .await
        }
    };
    assert_eq!(exit.code, 3);
    assert!(exit.log_tail.contains("sends this log elsewhere"), "{exit:?}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_1_two_sides_that_do_not_know_each_other_say_so() {
    let daemon = Daemon::start().await;
    let plain = HostSettings::at(Some(&daemon.address()));
    assert!(advice(&plain).await.contains("DOCKER_TLS_VERIFY=1"));

    // Somebody else's authority, on either side.
    let stranger = Authority::new();
    let wrong = tempfile::tempdir().unwrap();
    let settings = HostSettings { cert_path: Some(wrong.path().to_owned()), ..daemon.settings() };
    copy(daemon.client_dir(), wrong.path());
    fs::write(wrong.path().join("ca.pem"), stranger.pem()).unwrap();
    assert!(advice(&settings).await.contains("not signed by the authority in ca.pem"));
    copy(daemon.client_dir(), wrong.path());
    stranger.issue_client(wrong.path());
    let said = advice(&settings).await;
    assert!(said.contains("not accept our certificate"), "{said}");

    // The daemon's certificate names 127.0.0.1 only.
    let by_name = daemon.address().replace("127.0.0.1", "localhost");
    let settings = HostSettings { host: Some(by_name), ..daemon.settings() };
    assert!(advice(&settings).await.contains("for other names"));
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_4_a_context_leads_to_a_daemon_behind_tls() {
    let daemon = Daemon::start().await;
    let config = tempfile::tempdir().unwrap();
    // The SHA-256 digest of `far`.
    let id = "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868";
    let meta = config.path().join("contexts/meta").join(id);
    let tls = config.path().join("contexts/tls").join(id).join("docker");
    fs::create_dir_all(&meta).unwrap();
    fs::create_dir_all(&tls).unwrap();
    copy(daemon.client_dir(), &tls);
    let endpoint = format!(r#"{{"Host":"{}","SkipTLSVerify":false}}"#, daemon.address());
    let text = format!(r#"{{"Name":"far","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#);
    fs::write(meta.join("meta.json"), text).unwrap();
    let settings = HostSettings {
        context: Some("far".to_owned()),
        config_dir: Some(config.path().to_owned()),
        ..HostSettings::default()
    };
    let host = DockerHost::resolve(&settings).unwrap();
    assert_eq!((host.address(), host.machine()), (daemon.address().as_str(), Some("127.0.0.1")));
    Engine::connect_to(&host).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn dm_1_a_port_without_tls_is_recognised() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    authority.issue_client(dir.path());
    let settings = HostSettings {
        tls_verify: true,
        cert_path: Some(dir.path().to_owned()),
        ..HostSettings::at(Some(&format!("tcp://{}", listener.local_addr().unwrap())))
    };
    // What a plain daemon says to a TLS greeting.
    let answering = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut greeting = [0; 16];
            stream.read_exact(&mut greeting).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n400 Bad Request").await;
        }
    };
    let said = tokio::select! {
        said = advice(&settings) => said,
        () = answering => unreachable!("answers for ever"),
    };
    assert!(said.contains("no TLS is spoken there"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(from.join(name), to.join(name)).expect("copy a certificate");
    }
}
