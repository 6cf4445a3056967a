//! Any bytes from a client: what arrives at the target is whole requests with one
//! reading.
#![no_main]

use hub_proxy_fuzz::{Arrived, forwarded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for request in forwarded(input) {
        // What we write is read as the same by us.
        let second = forwarded(&again(&request));
        assert_eq!(second.len(), 1, "{request:?} became {second:?}");
        assert_eq!(second[0].line(), request.line());
        assert_eq!(second[0].fields(), request.fields());
        assert_eq!(second[0].body, request.body);
    }
});

/// The request as it was written.
fn again(request: &Arrived) -> Vec<u8> {
    let mut bytes = [request.head.as_bytes(), b"\r\n"].concat();
    if request.fields().iter().any(|field| field.starts_with("transfer-encoding:")) {
        if !request.body.is_empty() {
            bytes.extend_from_slice(format!("{:x}\r\n", request.body.len()).as_bytes());
            bytes.extend_from_slice(&request.body);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes.extend_from_slice(&request.body);
    }
    bytes
}
