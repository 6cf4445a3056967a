//! `hub servers`

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::{mpsc::unbounded_channel, oneshot};

use super::{
    program::Run,
    stand_in::{Route, StandIn},
};

/// Far longer than anything takes here.
const DEADLINE: Duration = Duration::from_secs(60);
const SERVER: &str = "/hub/api/users/ada/server";
const PROGRESS: &str = "/hub/api/users/ada/server/progress";

fn server(state: &str) -> Value {
    json!({
        "name": "", "display_name": "", "full_name": "ada/",
        "last_activity": "2020-01-03T00:00:00Z", "started": "2020-01-02T00:00:00Z",
        "pending": matches!(state, "spawn" | "stop").then_some(state),
        "ready": state == "ready", "stopped": state == "stopped",
        "full_url": null, "full_progress_url": null, "url": "/user/ada/", "user_options": {},
        "progress_url": PROGRESS,
    })
}

fn ready() -> Value {
    json!({
        "progress": 100, "ready": true, "url": "/user/ada/",
        "message": "Server ready at /user/ada/",
        "html_message": "Server ready at <a href=\"/user/ada/\">/user/ada/</a>",
    })
}

#[test]
fn servers_are_listed_with_their_addresses() {
    let users = json!({
        "items": [
            { "kind": "user", "name": "ada", "servers": { "": server("ready"), "lab": server("stop") } },
        ],
        "_pagination": { "offset": 0, "limit": 200, "total": 1, "next": null },
    });
    let hub = StandIn::new([
        Route::get("/hub/api/users?offset=0&limit=200&state=active").json(200, users)
    ]);
    let url = hub.url();
    insta::assert_snapshot!(hub.run(&["servers", "list"]).success().replace(&url, "HUB"), @r"
    SERVER OF  STATE     STARTED     LAST ACTIVITY  ADDRESS
    ada        ready     2020-01-02  2020-01-03     HUB/user/ada/
    ada/lab    stopping  2020-01-02  2020-01-03     HUB/user/ada/
    ");
}

#[test]
fn servers_as_json_carry_their_users_names() {
    let users = json!([{ "kind": "user", "name": "ada", "servers": { "": server("ready") } }]);
    let hub = StandIn::new([
        Route::get("/hub/api/users?offset=0&limit=200&state=active").json(200, users)
    ]);
    let printed: Value =
        serde_json::from_str(&hub.run(&["servers", "list", "--json"]).success()).unwrap();
    let mut expected = server("ready");
    expected["user"] = json!("ada");
    assert_eq!(printed, json!([expected]));
}

#[test]
fn no_servers_are_not_the_same_as_none_to_see() {
    let path = "/hub/api/users?offset=0&limit=200&state=active";
    let hub = StandIn::new([Route::get(path).json(200, json!([]))]);
    assert_eq!(hub.run(&["servers", "list"]).success(), "No server runs.\n");

    let hub =
        StandIn::new([Route::get(path).json(200, json!([{ "kind": "user", "name": "ada" }]))]);
    assert!(hub.run(&["servers", "list"]).success().contains("read:servers"));
}

#[test]
fn the_progress_of_a_start_is_shown_as_it_happens() {
    let (events, stream) = unbounded_channel();
    let (answer_start, gate) = oneshot::channel();
    let hub = StandIn::new([
        Route::post(SERVER).text(201, "text/plain", "").after(gate),
        Route::get(PROGRESS).events(stream),
        Route::get(PROGRESS).repeated().error(400, "ada is not starting..."),
        Route::get(SERVER).json(200, server("ready")),
    ]);
    let mut child = hub
        .command(&["servers", "start", "ada"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (line_seen, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let reader = thread::spawn(move || {
        for line in stderr.lines() {
            line_seen.send(line.unwrap()).unwrap();
        }
    });

    // Each step is told only after the one before it was seen.
    for (event, expected) in [
        (json!({ "progress": 0, "message": "Server requested" }), "  0%  Server requested"),
        (json!({ "message": "Pulling the image" }), "      Pulling the image"),
        (json!({ "progress": 90, "message": "Waiting for it" }), " 90%  Waiting for it"),
    ] {
        events.send(format!("data: {event}\n\n")).unwrap();
        assert_eq!(lines.recv_timeout(DEADLINE).unwrap(), expected);
    }
    events.send(format!("data: {}\n\n", ready())).unwrap();
    drop(events);
    answer_start.send(()).unwrap();

    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    reader.join().unwrap();
    let run = Run { code: child.wait().unwrap().code(), stdout, stderr: lines.iter().collect() };
    hub.check(&run);
    assert_eq!(run.stderr, "");
    assert_eq!(run.success(), format!("The server of ada is ready: {}/user/ada/\n", hub.url()));
}

#[test]
fn a_slow_start_is_followed_to_its_end_and_over_a_break() {
    let first = json!({ "progress": 0, "message": "Server requested" });
    let second = json!({ "progress": 50, "message": "Starting it" });
    let hub = StandIn::new([
        Route::post(SERVER).text(202, "text/plain", ""),
        Route::get(PROGRESS).told(std::slice::from_ref(&first)),
        Route::get(PROGRESS).repeated().told(&[first, second, ready()]),
        Route::get(SERVER).json(200, server("ready")),
    ]);
    let run = hub.run(&["servers", "start", "ada"]);
    // Nothing is told twice.
    assert_eq!(run.stderr, "  0%  Server requested\n 50%  Starting it\n");
    assert!(run.success().starts_with("The server of ada is ready: http"));
}

#[test]
fn a_start_that_fails_late_says_why() {
    let failed =
        json!({ "progress": 100, "failed": true, "message": "Spawn failed: the image is missing" });
    let hub = StandIn::new([
        Route::post(SERVER).text(202, "text/plain", ""),
        Route::get(PROGRESS).repeated().told(&[failed]),
    ]);
    let told = hub.run(&["servers", "start", "ada"]).failure(1);
    assert_eq!(told, "hub: Spawn failed: the image is missing\n");
}

#[test]
fn the_failure_of_an_earlier_start_is_not_taken_for_this_one() {
    let (answer_start, gate) = oneshot::channel();
    let earlier =
        json!({ "progress": 100, "failed": true, "message": "Spawn failed: that was yesterday" });
    let hub = StandIn::new([
        Route::post(SERVER).text(201, "text/plain", "").after(gate),
        Route::get(PROGRESS).told(&[earlier]),
        // Asked again: so the earlier failure was read.
        Route::get(PROGRESS).opening(answer_start).error(400, "ada is not starting..."),
        Route::get(PROGRESS).repeated().error(400, "ada is not starting..."),
        Route::get(SERVER).json(200, server("ready")),
    ]);
    let run = hub.run(&["servers", "start", "ada"]);
    assert_eq!(run.stderr, "");
    assert!(run.success().starts_with("The server of ada is ready"));
}

#[test]
fn a_start_that_fails_at_once_says_why() {
    let hub = StandIn::new([
        Route::post(SERVER).error(500, "Spawner failed to start ada: there is no room"),
        Route::get(PROGRESS).repeated().error(400, "ada is not starting..."),
    ]);
    insta::assert_snapshot!(hub.run(&["servers", "start", "ada"]).failure(1), @r"
    hub: Spawner failed to start ada: there is no room (500 Internal Server Error)
    hint: the hub's log may tell more
    ");
}

#[test]
fn nobody_has_to_wait_for_a_start() {
    let hub = StandIn::new([Route::post(SERVER).text(202, "text/plain", "")]);
    assert_eq!(
        hub.run(&["servers", "start", "ada", "--no-wait"]).success(),
        "The server of ada is starting.\n"
    );
}

#[test]
fn a_stop_is_waited_for() {
    let hub = StandIn::new([
        Route::delete(SERVER).text(202, "text/plain", ""),
        Route::get(SERVER).json(200, server("stop")),
        Route::get(SERVER).json(200, server("stopped")),
    ]);
    let run = hub.run(&["servers", "stop", "ada"]);
    assert_eq!(run.stderr, "The server of ada is stopping.\n");
    assert_eq!(run.success(), "The server of ada is stopped.\n");
}

#[test]
fn a_stop_that_did_not_work_is_an_error() {
    let hub = StandIn::new([
        Route::delete(SERVER).text(202, "text/plain", ""),
        Route::get(SERVER).json(200, server("ready")),
    ]);
    let told = hub.run(&["servers", "stop", "ada"]).failure(1);
    assert!(told.contains("could not be stopped"), "{told}");
}

#[test]
fn nobody_has_to_wait_for_a_stop() {
    let hub = StandIn::new([Route::delete(SERVER).text(202, "text/plain", "")]);
    assert_eq!(
        hub.run(&["servers", "stop", "ada", "--no-wait"]).success(),
        "The server of ada is stopping.\n"
    );
}

#[test]
fn a_log_is_printed_as_it_is() {
    let log = "[I] one\n\u{1b}[31m[E] two\u{1b}[0m";
    let hub = StandIn::new([
        Route::get("/hub/api/users/ada/server/log?lines=2").json(200, json!({ "log": log }))
    ]);
    let shown = hub.run(&["servers", "log", "ada", "--lines", "2"]).success();
    assert_eq!(shown, format!("{log}\n"));
}

#[test]
fn log_1_a_log_that_was_kept_is_called_one() {
    let kept = json!({ "log": "last words\n", "ended": "2020-01-03T00:00:00Z" });
    let hub = StandIn::new([Route::get("/hub/api/users/ada/server/log?lines=2").json(200, kept)]);
    let run = hub.run(&["servers", "logs", "ada", "--tail", "2"]);
    assert_eq!(run.stderr, "The server of ada wrote this before it ended (2020-01-03).\n");
    assert_eq!(run.success(), "last words\n");
}

#[test]
fn faq_1_a_log_is_followed_until_the_server_ends() {
    let events = [
        json!({ "log": "one\ntwo\n", "ended": null }),
        json!({ "log": "", "ended": "2020-01-03T00:00:00Z" }),
    ];
    let route = || Route::get("/hub/api/users/ada/server/log?lines=2&follow=1").told(&events);
    let hub = StandIn::new([route()]);
    let run = hub.run(&["servers", "logs", "ada", "--tail", "2", "--follow"]);
    assert_eq!(run.stderr, "The server of ada wrote this before it ended (2020-01-03).\n");
    assert_eq!(run.success(), "one\ntwo\n");

    let run = StandIn::new([route()]).run(&["--json", "servers", "log", "ada", "--lines=2", "-f"]);
    assert_eq!(run.success().lines().count(), 2, "an object a line");
}

#[test]
fn faq_1_a_log_that_breaks_off_is_an_error() {
    let piece = json!({ "log": "one\n", "ended": null });
    let hub = StandIn::new([
        Route::get("/hub/api/users/ada/server/log?lines=200&follow=1").told(&[piece])
    ]);
    let run = hub.run(&["servers", "log", "ada", "--follow"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "one\n"));
    assert!(run.stderr.contains("broke off"), "{run:?}");
}

#[test]
fn a_server_without_a_log_is_an_error() {
    let hub = StandIn::new([Route::get("/hub/api/users/ada/server/log?lines=200")
        .error(404, "ada is not running and left no log")]);
    let told = hub.run(&["servers", "log", "ada"]).failure(1);
    assert_eq!(told, "hub: ada is not running and left no log\n");
}
