//! What happens when the daemon's answers are lost, and what it is asked at all.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use hub_spawner::{
    Limits, Liveness, Progress, ServerKey, SpawnError, Spawner, conformance,
    docker::{Account, DockerConfig, DockerSpawner, Isolation, OnUserDelete, PullPolicy},
    engine::{Build, ENDPOINTS, Endpoint, EndpointUser, Engine},
};

use crate::{
    bench::{Corner, eventually, in_a_corner, socket},
    containers::shell,
    gate::Gate,
};

/// A corner that is reached through a gate.
#[derive(Debug)]
struct Gated<'a> {
    corner: &'a Corner,
    address: String,
}

impl Gated<'_> {
    async fn spawner(&self, change: impl FnOnce(&mut DockerConfig)) -> DockerSpawner {
        let mut config = DockerConfig { host: Some(self.address.clone()), ..self.corner.config() };
        change(&mut config);
        DockerSpawner::connect(config).await.expect("connect")
    }
}

#[async_trait]
impl conformance::Bench for Gated<'_> {
    async fn open(&self) -> Box<dyn Spawner> {
        Box::new(self.spawner(|_| {}).await)
    }

    async fn kill(&self, key: &ServerKey) {
        let id = self.corner.container(key).await;
        self.corner.engine.kill(&id).await.expect("kill");
    }
}

fn ada() -> ServerKey {
    ServerKey::default_of("ada".parse().expect("a valid name"))
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_5_a_container_whose_creation_was_not_answered_is_found_by_its_labels() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let gated = Gated { corner: &corner, address: gate.address() };
        gate.beside(Box::pin(async {
            let spawner = gated.spawner(|_| {}).await;
            let request = conformance::request(ada());
            gate.lose("POST", "/containers/create");
            let started = spawner.start(&request, &Progress::ignored()).await.unwrap();
            assert!(!gate.is_losing(), "an answer was lost");
            let alive = spawner.probe(&ada(), &started.state).await.unwrap();
            assert!(matches!(alive, Liveness::Running { .. }), "{alive:?}");
            assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap().len(), 1);
        }))
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_5_a_plain_container_whose_creation_was_not_answered_is_found_by_its_name() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        gate.beside(Box::pin(async {
            let engine = Engine::connect(Some(&gate.address())).await.unwrap();
            let spec = shell(&corner, "job", "true");
            gate.lose("POST", "/containers/create");
            let id = engine.create_container_from(&spec).await.unwrap();
            assert!(!gate.is_losing(), "an answer was lost");
            assert_eq!(engine.inspect(&spec.name).await.unwrap().unwrap().id, id);

            // Somebody else's container is not taken for ours.
            let mut other = spec.clone();
            other.labels.insert("hub.other".to_owned(), "yes".to_owned());
            gate.lose("POST", "/containers/create");
            engine.create_container_from(&other).await.unwrap_err();
        }))
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_5_a_look_whose_answer_was_lost_is_made_again() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        gate.beside(Box::pin(async {
            let engine = Engine::connect(Some(&gate.address())).await.unwrap();
            gate.lose("GET", "/containers/json");
            assert_eq!(engine.containers(&corner.labels()).await.unwrap(), []);
            assert!(!gate.is_losing(), "an answer was lost");
        }))
        .await;
    })
    .await;
}

