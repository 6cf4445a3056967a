//! Who reaches whom, seen from inside of containers.

use std::time::Duration;

use hub_spawner::{
    Liveness, SavedState, ServerKey, Spawner, StopMode,
    docker::{DockerConfig, DockerSpawner, Isolation},
};
use url::Url;

use crate::{
    bench::{Corner, eventually, in_a_corner},
    spawner::{connect, get, key, start},
};

/// Whether the server of `from` gets an answer from `url`.
async fn reaches(corner: &Corner, from: &ServerKey, url: &Url) -> bool {
    let id = corner.container(from).await;
    let page = format!("{url}index.html");
    let command = ["timeout", "5", "wget", "-q", "-O", "-", &page];
    let ran = corner.engine.exec(&id, &command).await.expect("exec");
    ran.output.contains("hello")
}

async fn stop(spawner: &DockerSpawner, key: &ServerKey) {
    spawner.stop(key, &SavedState::default(), StopMode::Now).await.expect("stop");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_36_users_in_networks_of_their_own_do_not_reach_each_other() {
    in_a_corner(|corner| async move {
        let (ada, lab, bob) = (key("ada", ""), key("ada", "lab"), key("bob", ""));

        // In one network they do: the proof below would prove nothing else.
        let shared = corner.spawner().await;
        start(&shared, &ada).await.unwrap();
        let of_bob = start(&shared, &bob).await.unwrap();
        get(&of_bob).await;
        assert!(reaches(&corner, &ada, &of_bob).await, "neighbours in one network");
        for key in [&ada, &bob] {
            stop(&shared, key).await;
        }

        let apart = connect(&corner, |config| config.isolation = Isolation::PerUser).await;
        start(&apart, &ada).await.unwrap();
        let of_lab = start(&apart, &lab).await.unwrap();
        let of_bob = start(&apart, &bob).await.unwrap();
        // The hub on the host reaches all.
        get(&of_lab).await;
        get(&of_bob).await;
        assert!(reaches(&corner, &ada, &of_lab).await, "a user's servers are in one network");
        assert!(!reaches(&corner, &ada, &of_bob).await, "D1: another user's server");
        assert!(!reaches(&corner, &lab, &of_bob).await, "D1: another user's server");

        let networks =
            async || corner.engine.networks_labelled(&corner.labels()).await.unwrap().len();
        assert_eq!(networks().await, 3, "the shared one and two of users");
        stop(&apart, &ada).await;
        assert_eq!(networks().await, 3, "ada's other server is still in it");
        stop(&apart, &lab).await;
        stop(&apart, &bob).await;
        assert_eq!(networks().await, 1, "nobody is left in them");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_36_the_hubs_containers_are_in_each_users_network_and_ranges_are_chosen() {
    in_a_corner(|corner| async move {
        let hub = crate::containers::shell(&corner, "hub", "sleep 600");
        let hub = corner.engine.create_container_from(&hub).await.unwrap();
        corner.engine.start_container(&hub).await.unwrap();
        let spawner = connect(&corner, |config: &mut DockerConfig| {
            config.isolation = Isolation::PerUser;
            config.hub_containers = vec![format!("{}-hub", corner.name)];
            config.isolation_subnets = Some("198.19.0.0/24".to_owned());
        })
        .await;
        let (ada, bob) = (key("ada", ""), key("bob", ""));
        for key in [&ada, &bob] {
            let url = start(&spawner, key).await.unwrap();
            assert!(url.host_str().unwrap().starts_with("198.19.0."), "{url}");
            let page = format!("{url}index.html");
            eventually("the hub reaches the server", async || {
                let command = ["timeout", "5", "wget", "-q", "-O", "-", &page];
                let ran = corner.engine.exec(&hub, &command).await.unwrap();
                ran.output.contains("hello").then_some(())
            })
            .await;
            stop(&spawner, key).await;
        }
        let left = corner.engine.inspect(&hub).await.unwrap().unwrap();
        assert!(left.networks.iter().all(|name| !name.starts_with(&corner.name)), "{left:?}");

        let gone = connect(&corner, |config| {
            config.isolation = Isolation::PerUser;
            config.hub_containers = vec![format!("{}-nobody", corner.name)];
        })
        .await;
        let error = start(&gone, &ada).await.unwrap_err();
        assert!(error.user_message().contains("hub_containers"), "{error:?}");
        gone.forget_user(ada.user()).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_36_a_container_that_takes_the_hubs_place_reaches_servers_that_run() {
    in_a_corner(|corner| async move {
        let hub = async || {
            let hub = crate::containers::shell(&corner, "hub", "sleep 600");
            let hub = corner.engine.create_container_from(&hub).await.unwrap();
            corner.engine.start_container(&hub).await.unwrap();
            hub
        };
        let open = async || {
            connect(&corner, |config| {
                config.isolation = Isolation::PerUser;
                config.hub_containers = vec![format!("{}-hub", corner.name)];
            })
            .await
        };
        let old = hub().await;
        let ada = key("ada", "");
        let url = start(&open().await, &ada).await.unwrap();

        corner.engine.remove_container(&old, true).await.unwrap();
        let new = hub().await;
        let spawner = open().await;
        let page = format!("{url}index.html");
        eventually("the new container reaches the server", async || {
            let command = ["timeout", "5", "wget", "-q", "-O", "-", &page];
            let ran = corner.engine.exec(&new, &command).await.unwrap();
            ran.output.contains("hello").then_some(())
        })
        .await;
        // A second hub finds it there, and nobody's network is taken for a user's.
        open().await;
        let found = corner.engine.inspect(&new).await.unwrap().unwrap();
        assert!(!found.networks.contains(&corner.name), "{found:?}");
        stop(&spawner, &ada).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_36_a_proxy_that_is_replaced_while_the_hub_goes_on_reaches_servers_that_run() {
    in_a_corner(|corner| async move {
        let proxy = async || {
            let proxy = crate::containers::shell(&corner, "proxy", "sleep 600");
            let proxy = corner.engine.create_container_from(&proxy).await.unwrap();
            corner.engine.start_container(&proxy).await.unwrap();
            proxy
        };
        let mut old = proxy().await;
        let spawner = connect(&corner, |config| {
            config.isolation = Isolation::PerUser;
            config.hub_containers = vec![format!("{}-proxy", corner.name)];
        })
        .await;
        let (notices, _told) = tokio::sync::mpsc::channel(64);
        let story = async {
            let ada = key("ada", "");
            let url = start(&spawner, &ada).await.unwrap();
            for _ in 0..2 {
                corner.engine.remove_container(&old, true).await.unwrap();
                old = proxy().await;
                eventually("the new container reaches the server", async || {
                    let page = format!("{url}index.html");
                    let command = ["timeout", "5", "wget", "-q", "-O", "-", &page];
                    let ran = corner.engine.exec(&old, &command).await.unwrap();
                    ran.output.contains("hello").then_some(())
                })
                .await;
            }
            stop(&spawner, &ada).await;
        };
        tokio::select! {
            () = story => {}
            end = spawner.watch(notices) => panic!("the watch ended: {end:?}"),
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_36_a_server_is_in_further_networks_before_it_starts() {
    in_a_corner(|corner| async move {
        let back = format!("{}-back", corner.name);
        let spawner = connect(&corner, |config| config.networks = vec![back.clone()]).await;
        let ada = key("ada", "");
        start(&spawner, &ada).await.unwrap();
        let found = corner.engine.inspect(&corner.container(&ada).await).await.unwrap().unwrap();
        assert_eq!(found.networks, [corner.name.clone(), back].into());
        assert_eq!(found.addresses.len(), 2);
        let alive = spawner.probe(&ada, &SavedState::default()).await.unwrap();
        assert!(matches!(alive, Liveness::Running { .. }), "{alive:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn c10_a_server_does_not_reach_what_listens_for_this_machine_alone() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let ada = key("ada", "");
        start(&spawner, &ada).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = spawner.host_address().await.unwrap().unwrap();
        for address in [format!("127.0.0.1:{port}"), format!("{host}:{port}")] {
            let url: Url = format!("http://{address}/").parse().unwrap();
            assert!(!reaches(&corner, &ada, &url).await, "{url}");
        }
        let asked = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(asked.is_err(), "nobody came through");
    })
    .await;
}
