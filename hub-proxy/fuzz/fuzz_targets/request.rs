//! Any bytes from a client: what arrives at the target is whole requests with one
//! reading, one for each connection.
#![no_main]

use hub_proxy_fuzz::forwarded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for request in forwarded(input) {
        // What we write is read as the same by us.
        let again = [request.head.as_bytes(), b"\r\n", &request.body].concat();
        if request.head.to_ascii_lowercase().contains("content-length") {
            let second = forwarded(&again);
            assert_eq!(second.len(), 1, "{request:?} became {second:?}");
            assert_eq!(second[0].body, request.body);
        }
    }
});
