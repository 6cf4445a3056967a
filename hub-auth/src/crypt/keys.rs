//! The forms in which keys are written.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Bytes of a key.
pub(super) const KEY_LEN: usize = 32;

/// As Python's decoder, which does not mind bits left over.
const URL_SAFE_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// A key as hexadecimal digits, base64 or itself; the length tells which, as in
/// JupyterHub's `crypto.py`.
pub(super) fn parse(text: &str) -> Option<[u8; KEY_LEN]> {
    match text.len() {
        64 => hexadecimal(text),
        44 => URL_SAFE_LENIENT.decode(text).ok()?.try_into().ok(),
        KEY_LEN if text.is_ascii() => text.as_bytes().try_into().ok(),
        _ => None,
    }
}

fn hexadecimal(text: &str) -> Option<[u8; KEY_LEN]> {
    let mut key = [0; KEY_LEN];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let [high, low] = pair else { return None };
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(key)
}
