//! Any bytes from a target: the client gets one answer with one reading, and what is
//! missing of it never looks complete.
#![no_main]

use hub_proxy_fuzz::{answered, strict::answers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (bytes, has_ended) = answered(input);
    let shown = String::from_utf8_lossy(&bytes);
    match answers(&bytes) {
        Ok(Some(_)) => {}
        Ok(None) => assert!(!has_ended, "it looks complete: {shown:?}"),
        // A reset may take anything with it.
        Err(_) if !has_ended => {}
        Err(why) => panic!("{why}: {shown:?}"),
    }
});
