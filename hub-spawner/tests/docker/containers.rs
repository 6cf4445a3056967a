//! Plain containers: made from a description, looked at, run to their end.

use std::time::Duration;

use futures_util::TryStreamExt;
use hub_spawner::engine::{
    ContainerSpec, ContainerState, EngineError, Health, HealthCheck, LogRotation, Mount,
    NetworkEnd, NetworkSpec, PublishedPort, RestartPolicy,
};

use crate::bench::{Corner, eventually, in_a_corner};

const DEADLINE: Duration = Duration::from_secs(60);

/// A container of this corner that runs a line of shell.
pub(crate) fn shell(corner: &Corner, name: &str, line: &str) -> ContainerSpec {
    ContainerSpec {
        command: Some(["/bin/sh", "-c", line].map(str::to_owned).to_vec()),
        labels: corner.labels(),
        ..ContainerSpec::new(format!("{}-{name}", corner.name), corner.image())
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_6_a_container_is_made_as_described() {
    in_a_corner(|corner| async move {
        let engine = &corner.engine;
        engine.ensure_network(&corner.name, &corner.labels()).await.unwrap();
        let back = NetworkSpec {
            name: format!("{}-back", corner.name),
            labels: corner.labels(),
            internal: true,
            subnet: None,
        };
        let made = engine.ensure_network_from(&back).await.unwrap();
        assert!(made.internal && made.subnets.len() == 1, "{made:?}");
        engine.ensure_volume(&corner.name, &corner.labels()).await.unwrap();

        let mut spec = shell(&corner, "hub", "id; exec httpd -f -p 8888 -h /www");
        spec.user = Some("1234:5678".to_owned());
        spec.group_add = vec!["4321".to_owned()];
        spec.env.insert("KEY".to_owned(), "hush".into());
        spec.mounts = vec![
            Mount::volume(&corner.name, "/data"),
            Mount::bind("/etc/hostname", "/given").read_only(),
            Mount::tmpfs("/scratch"),
        ];
        spec.networks = vec![
            NetworkEnd::new(&corner.name).alias("hub"),
            NetworkEnd::new(&back.name).alias("api"),
        ];
        spec.ports = vec![PublishedPort {
            host_ip: "127.0.0.1".parse().ok(),
            host_port: None,
            container_port: 8888,
        }];
        spec.read_only_root = true;
        spec.cap_drop = vec!["ALL".to_owned()];
        spec.security_opt = vec!["no-new-privileges".to_owned()];
        spec.restart = RestartPolicy::UnlessStopped;
        spec.stop_grace = Some(Duration::from_secs(1));
        spec.healthcheck = Some(HealthCheck {
            command: ["wget", "-q", "-O", "-", "http://127.0.0.1:8888/"].map(str::to_owned).into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            retries: 30,
            start_period: Duration::ZERO,
        });
        spec.memory = Some(64 << 20);
        spec.pids_limit = Some(64);
        spec.log = Some(LogRotation { max_bytes: 1 << 20, max_files: 2 });

        let id = engine.create_container_from(&spec).await.unwrap();
        let found = engine.inspect(&id).await.unwrap().unwrap();
        assert_eq!((found.state, found.started_at), (ContainerState::Created, None));
        engine.start_container(&id).await.unwrap();
        let healthy = eventually("the health check succeeds", async || {
            let found = engine.inspect(&spec.name).await.unwrap().unwrap();
            (found.health == Some(Health::Healthy)).then_some(found)
        })
        .await;
        assert!(healthy.is_running() && healthy.started_at.is_some());
        assert_eq!(healthy.image, corner.image());
        assert_eq!(healthy.networks, [corner.name.clone(), back.name.clone()].into());
        assert_eq!(healthy.addresses.len(), 2);
        assert!(healthy.published["8888/tcp"].ip().is_loopback());
        assert!(healthy.variables.contains("KEY"));
        assert_eq!(healthy.memory_limit, Some(64 << 20));
        assert_eq!(healthy.mounts.len(), 3);
        assert!(healthy.mounts.iter().all(|mount| mount.read_only == (mount.target == "/given")));

        let said = engine.logs(&id, 10).await.unwrap().unwrap();
        assert!(said.contains("uid=1234") && said.contains("4321"), "{said}");
        let refused = engine.exec(&id, &["/bin/sh", "-c", "echo x > /www/x"]).await.unwrap();
        assert_ne!(refused.code, 0, "the root file system is read-only");
        let scratched = engine.exec(&id, &["/bin/touch", "/scratch/x"]).await.unwrap();
        assert_eq!(scratched.code, 0, "{}", scratched.output);

        // Others find it by its further names, in each network.
        for (network, alias) in [(&corner.name, "hub"), (&back.name, "api")] {
            let line = format!("wget -q -O - http://{alias}:8888/");
            let mut asks = shell(&corner, "asks", &line);
            asks.networks = vec![NetworkEnd::new(network)];
            let answer = engine.run_to_end(&asks, DEADLINE).await.unwrap();
            assert_eq!((answer.code, answer.output.as_str()), (0, "hello\n"));
        }

        let renamed = format!("{}-old", spec.name);
        engine.rename_container(&id, &renamed).await.unwrap();
        engine.disconnect_network(&back.name, &id).await.unwrap();
        engine.disconnect_network(&back.name, &id).await.unwrap();
        let found = engine.inspect(&renamed).await.unwrap().unwrap();
        assert_eq!(found.networks, [corner.name.clone()].into());
        engine.connect_network(&back.name, &id, &["api".to_owned()]).await.unwrap();
        engine.connect_network(&back.name, &id, &["api".to_owned()]).await.unwrap();
        engine.remove_container(&id, true).await.unwrap();
        engine.remove_network(&back.name).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_job_runs_to_its_end_and_leaves_nothing() {
    in_a_corner(|corner| async move {
        let fails = shell(&corner, "job", "echo out; echo err >&2; exit 7");
        let output = corner.engine.run_to_end(&fails, DEADLINE).await.unwrap();
        assert_eq!(output.code, 7);
        assert!(output.output.contains("out\n") && output.output.contains("err\n"));

        let endless = shell(&corner, "job", "sleep 1000");
        let error = corner.engine.run_to_end(&endless, Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, EngineError::TimedOut { .. }), "{error:?}");
        assert_eq!(corner.engine.inspect(&endless.name).await.unwrap(), None);

        let mut nowhere = shell(&corner, "job", "true");
        nowhere.networks = [corner.name.as_str(), "hub-test-nothing"].map(NetworkEnd::new).into();
        corner.engine.ensure_network(&corner.name, &corner.labels()).await.unwrap();
        let error = corner.engine.run_to_end(&nowhere, DEADLINE).await.unwrap_err();
        assert!(error.text().is_some_and(|text| text.contains("hub-test-nothing")), "{error:?}");
        assert_eq!(corner.engine.inspect(&nowhere.name).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_log_is_followed_to_its_end() {
    in_a_corner(|corner| async move {
        let line = "trap 'echo caught; exit 0' HUP; echo ready; while :; do sleep 0.1; done";
        let id = corner.engine.create_container_from(&shell(&corner, "log", line)).await.unwrap();
        corner.engine.start_container(&id).await.unwrap();
        let mut parts = Box::pin(corner.engine.logs_follow(&id, None, true));
        let first = parts.try_next().await.unwrap().unwrap();
        assert_eq!(first, "ready\n");
        corner.engine.signal(&id, "SIGHUP").await.unwrap();
        let rest: Vec<_> = parts.try_collect().await.unwrap();
        assert_eq!(rest.concat(), b"caught\n");
        assert_eq!(corner.engine.wait_container(&id).await.unwrap(), 0);
        assert!(corner.engine.signal(&id, "SIGHUP").await.unwrap_err().is_conflict());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn an_image_and_the_machine_are_described() {
    in_a_corner(|corner| async move {
        let image = corner.engine.image(&corner.image()).await.unwrap().unwrap();
        assert_eq!(image.command, ["/bin/serve"]);
        assert_eq!(image.env["PATH"], "/bin");
        assert_eq!((image.os.as_str(), image.tags), ("linux", vec![corner.image()]));
        assert!(image.id.starts_with("sha256:") && image.size > 0);
        let info = corner.engine.info().await.unwrap();
        assert_eq!(info.os, "linux");
        assert!(info.cpus > 0 && info.memory > 0 && !info.name.is_empty(), "{info:?}");
    })
    .await;
}
