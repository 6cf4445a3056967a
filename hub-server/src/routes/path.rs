//! The path of a route, as the proxy's API lists it.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::web::paths::segment;

/// A path prefix: decoded, with a slash at its beginning and none at its end;
/// the root is `/` (hub-contract 7.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoutePath(String);

impl RoutePath {
    /// From an escaped path, such as the hub's own URLs.
    pub(super) fn of_escaped(path: &str) -> Self {
        Self::of_listed(&percent_decode_str(path).decode_utf8_lossy())
    }

    /// From a path as the proxy lists it, which is decoded.
    pub(super) fn of_listed(path: &str) -> Self {
        Self(format!("/{}", path.trim_matches('/')))
    }

    /// Whether it is the path above all others.
    pub(super) fn is_root(&self) -> bool {
        self.0 == "/"
    }
}

impl fmt::Display for RoutePath {
    /// Escaped, as it goes into a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments: Vec<String> = self.0.split('/').map(segment).collect();
        f.write_str(&segments.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use hub_names::{ServerKey, UserName};
    use proptest::prelude::*;

    use super::*;
    use crate::web::paths::Paths;

    #[test]
    fn j_05_what_is_listed_is_what_was_added() {
        for (escaped, listed, shown) in [
            ("/", "/", "/"),
            ("/jupyter/", "/jupyter", "/jupyter"),
            ("/user/al.ice%2Bx@b/", "/user/al.ice+x@b", "/user/al.ice%2Bx@b"),
            ("/user/%E7%A7%80%E6%A8%B9/", "/user/秀樹", "/user/%E7%A7%80%E6%A8%B9"),
            ("/user/~TestJH/", "/user/~TestJH", "/user/~TestJH"),
            ("/user/50%25/", "/user/50%", "/user/50%25"),
        ] {
            let path = RoutePath::of_escaped(escaped);
            assert_eq!(path, RoutePath::of_listed(listed));
            assert_eq!(path.to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn j_05_a_name_of_any_kind_comes_back(name in "\\PC{1,30}") {
            if let Ok(user) = name.parse::<UserName>() {
                let url = Paths::new("/base/").server(&ServerKey::default_of(user));
                let path = RoutePath::of_escaped(&url);
                prop_assert_eq!(&path, &RoutePath::of_listed(&format!("/base/user/{name}")));
                prop_assert_eq!(format!("{path}/"), url);
            }
        }
    }
}
