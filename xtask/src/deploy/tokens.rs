//! Secrets that a deployment makes for itself.

use super::files::Files;

/// How much chance is in it.
const BYTES: usize = 32;

/// The token `name` that is there, or a new one.
pub(super) fn of(there: &Files, name: &str) -> anyhow::Result<Vec<u8>> {
    if let Some(token) = there.get(name).filter(|token| !token.is_empty()) {
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
        let first = of(&Files::new(), "secrets/T").unwrap();
        assert_eq!(first.len(), 2 * BYTES);
        let there = Files::from([("secrets/T".to_owned(), first.clone())]);
        assert_eq!(of(&there, "secrets/T").unwrap(), first);
        assert_ne!(of(&Files::new(), "secrets/T").unwrap(), first);
    }
}
