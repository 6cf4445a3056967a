//! `hub servers start`: the request and the progress at the same time, since the
//! hub answers the request only when the server is ready or slow.

use std::{pin::pin, time::Duration};

use anyhow::bail;
use tokio::time::sleep;

use crate::{
    client::{Answer, CallError, Client, ProgressEvent, Taken},
    output::Output,
};

/// First pause before the progress is asked for again; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause before the progress is asked for again.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How often in a row the progress may break off without anything new.
const MAX_BREAKS: u32 = 10;

pub(super) async fn run(
    client: &Client,
    output: &Output,
    user: &str,
    no_wait: bool,
) -> anyhow::Result<()> {
    let taken = match no_wait {
        true => client.start(user).await?,
        false => {
            start_and_follow(client, output, user).await?;
            Taken::Done
        }
    };
    if output.is_json() {
        return Ok(output.json(&client.server(user).await?.json)?);
    }
    let line = match taken {
        Taken::Underway => format!("The server of {user} is starting."),
        // Where it is found is good to know, and no reason to fail.
        Taken::Done => match client.server(user).await {
            Ok(server) => {
                format!("The server of {user} is ready: {}", client.absolute(&server.body.url))
            }
            Err(_) => format!("The server of {user} is ready."),
        },
    };
    Ok(output.line(&line)?)
}

async fn start_and_follow(client: &Client, output: &Output, user: &str) -> anyhow::Result<()> {
    let mut told = Told { output, events: Vec::new() };
    let mut request = pin!(client.start(user));
    let mut pause = MIN_PAUSE;
    // Until the request is answered, it alone knows how the start ended: the
    // progress may still be that of an earlier one, or not have begun.
    let taken = loop {
        let look = async {
            let _ = follow(client, user, &mut told).await;
            sleep(pause).await;
        };
        tokio::select! {
            biased;
            taken = &mut request => break taken?,
            () = look => pause = (pause * 2).min(MAX_PAUSE),
        }
    };
    match taken {
        Taken::Done => Ok(()),
        Taken::Underway => follow_to_the_end(client, user, &mut told).await,
    }
}

/// Follows a start until it ends, over broken connections.
async fn follow_to_the_end(client: &Client, user: &str, told: &mut Told<'_>) -> anyhow::Result<()> {
    let mut breaks = 0;
    loop {
        let before = told.events.len();
        match follow(client, user, told).await {
            Ok(Some(Ended::Ready)) => return Ok(()),
            // The hub's sentence says that it failed.
            Ok(Some(Ended::Failed(message))) => bail!("{message}"),
            Ok(None) | Err(CallError::Unreachable { .. } | CallError::Failed { .. })
                if breaks < MAX_BREAKS =>
            {
                breaks = if told.events.len() > before { 0 } else { breaks + 1 };
                sleep((MIN_PAUSE * 2_u32.pow(breaks.min(MAX_BREAKS))).min(MAX_PAUSE)).await;
            }
            Ok(None) => {
                bail!("the server of {user} is starting, but the hub stopped telling about it")
            }
            Err(error) => return Err(error.into()),
        }
    }
}

enum Ended {
    Ready,
    Failed(String),
}

/// Tells the steps of a start until the stream is over; `None` if it broke off
/// before the start ended.
async fn follow(
    client: &Client,
    user: &str,
    told: &mut Told<'_>,
) -> Result<Option<Ended>, CallError> {
    let mut stream = client.progress(user).await?;
    let mut at = 0;
    while let Some(Answer { body: event, .. }) = stream.next().await {
        if event.ready {
            return Ok(Some(Ended::Ready));
        }
        if event.failed {
            return Ok(Some(Ended::Failed(event.message)));
        }
        told.tell(at, event);
        at += 1;
    }
    Ok(None)
}

/// The steps that were told. A stream begins with the first step each time it is
/// opened; nothing is told twice.
struct Told<'a> {
    output: &'a Output,
    events: Vec<ProgressEvent>,
}

impl Told<'_> {
    fn tell(&mut self, at: usize, event: ProgressEvent) {
        if self.events.get(at) == Some(&event) {
            return;
        }
        let percent = event.progress.map_or_else(String::new, |percent| format!("{percent}%"));
        self.output.note(&format!("{percent:>4}  {}", event.message));
        self.events.truncate(at);
        self.events.push(event);
    }
}
