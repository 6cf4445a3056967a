//! How a provider says "not now", and until when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, StatusCode,
    header::{DATE, RETRY_AFTER},
};

const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Longest wait that is believed. GitHub's windows are one hour.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Whether the answer is about a limit (GH-4). GitHub limits requests with 403 or
/// 429, and 403 has other meanings too.
pub(super) fn is_rate_limit(status: StatusCode, headers: &HeaderMap) -> bool {
    let used_up = headers.get(REMAINING).is_some_and(|left| left == "0");
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => used_up || headers.contains_key(RETRY_AFTER),
        _ => false,
    }
}

/// How long to wait: `Retry-After`, in seconds or as a date (RFC 9110 section
/// 10.2.3), else GitHub's `X-RateLimit-Reset`, in seconds since 1970.
///
/// Times are compared with the answer's own `Date`, so that our clock may be
/// wrong. `None` if the answer does not tell.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let until = |time: SystemTime| time.duration_since(date(text(DATE)?)?).ok();
    let wait = match text(RETRY_AFTER) {
        Some(after) => match after.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => date(after).and_then(until),
        },
        None => {
            let reset = text(RESET)?.parse().ok()?;
            until(UNIX_EPOCH.checked_add(Duration::from_secs(reset))?)
        }
    };
    wait.map(|wait| wait.clamp(Duration::from_secs(1), LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn headers(pairs: Pairs) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn gh_4_a_limit_tells_when_to_come_back() {
        // 1445412480 s since 1970.
        const DATE: (&str, &str) = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        let rows: [(Pairs, Option<u64>); 10] = [
            (&[("retry-after", "60")], Some(60)),
            (&[("retry-after", "0")], Some(1)),
            (&[("retry-after", "Wed, 21 Oct 2015 07:30:00 GMT"), DATE], Some(120)),
            (&[("retry-after", "Wed, 21 Oct 2015 07:30:00 GMT")], None),
            (&[("x-ratelimit-reset", "1445413200"), DATE], Some(720)),
            (&[("x-ratelimit-reset", "1445413200"), ("retry-after", "7"), DATE], Some(7)),
            (&[("x-ratelimit-reset", "1445412000"), DATE], None),
            (&[("x-ratelimit-reset", "99999999999"), DATE], Some(24 * 3600)),
            (&[("x-ratelimit-reset", "18446744073709551615"), DATE], None),
            (&[("retry-after", "soon"), DATE], None),
        ];
        for (pairs, expected) in rows {
            let wait = retry_after(&headers(pairs));
            assert_eq!(wait, expected.map(Duration::from_secs), "{pairs:?}");
        }
    }

    #[test]
    fn gh_4_a_403_is_a_limit_only_if_it_says_so() {
        let limited = |status, pairs| is_rate_limit(status, &headers(pairs));
        assert!(limited(StatusCode::TOO_MANY_REQUESTS, &[]));
        assert!(limited(StatusCode::FORBIDDEN, &[("retry-after", "1")]));
        assert!(limited(StatusCode::FORBIDDEN, &[("x-ratelimit-remaining", "0")]));
        assert!(!limited(StatusCode::FORBIDDEN, &[("x-ratelimit-remaining", "12")]));
        assert!(!limited(StatusCode::OK, &[("x-ratelimit-remaining", "0")]));
    }
}
