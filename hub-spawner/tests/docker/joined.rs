//! Programs in containers, joined to our streams.

use hub_spawner::engine::{Interactive, Streams};

use crate::{bench::in_a_corner, containers::shell};

/// Turns its input around, says which of its streams is a terminal, and ends
/// with a code of its own.
const PROGRAM: &str =
    "while read line; do echo \"heard $line\"; done; echo trouble >&2; test -t 1 && exit 4; exit 3";

/// More than any buffer on the way holds.
const LARGE: usize = 4 << 20;

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_6_a_program_is_joined_to_our_streams_both_ways() {
    in_a_corner(|corner| async move {
        let engine = &corner.engine;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let mut alone = shell(&corner, "alone", PROGRAM);
        alone.interactive = Interactive::Piped;
        let streams =
            Streams { input: b"one\ntwo\n".as_slice(), output: &mut output, errors: &mut errors };
        assert_eq!(engine.run_joined(&alone, streams).await.unwrap(), 3);
        assert_eq!(output, b"heard one\nheard two\n");
        assert_eq!(errors, b"trouble\n");
        assert!(engine.inspect(&alone.name).await.unwrap().is_none(), "it is removed");

        let runs = shell(&corner, "runs", "sleep 600");
        let id = engine.create_container_from(&runs).await.unwrap();
        engine.start_container(&id).await.unwrap();
        let command = ["/bin/sh", "-c", PROGRAM].map(str::to_owned);
        output.clear();
        errors.clear();
        let streams =
            Streams { input: b"three\n".as_slice(), output: &mut output, errors: &mut errors };
        assert_eq!(engine.exec_joined(&id, &command, false, streams).await.unwrap(), 3);
        assert_eq!(
            (output.as_slice(), errors.as_slice()),
            (&b"heard three\n"[..], &b"trouble\n"[..])
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_6_what_passes_through_is_not_changed() {
    in_a_corner(|corner| async move {
        let engine = &corner.engine;
        let given: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
        let mut spec = shell(&corner, "cat", "cat");
        spec.interactive = Interactive::Piped;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let streams = Streams { input: given.as_slice(), output: &mut output, errors: &mut errors };
        assert_eq!(engine.run_joined(&spec, streams).await.unwrap(), 0);
        assert!(output == given, "{} bytes of {}", output.len(), given.len());
    })
    .await;
}
