//! Where the next page of a list is.

/// The address of the next page in a `Link` header, such as
/// `<https://api.github.com/user/teams?page=2>; rel="next"`.
///
/// Source: RFC 8288 section 3, in the form that GitHub sends.
pub(super) fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, params) = after.split_once('>')?;
        // Addresses may hold commas, so the next link begins with the next `<`.
        let own = params.split_once('<').map_or(params, |(own, _)| own);
        if own.split([';', ',']).any(is_next) {
            return Some(target);
        }
        rest = params;
    }
}

fn is_next(param: &str) -> bool {
    param.split_once('=').is_some_and(|(name, value)| {
        let mut kinds = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && kinds.any(|kind| kind == "next")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gh_paging_follows_the_link_header() {
        let rows = [
            (r#"<https://a/?page=2>; rel="next""#, Some("https://a/?page=2")),
            (
                r#"<https://a/?page=1>; rel="prev", <https://a/?page=3>; rel="next", <https://a/?page=9>; rel="last""#,
                Some("https://a/?page=3"),
            ),
            (r#"<https://a/?p=1,2>; rel="next""#, Some("https://a/?p=1,2")),
            (r#"<https://a/>; title="x"; rel="last next""#, Some("https://a/")),
            (r#"<https://a/>; rel=next"#, Some("https://a/")),
            (r#"<https://a/?page=1>; rel="prev""#, None),
            (r#"<https://a/>; rel="nextish""#, None),
            (r#"<https://a/"#, None),
            ("", None),
        ];
        for (header, expected) in rows {
            assert_eq!(next(header), expected, "{header}");
        }
    }
}
