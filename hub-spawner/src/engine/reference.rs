//! Image references: which image, which version of it.

use std::{fmt, str::FromStr};

/// An image as an operator names it: `[host[:port]/]path[:tag][@algorithm:hex]`.
///
/// Without tag and digest it means the tag `latest` (SPN-14).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// The text does not name an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: &'static str,
}

impl ImageReference {
    /// Registry and path, without tag and digest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What selects the version in a pull: the digest if there is one, else the
    /// tag, else `latest`. Never empty: without it a daemon fetches every tag.
    pub fn version(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let refuse = |reason| InvalidReference { text: text.to_owned(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[path_start..].split_once(':') {
            Some((last, tag)) => (&rest[..path_start + last.len()], Some(tag)),
            None => (rest, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(refuse("the digest is not algorithm:hex"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse("the tag is malformed"));
        }
        if !is_name(name) {
            return Err(refuse("the name is malformed"));
        }
        Ok(Self {
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match (&self.tag, &self.digest) {
            (tag, Some(digest)) => {
                if let Some(tag) = tag {
                    write!(f, ":{tag}")?;
                }
                write!(f, "@{digest}")
            }
            (Some(tag), None) => write!(f, ":{tag}"),
            (None, None) => f.write_str(":latest"),
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut parts = name.split('/').peekable();
    let first = parts.peek().copied().unwrap_or_default();
    // As the daemon: the first part is a registry if it looks like a host.
    if name.contains('/') && (first.contains(['.', ':']) || first == "localhost") {
        parts.next();
        let host = first.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && first.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
        return host && parts.all(is_path_part);
    }
    parts.all(is_path_part)
}

fn is_path_part(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !part.is_empty()
        && part.bytes().all(|b| plain(b) || b"._-".contains(&b))
        && part.bytes().next().is_some_and(plain)
        && part.bytes().last().is_some_and(plain)
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || b"+._-".contains(&b))
            && hex.len() >= 32
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn spn_14_references_are_split_at_the_right_colon() {
        let rows = [
            ("plain", "notebook".to_owned(), "notebook", "latest"),
            ("tag", "jupyter/lab:4".to_owned(), "jupyter/lab", "4"),
            ("port", "r.example:5000/lab".to_owned(), "r.example:5000/lab", "latest"),
            ("port and tag", "localhost:5000/a/b:1.2".to_owned(), "localhost:5000/a/b", "1.2"),
            ("digest", format!("lab@{DIGEST}"), "lab", DIGEST),
            ("tag and digest", format!("lab:4@{DIGEST}"), "lab", DIGEST),
        ];
        for (label, text, name, version) in rows {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!((reference.name(), reference.version()), (name, version), "{label}");
        }
    }

    #[test]
    fn malformed_references_are_refused() {
        for text in ["", "Lab", "a//b", "lab:", "lab:-x", "lab@sha256", "a b", "../x", "lab?x=1"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_version_is_always_printed() {
        assert_eq!("lab".parse::<ImageReference>().unwrap().to_string(), "lab:latest");
        let text = format!("lab:4@{DIGEST}");
        assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), text);
    }
}
