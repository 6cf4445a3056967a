//! What a person reads.

use super::{
    preflight::Remarks,
    settings::{Problem, Settings, Tls},
    up::Up,
};

/// One thing and what became of it.
pub(super) fn line(what: &str, became: &str) {
    eprintln!("  {what}: {became}");
}

/// All that is wrong, as one error.
pub(super) fn problems(problems: Vec<Problem>) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  - {problem}")).collect();
    let count = lines.len();
    let things = if count == 1 { "one thing is" } else { "some things are" };
    anyhow::anyhow!("{things} missing or wrong:{}", lines.concat())
}

/// Where the hub is, who may do what there, and what to do next.
pub(super) fn ready(settings: &Settings, remarks: &Remarks, up: &Up, websockets: Option<&str>) {
    eprintln!();
    eprintln!("The hub is ready:  {}", settings.address());
    match remarks.administrators.as_slice() {
        [] => eprintln!(
            "  administrators   none; write `NAME admin` into {}",
            crate::workspace::shown(&settings.userlist)
        ),
        names => eprintln!("  administrators   {}", names.join(", ")),
    }
    eprintln!("  hub              {} ({})", settings.layout.hub, up.hub.word());
    eprintln!("  proxy            {} ({})", settings.layout.proxy, up.proxy.word());
    if let Some(told) = websockets {
        eprintln!("  WebSockets       {told}");
    }
    if settings.tls == Tls::Elsewhere {
        eprintln!("  TLS              ends in front of it; see docs/tls.md");
    }
    eprintln!();
    eprintln!(
        "Next: `{}`, `logs`, `logs USER`, `hub doctor`. After a change of the",
        settings.command("status")
    );
    eprintln!(
        "user list, the certificate or hub.toml: `reload`; of .env, or for a newer version: `upgrade`."
    );
}
