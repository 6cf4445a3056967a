//! Any chunked body: the target gets the same data in clean chunks, or nothing
//! that looks finished.
#![no_main]

use hub_proxy_fuzz::{
    forwarded,
    strict::{Read, chunked},
};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
    Connection: close\r\n\r\n";

fuzz_target!(|body: &[u8]| {
    let arrived = forwarded(&[HEAD, body].concat());
    assert!(arrived.len() <= 1, "{arrived:?}");
    if let (Read::Whole(expected, _), Some(request)) = (chunked(body), arrived.first()) {
        assert_eq!(request.body, expected);
    }
});
