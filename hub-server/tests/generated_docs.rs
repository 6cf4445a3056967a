//! The tables of `docs/configuration.md` are what the types say.
//!
//! `HUB_WRITE_DOCS=1 cargo test -p hub-server --test generated_docs` writes them
//! anew.

use std::{fs, path::Path};

const BEGIN: &str = "<!-- generated from the types: begin -->\n";
const END: &str = "<!-- generated from the types: end -->\n";

#[test]
#[expect(clippy::disallowed_methods, reason = "the person who runs it says what is wanted")]
fn the_reference_of_the_configuration_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page says where the tables begin");
    let (_, after) = rest.split_once(END).expect("the page says where the tables end");
    let tables = hub_server::config::reference::markdown();
    let wanted = format!("{before}{BEGIN}{tables}\n{END}{after}");
    if std::env::var("HUB_WRITE_DOCS").is_ok() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/configuration.md is stale; run HUB_WRITE_DOCS=1 cargo test -p hub-server --test generated_docs"
    );
}
