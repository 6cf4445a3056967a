//! What goes wrong while deploying, and the same command that goes on.

mod build;
mod disk;
mod engine;
mod interrupted;
mod networks;

use std::{
    fmt,
    process::{Output, Stdio},
};

use futures_util::{FutureExt, future::BoxFuture};
use hub_tests::{Deployment, Gate, deployment::said, wait::DEADLINE};

/// For servers that nobody starts.
const IMAGE: &str = "hub-test-nothing:1";

/// Before the engine gets this request: its method, and a part of its path.
type Moment<'a> = (&'static str, &'a str);

/// `cargo xtask deploy`, which a gate holds at a moment.
struct Run {
    pid: u32,
    end: BoxFuture<'static, std::io::Result<Output>>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Run").field(&self.pid).finish()
    }
}

impl Run {
    /// Begins one, and waits until it has come to `moment`: `after` bytes of that
    /// request have gone through.
    async fn until(
        deployment: &Deployment,
        gate: &Gate,
        (method, part): Moment<'_>,
        after: usize,
    ) -> Self {
        gate.hold(method, part, after);
        let mut command = tokio::process::Command::from(deployment.command(&[]));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().unwrap();
        let pid = child.id().unwrap();
        let mut end = child.wait_with_output().boxed();
        tokio::select! {
            output = &mut end => panic!("ended by itself: {}", said(&output.unwrap())),
            () = gate.held() => {}
        }
        Self { pid, end }
    }

    /// Waits until it ends.
    async fn end(self) -> Output {
        tokio::time::timeout(DEADLINE, self.end).await.expect("it ends").unwrap()
    }
}

/// Hub and proxy run, and the hub answers people.
async fn is_up(deployment: &Deployment) {
    let status = deployment.status().await;
    assert_eq!(status["hub"]["state"], "running", "{status:#}");
    assert_eq!(status["proxy"]["state"], "running", "{status:#}");
    let answer = deployment.browser().get("/hub/health").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}