/// What was asked, as kinds.
///
/// # Panics
///
/// If a request is of no kind that is listed.
fn kinds(gate: &Gate) -> Vec<&'static Endpoint> {
    let kind = |(method, path): &(String, String)| {
        let found = ENDPOINTS.iter().find(|one| one.allows(method, path));
        found.unwrap_or_else(|| panic!("{method} {path} is not listed"))
    };
    gate.asked().iter().map(kind).collect()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_7_the_hub_asks_for_what_is_listed_and_for_nothing_else() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let gated = Gated { corner: &corner, address: gate.address() };
        gate.beside(Box::pin(async {
            conformance::check(&gated).await;
            let spawner = gated.spawner(|config| {
                config.image = "127.0.0.1:1/nothing:1".to_owned();
                config.pull_policy = PullPolicy::IfNotPresent;
            });
            let request = conformance::request(ada());
            let pulled = spawner.await.prepare(&request, &Progress::ignored()).await;
            assert!(pulled.is_err(), "nothing serves that image");
            let spawner = gated.spawner(|_| {}).await;
            spawner.host_address().await.unwrap();
            spawner.engine().ping().await.unwrap();
        }))
        .await;
        let asked = kinds(&gate);
        for one in ENDPOINTS.iter().filter(|one| one.user == EndpointUser::Hub) {
            assert!(asked.contains(&one), "{one} is listed, but not asked for");
        }
        for one in asked {
            assert_eq!(one.user, EndpointUser::Hub, "{one} is asked for by the hub");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_7_copies_and_deployments_ask_for_what_is_listed() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        gate.beside(Box::pin(use_everything(&corner, gate.address()))).await;
        let asked = kinds(&gate);
        for one in ENDPOINTS {
            let by_tools = matches!(one.user, EndpointUser::Backup | EndpointUser::Deploy);
            assert!(!by_tools || asked.contains(&one), "{one} is listed, but not asked for");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_7_options_ask_for_what_is_listed_with_them() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let gated = Gated { corner: &corner, address: gate.address() };
        gate.beside(Box::pin(async {
            let hub = corner.engine.create_container_from(&shell(&corner, "hub", "true")).await;
            hub.unwrap();
            let spawner = gated
                .spawner(|config| {
                    config.isolation = Isolation::PerUser;
                    config.hub_containers = vec![format!("{}-hub", corner.name)];
                    config.post_start_cmd = "id".parse().unwrap();
                    config.disk_hard_limit = "1T".parse().ok();
                    config.on_user_delete = OnUserDelete::Delete;
                })
                .await;
            let request = conformance::request(ada());
            spawner.prepare(&request, &Progress::ignored()).await.unwrap();
            spawner.start(&request, &Progress::ignored()).await.unwrap();
            let limits = Limits { cpus: Some(0.5), ..Limits::default() };
            spawner.set_limits(&ada(), &limits).await.unwrap();
            spawner.forget_user(ada().user()).await.unwrap();
        }))
        .await;
        let asked = kinds(&gate);
        for one in ENDPOINTS.iter().filter(|one| one.user == EndpointUser::Options) {
            assert!(asked.contains(&one), "{one} is listed, but not asked for");
        }
        for one in asked {
            let by_hub = matches!(one.user, EndpointUser::Hub | EndpointUser::Options);
            assert!(by_hub, "{one} is asked for by the hub");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_33_a_start_that_fails_at_any_step_leaves_nothing() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let gated = Gated { corner: &corner, address: gate.address() };
        let absent = format!("127.0.0.1:1/{}:none", corner.name);
        gate.beside(Box::pin(async {
            let spawner = gated
                .spawner(|config| {
                    config.isolation = Isolation::PerUser;
                    config.post_start_cmd = "id".parse().unwrap();
                    config.post_start_required = true;
                })
                .await;
            let pulling = gated.spawner(|config| config.image = absent.clone()).await;
            let further = gated
                .spawner(|config| config.networks = vec![format!("{}-back", corner.name)])
                .await;
            let request = conformance::request(ada());
            let progress = Progress::ignored();
            for step in [
                ("POST", "/volumes/create"),
                ("POST", "/networks/create"),
                ("POST", "/networks/{}/connect"),
                ("POST", "/containers/create"),
                ("POST", "/containers/{}/start"),
                ("GET", "/containers/{}/json"),
                ("GET", "/containers/json"),
                ("GET", "/images/{}/json"),
                ("POST", "/images/create"),
                ("POST", "/containers/{}/exec"),
                ("POST", "/exec/{}/start"),
                ("GET", "/exec/{}/json"),
            ] {
                gate.refuse(Some(step));
                let spawner = match step.1 {
                    "/networks/{}/connect" => &further,
                    "/images/create" => &pulling,
                    _ => &spawner,
                };
                let outcome = match spawner.prepare(&request, &progress).await {
                    Ok(()) => spawner.start(&request, &progress).await.map(drop),
                    Err(error) => Err(error),
                };
                let error = outcome.expect_err(step.1);
                let told =
                    !matches!(error, SpawnError::Rejected { .. } | SpawnError::NameTaken { .. });
                assert!(told && error.user_message().len() > 10, "{step:?}: {error:?}");
                gate.refuse(None);

                let labels = corner.labels();
                assert_eq!(corner.engine.containers(&labels).await.unwrap(), [], "{step:?}");
                let networks = corner.engine.networks_labelled(&labels).await.unwrap();
                assert!(
                    networks.iter().all(|one| !one.name.contains("---")),
                    "{step:?}: {networks:?}"
                );
            }
            spawner.start(&request, &progress).await.expect("and then it starts");
        }))
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_29_what_happened_while_the_stream_was_broken_is_made_up_for() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let gated = Gated { corner: &corner, address: gate.address() };
        gate.beside(Box::pin(async {
            let spawner = gated.spawner(|_| {}).await;
            let bob = ServerKey::default_of("bob".parse().unwrap());
            for key in [ada(), bob.clone()] {
                let request = conformance::request(key);
                spawner.start(&request, &Progress::ignored()).await.unwrap();
            }
            let (notices, mut told) = tokio::sync::mpsc::channel(64);
            let kill = async || corner.engine.kill(&corner.container(&ada()).await).await.unwrap();
            let first = async {
                // The stream may not be open yet: until it is, ada's server dies again.
                loop {
                    kill().await;
                    let pause = std::time::Duration::from_millis(200);
                    if let Ok(Some(key)) = tokio::time::timeout(pause, told.recv()).await
                        && key == ada()
                    {
                        return;
                    }
                    let request = conformance::request(ada());
                    spawner.start(&request, &Progress::ignored()).await.unwrap();
                }
            };
            tokio::select! {
                () = first => {}
                end = spawner.watch(notices) => panic!("the watch ended: {end:?}"),
            }
            // Nobody listens now.
            corner.engine.kill(&corner.container(&bob).await).await.unwrap();
            let (notices, mut told) = tokio::sync::mpsc::channel(64);
            let made_up = async { while told.recv().await.expect("the watch goes on") != bob {} };
            tokio::select! {
                () = made_up => {}
                end = spawner.watch(notices) => panic!("the watch ended: {end:?}"),
            }
        }))
        .await;
    })
    .await;
}

