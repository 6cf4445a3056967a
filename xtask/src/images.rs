//! The images that the demo and the tests use.
//!
//! All are built through Docker's API with its classic builder, from files that
//! are part of this program; an image that is there already costs one look.
//!
//! - `hub-debian-base`: only where no image registry answers.
//! - `hub-notebook`: JupyterLab for one user. Its tag is a hash of everything it
//!   is made from; `latest` is the newest.
//! - `hub-notebook-1.5` and so on: the matrix, with older packages.
//! - `hub-notebook-exits`, `hub-notebook-silent`: broken on purpose.

mod base;
mod build_host;
mod context;
mod matrix;
mod notebook;

use std::process::ExitCode;

use hub_spawner::engine::Engine;

use crate::docker_engine;

/// The images, by full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Images {
    /// Works.
    pub(crate) notebook: String,
    /// Ends at once with a message and code 3.
    pub(crate) exits: String,
    /// Runs and never listens.
    pub(crate) silent: String,
}

/// An image of the matrix, and the variable by which tests are told its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MatrixImage {
    pub(crate) variable: &'static str,
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImagesArgs {
    /// Also build the images with older JupyterHub packages.
    #[arg(long)]
    matrix: bool,
}

/// Makes sure that all images are there.
pub(crate) async fn ensure_all(engine: &Engine) -> anyhow::Result<Images> {
    let notebook = ensure_notebook(engine).await?;
    let exits = notebook::ensure_broken(engine, &notebook, &notebook::EXITS).await?;
    let silent = notebook::ensure_broken(engine, &notebook, &notebook::SILENT).await?;
    Ok(Images { notebook, exits, silent })
}

/// Makes sure that the notebook image is there; returns its full name.
pub(crate) async fn ensure_notebook(engine: &Engine) -> anyhow::Result<String> {
    notebook::ensure(engine, &notebook::NEWEST).await
}

/// Makes sure that the images with older packages are there. One after the
/// other: each build takes all that the machine has.
pub(crate) async fn ensure_matrix(engine: &Engine) -> anyhow::Result<Vec<MatrixImage>> {
    let mut images = Vec::new();
    for row in &matrix::ROWS {
        let name = notebook::ensure(engine, &row.edition).await?;
        images.push(MatrixImage { variable: row.variable, name });
    }
    Ok(images)
}

/// `cargo xtask images`.
pub(crate) async fn run(args: &ImagesArgs) -> anyhow::Result<ExitCode> {
    let engine = docker_engine::find_or_start().await?;
    let images = ensure_all(&engine).await?;
    for name in [&images.notebook, &images.exits, &images.silent] {
        eprintln!("{name}");
    }
    if args.matrix {
        for image in ensure_matrix(&engine).await? {
            eprintln!("{}", image.name);
        }
    }
    Ok(ExitCode::SUCCESS)
}
