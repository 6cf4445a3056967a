//! Changed files, brought to programs that run.

use anyhow::bail;

use super::{containers::RUN_AS, layout::UID, operator::Operator, report, settings::Settings, up};

/// Copies what has changed into the volumes. Hub and proxy look at their files
/// every few seconds; a signal has them look now.
pub(super) async fn run(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    super::check_files(settings)?;
    let layout = &settings.layout;
    let engine = operator.engine();
    let Some(hub) = engine.inspect(&layout.hub).await? else {
        bail!("there is no container {}; `cargo xtask deploy` makes it", layout.hub);
    };
    // Only root may use some sockets; then the hub is root, and so are its files.
    let owner = if hub.labels.get(RUN_AS).is_some_and(|user| user == "0") { 0 } else { UID };
    let changed = up::configure(operator, settings, &hub.image_id, owner).await?;
    if changed.is_empty() {
        report::line("files", "unchanged");
        return Ok(());
    }
    report::line("files", &format!("{} brought to the hub", changed.join(", ")));
    for name in [&layout.proxy, &layout.hub] {
        operator
            .change(
                format_args!("POST /containers/{name}/kill?signal=SIGHUP"),
                engine.signal(name, "SIGHUP"),
            )
            .await?;
    }
    eprintln!("  `cargo xtask deploy logs` says what was taken up");
    Ok(())
}
