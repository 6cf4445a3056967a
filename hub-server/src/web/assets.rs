//! The files the pages need: style sheet, scripts, images, embedded in the binary.
//!
//! A file is named by its path below `{hub_prefix}static/`. What is not in the table
//! does not exist, so no path, however odd, can reach a file system.

use std::{collections::BTreeMap, fmt::Write, sync::LazyLock};

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS},
};
use sha2::{Digest, Sha256};

/// A link with `?v=` changes whenever the file does, so its answer may be kept for good.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A link without it must ask again; the tag makes that cheap. As in JupyterHub.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Bytes of the SHA-256 in a version: 64 bits, which two versions of a file never share by chance.
const VERSION_BYTES: usize = 8;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($content_type:expr, $path:literal) => {
        ($path, $content_type, include_bytes!(concat!("../../assets/", $path)))
    };
}

const FILES: &[(&str, &str, &[u8])] = &[
    asset!(CSS, "css/hub.css"),
    asset!(CSS, "css/lists.css"),
    asset!(SVG, "img/icon.svg"),
    asset!(SVG, "img/logo.svg"),
    asset!(JS, "js/admin/api.js"),
    asset!(JS, "js/admin/dialog.js"),
    asset!(JS, "js/admin/elements.js"),
    asset!(JS, "js/admin/group_card.js"),
    asset!(JS, "js/admin/groups.js"),
    asset!(JS, "js/admin/main.js"),
    asset!(JS, "js/admin/pages.js"),
    asset!(JS, "js/admin/pool.js"),
    asset!(JS, "js/admin/properties.js"),
    asset!(JS, "js/admin/server.js"),
    asset!(JS, "js/admin/starts.js"),
    asset!(JS, "js/admin/user_dialogs.js"),
    asset!(JS, "js/admin/user_row.js"),
    asset!(JS, "js/admin/users.js"),
    asset!(JS, "js/home.js"),
    asset!(JS, "js/login.js"),
    asset!(JS, "js/not_running.js"),
    asset!(JS, "js/spawn.js"),
    asset!(JS, "js/time.js"),
    asset!(JS, "js/token.js"),
    asset!(JS, "js/wait.js"),
];

static ASSETS: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|&(path, content_type, bytes)| (path, Asset::new(content_type, bytes)))
        .collect()
});

struct Asset {
    content_type: HeaderValue,
    bytes: Bytes,
    version: String,
    tag: HeaderValue,
}

impl Asset {
    fn new(content_type: &'static str, bytes: &'static [u8]) -> Self {
        let mut version = String::with_capacity(2 * VERSION_BYTES);
        for byte in &Sha256::digest(bytes)[..VERSION_BYTES] {
            write!(version, "{byte:02x}").expect("writing to a string cannot fail");
        }
        Self {
            content_type: HeaderValue::from_static(content_type),
            bytes: Bytes::from_static(bytes),
            tag: HeaderValue::try_from(format!("\"{version}\""))
                .expect("quoted hexadecimal digits are a header value"),
            version,
        }
    }
}

/// The version of the file at `path`, for the `?v=` of a link to it.
pub(crate) fn version(path: &str) -> Option<&'static str> {
    ASSETS.get(path).map(|asset| asset.version.as_str())
}

/// Answers a request for the file at `path`, relative to `{hub_prefix}static/`.
///
/// `has_version` says whether the request had a `v` parameter; such an answer may be
/// kept for a year. `if_none_match` is the header of that name: when it lists the
/// file's tag the answer is 304 without a body (RFC 9110, section 13.1.2). An unknown
/// path is 404.
pub(crate) fn serve(path: &str, has_version: bool, if_none_match: Option<&str>) -> Response<Body> {
    let Some(asset) = ASSETS.get(path) else {
        return not_found();
    };
    let is_known = if_none_match.is_some_and(|tags| lists(tags, &asset.version));
    let mut response = if is_known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Body::from(asset.bytes.clone()))
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, asset.content_type.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ETAG, asset.tag.clone());
    headers.insert(CACHE_CONTROL, if has_version { KEEP } else { ASK_AGAIN });
    response
}

fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::from("no such file\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, ASK_AGAIN);
    response
}

/// Whether the list of entity tags in `header` names `version`.
///
/// The comparison is the weak one, as section 13.1.2 asks: a cache between may have
/// marked our tag `W/` after compressing the body.
fn lists(header: &str, version: &str) -> bool {
    header.split(',').map(str::trim).any(|tag| {
        tag == "*"
            || tag
                .strip_prefix("W/")
                .unwrap_or(tag)
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                == Some(version)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
        response.headers()[name].to_str().unwrap()
    }

    #[test]
    fn a_link_with_a_version_is_kept_for_a_year() {
        let response = serve("css/hub.css", true, None);

        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "text/css; charset=utf-8");
        assert_eq!(header(&response, "cache-control"), "public, max-age=31536000, immutable");
    }

    #[test]
    fn a_link_without_a_version_is_asked_again() {
        let response = serve("js/time.js", false, None);

        assert_eq!(header(&response, "content-type"), "text/javascript; charset=utf-8");
        assert_eq!(header(&response, "cache-control"), "no-cache");
    }

    #[test]
    fn a_known_tag_is_answered_without_the_file() {
        let tag = header(&serve("img/icon.svg", false, None), "etag").to_owned();

        let rows = [
            ("the tag", tag.clone(), 304),
            ("a weak tag", format!("W/{tag}"), 304),
            ("one of several", format!("\"other\", {tag}"), 304),
            ("any", "*".to_owned(), 304),
            ("another", "\"other\"".to_owned(), 200),
            ("no quotes", tag.replace('"', ""), 200),
            ("nothing", String::new(), 200),
        ];
        for (label, sent, status) in rows {
            assert_eq!(serve("img/icon.svg", false, Some(&sent)).status(), status, "{label}");
        }
    }

    #[test]
    fn unknown_and_odd_paths_are_not_found() {
        for path in [
            "",
            "/",
            "css",
            "css/",
            "/css/hub.css",
            "css//hub.css",
            "css/./hub.css",
            "../Cargo.toml",
            "css/../../Cargo.toml",
            "css\\hub.css",
            "css/hub.css\0",
            "CSS/HUB.CSS",
            "/etc/passwd",
        ] {
            assert_eq!(serve(path, false, None).status(), 404, "{path:?}");
        }
    }

    #[test]
    fn every_file_in_the_folder_is_served() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                    }
                }
            }
        }
        found.sort();

        assert_eq!(found, ASSETS.keys().copied().collect::<Vec<_>>());
    }

    #[test]
    fn the_style_sheet_stays_small() {
        assert!(ASSETS["css/hub.css"].bytes.len() < 12 * 1024);
    }
}
