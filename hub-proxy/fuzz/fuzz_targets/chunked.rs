//! Any chunked body: the target gets the same data in clean chunks, or nothing
//! that looks finished.
#![no_main]

use hub_proxy_fuzz::{
    forwarded,
    strict::{Read, Writer, chunked},
};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
    Connection: close\r\n\r\n";

fuzz_target!(|body: &[u8]| {
    let arrived = forwarded(&[HEAD, body].concat());
    assert!(arrived.len() <= 1, "{arrived:?}");
    let Some(request) = arrived.first() else { return };
    match chunked(body, Writer::Client) {
        Read::Whole(expected, _) => assert_eq!(request.body, expected),
        other => panic!("{other:?} became {request:?}"),
    }
});