/// Calls each function of the engine that servers do not need.
async fn use_everything(corner: &Corner, address: String) {
    let engine = Engine::connect(Some(&address)).await.expect("connect");
    let (name, image, labels) = (&corner.name, corner.image(), corner.labels());
    engine.ensure_network(name, &labels).await.expect("make a network");
    engine.ensure_volume(name, &labels).await.expect("make a volume");
    assert_eq!(engine.volumes(&labels).await.expect("list volumes").len(), 1);
    let archive = engine.export_volume(name, &image).await.expect("export");
    let archive = archive.map_err(std::io::Error::other);
    engine.import_volume(name, &image, archive).await.expect("import");
    engine.remove_volume(name).await.expect("remove the volume");

    let spec = shell(corner, "job", "sleep 600");
    let id = engine.create_container_from(&spec).await.expect("create");
    engine.start_container(&id).await.expect("start");
    engine.exec(&id, &["id"]).await.expect("exec");
    engine.rename_container(&id, &format!("{name}-other")).await.expect("rename");
    engine.connect_network(name, &id, &[]).await.expect("connect");
    engine.disconnect_network(name, &id).await.expect("disconnect");
    engine.kill(&id).await.expect("kill");
    engine.wait_container(&id).await.expect("wait");
    let _: Vec<_> = engine.logs_follow(&id, None, false).collect().await;
    engine.remove_container(&id, true).await.expect("remove");
    engine.remove_network(name).await.expect("remove the network");

    engine.info().await.expect("info");
    let built = format!("{name}:built");
    engine.tag(&image, &built).await.expect("tag");
    engine.remove_image(&built).await.expect("remove the image");
    let nothing = vec![0; 1024].into();
    engine.build(nothing, &Build::new(&built), |_| {}).await.expect_err("there is no Dockerfile");
}

