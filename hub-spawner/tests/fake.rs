//! The fake keeps the rules that the real spawners keep.

use async_trait::async_trait;
use hub_spawner::{
    Exit, Liveness, Progress, SavedState, ServerKey, SpawnError, Spawner,
    conformance::{self, Bench},
    fake::{Behaviour, FakeSpawner},
};
use tokio::sync::mpsc;

#[derive(Debug)]
struct Fakes(FakeSpawner);

#[async_trait]
impl Bench for Fakes {
    async fn open(&self) -> Box<dyn Spawner> {
        Box::new(self.0.clone())
    }

    async fn kill(&self, key: &ServerKey) {
        self.0.die(key, Exit { code: 137, ..Exit::default() });
    }
}

fn ada() -> ServerKey {
    ServerKey::default_of("ada".parse().expect("a valid name"))
}

#[tokio::test]
async fn the_fake_conforms() {
    let exit = Exit { code: 3, log_tail: "last words\n".to_owned(), ..Exit::default() };
    let fake = FakeSpawner::new().behaves_for(conformance::exits_at_once(), Behaviour::Exits(exit));
    conformance::check(&Fakes(fake)).await;
}

#[tokio::test]
async fn a_held_start_goes_on_when_let_go() {
    let fake = FakeSpawner::new();
    fake.hold_starts();
    let (request, progress) = (conformance::request(ada()), Progress::ignored());
    let mut start = std::pin::pin!(fake.start(&request, &progress));
    tokio::select! {
        biased;
        _ = &mut start => panic!("the start was not held"),
        () = tokio::task::yield_now() => {}
    }
    fake.let_starts_go();
    start.await.unwrap();
    assert_eq!(fake.running(), [ada()]);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn servers_go_on_while_the_backend_is_out_of_reach() {
    let fake = FakeSpawner::new();
    let request = conformance::request(ada());
    fake.start(&request, &Progress::ignored()).await.unwrap();
    fake.set_reachable(false);
    let error = fake.probe(&ada(), &SavedState::default()).await.unwrap_err();
    assert!(matches!(error, SpawnError::Unreachable { .. }));
    fake.set_reachable(true);
    let liveness = fake.probe(&ada(), &SavedState::default()).await.unwrap();
    assert!(matches!(liveness, Liveness::Running { .. }));
}

#[tokio::test]
async fn every_watcher_is_told_of_a_death() {
    let fake = FakeSpawner::new();
    fake.start(&conformance::request(ada()), &Progress::ignored()).await.unwrap();
    let (one, mut told_one) = mpsc::channel(1);
    let (two, mut told_two) = mpsc::channel(1);
    let story = async {
        tokio::task::yield_now().await;
        fake.die(&ada(), Exit::default());
        (told_one.recv().await, told_two.recv().await)
    };
    let told = tokio::select! {
        biased;
        _ = fake.watch(one) => panic!("the watch ended"),
        _ = fake.watch(two) => panic!("the watch ended"),
        told = story => told,
    };
    assert_eq!(told, (Some(ada()), Some(ada())));
}
