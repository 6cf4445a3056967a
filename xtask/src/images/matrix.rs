//! Notebook images with older JupyterHub packages: what people have.
//!
//! The newest package is in the notebook image itself.

use super::notebook::Edition;

/// One image of the matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The variable that tells the tests the image's full name.
    pub(super) variable: &'static str,
    /// What it is made from.
    pub(super) edition: Edition,
}

/// From old to new.
pub(super) const ROWS: [Row; 5] = [
    Row {
        variable: "HUB_TEST_IMAGE_1_5",
        edition: Edition {
            repository: "hub-notebook-1.5",
            requirements: include_str!("../../docker/matrix/1.5.txt"),
        },
    },
    Row {
        variable: "HUB_TEST_IMAGE_2_3",
        edition: Edition {
            repository: "hub-notebook-2.3",
            requirements: include_str!("../../docker/matrix/2.3.txt"),
        },
    },
    Row {
        variable: "HUB_TEST_IMAGE_3_1",
        edition: Edition {
            repository: "hub-notebook-3.1",
            requirements: include_str!("../../docker/matrix/3.1.txt"),
        },
    },
    Row {
        variable: "HUB_TEST_IMAGE_4_1",
        edition: Edition {
            repository: "hub-notebook-4.1",
            requirements: include_str!("../../docker/matrix/4.1.txt"),
        },
    },
    Row {
        variable: "HUB_TEST_IMAGE_5_4",
        edition: Edition {
            repository: "hub-notebook-5.4",
            requirements: include_str!("../../docker/matrix/5.4.txt"),
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_is_named_after_its_package() {
        for row in &ROWS {
            let (_, version) = row.edition.repository.rsplit_once('-').unwrap();
            let pin = format!("jupyterhub=={version}.");
            assert!(row.edition.requirements.contains(&pin), "{row:?}");
            assert!(row.variable.ends_with(&version.replace('.', "_")), "{row:?}");
        }
    }
}
