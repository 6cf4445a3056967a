//! The time as answers say it (RFC 9110 section 5.6.7).

use std::cell::RefCell;

use crate::clock;

thread_local! {
    /// The second, and how it is written.
    static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Appends the time; it is written once a second in each thread.
pub(super) fn push_date(out: &mut Vec<u8>) {
    let now = clock::now().as_second();
    LAST.with_borrow_mut(|(second, text)| {
        if *second != now {
            *text = written(now);
            *second = now;
        }
        out.extend_from_slice(text.as_bytes());
    });
}

fn written(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_09_a_date_is_written_as_rfc_9110_wants_it() {
        assert_eq!(written(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        let mut out = Vec::new();
        push_date(&mut out);
        assert_eq!(out.len(), 29);
    }
}