/// A place that the image does not have, for volumes that have to be given away.
const NOWHERE: &str = "/nowhere/in/the/image";

fn give_new_volumes(config: &mut DockerConfig, corner: &Corner) {
    let volume = format!("{}-{{username}}", corner.name);
    config.volumes = Some([(volume, NOWHERE.into())].into());
    config.volume_owner = Account { uid: 1234, gid: 567 };
}

async fn volumes_owner(corner: &Corner, key: &ServerKey) -> String {
    let id = corner.container(key).await;
    let ran = corner.engine.exec(&id, &["stat", "-c", "%u:%g", NOWHERE]).await.expect("look");
    ran.output.trim().to_owned()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_9_a_new_volume_whose_creation_was_not_answered_is_its_users_at_the_next_start() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let gated = Gated { corner: &corner, address: gate.address() };
        gate.beside(Box::pin(async {
            let spawner = gated.spawner(|config| give_new_volumes(config, &corner)).await;
            let request = conformance::request(ada());
            gate.lose("POST", "/volumes/create");
            spawner.start(&request, &Progress::ignored()).await.unwrap_err();
            assert!(!gate.is_losing(), "an answer was lost");
            let volume = format!("{}-ada", corner.name);
            assert!(corner.engine.volume(&volume).await.unwrap().is_some(), "it was made");
            spawner.start(&request, &Progress::ignored()).await.unwrap();
            assert_eq!(volumes_owner(&corner, &ada()).await, "1234:567");
            // Nothing else is left.
            assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap().len(), 1);
        }))
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_9_a_new_volume_is_its_users_also_after_the_hub_was_killed_at_that() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let gated = Gated { corner: &corner, address: gate.address() };
        let open = async || gated.spawner(|config| give_new_volumes(config, &corner)).await;
        gate.beside(Box::pin(async {
            for (user, is_killed) in [("ada", false), ("bob", true)] {
                let key = ServerKey::default_of(user.parse().unwrap());
                let request = conformance::request(key.clone());
                let progress = Progress::ignored();
                let mut spawner = open().await;
                gate.hold(Some(("PUT", "/containers/{}/archive")));
                tokio::select! {
                    started = spawner.start(&request, &progress) => {
                        panic!("the gate holds it: {started:?}")
                    }
                    () = eventually("the volume is being given", async || {
                        gate.is_holding().then_some(())
                    }) => {}
                }
                gate.hold(None);
                if is_killed {
                    spawner = open().await;
                    let mut marks = corner.labels();
                    marks.insert("hub.kind".to_owned(), "volume-init".to_owned());
                    assert_eq!(corner.engine.containers(&marks).await.unwrap(), []);
                }
                spawner.start(&request, &progress).await.unwrap();
                assert_eq!(volumes_owner(&corner, &key).await, "1234:567", "{user}");
                let helpers = Engine::volume_helper_labels(&format!("{}-{user}", corner.name));
                assert_eq!(corner.engine.containers(&helpers).await.unwrap(), [], "{user}");
            }
            // Nothing else is left of the two.
            assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap().len(), 2);
        }))
        .await;
    })
    .await;
}
