//! The two volumes.

use super::{layout::Layout, operator::Operator};

/// Makes sure that both are there. What an older deployment left in them stays.
pub(super) async fn ensure(operator: &Operator, layout: &Layout) -> anyhow::Result<()> {
    for (name, kind) in [(&layout.data, "hub-data"), (&layout.keys, "proxy-data")] {
        if operator.engine().volume(name).await?.is_some() {
            continue;
        }
        let labels = layout.labels(kind);
        let made = operator
            .change(
                format_args!("POST /volumes/create (name {name})"),
                operator.engine().ensure_volume(name, &labels),
            )
            .await?;
        if made.is_some() {
            eprintln!("  volume {name}: made");
        }
    }
    Ok(())
}
