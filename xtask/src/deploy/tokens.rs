//! The secret that hub and proxy share.

use super::files::{Files, PROXY_TOKEN};

/// How much chance is in it.
const BYTES: usize = 32;

/// The token that is there, or a new one.
pub(super) fn of(there: &Files) -> anyhow::Result<Vec<u8>> {
    if let Some(token) = there.get(PROXY_TOKEN).filter(|token| !token.is_empty()) {
        return Ok(token.clone());
    }
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xt_1_a_token_that_is_there_stays() {
        let first = of(&Files::new()).unwrap();
        assert_eq!(first.len(), 2 * BYTES);
        let there = Files::from([(PROXY_TOKEN.to_owned(), first.clone())]);
        assert_eq!(of(&there).unwrap(), first);
        assert_ne!(of(&Files::new()).unwrap(), first);
    }
}
