//! How names are searched for. Pure.

/// A longer search text is longer than every name, however it is folded.
const MAX_NEEDLE: usize = 1024;

/// The text as searches compare it. Character by character, so that a part of a
/// name folds to a part of the folded name; `str::to_lowercase` treats a sigma at
/// the end of a word differently.
pub(super) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The `LIKE` pattern for names with `needle` in them; `None` if there can be none.
pub(super) fn pattern(needle: &str) -> Option<String> {
    if needle.len() > MAX_NEEDLE || needle.contains('\0') {
        return None;
    }
    let mut pattern = String::from("%");
    for c in fold(needle).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_text_is_taken_literally() {
        let rows = [
            ("plain", "ada", Some("%ada%")),
            ("empty", "", Some("%%")),
            ("case", "ÄDa", Some("%äda%")),
            ("wildcards", r"a%b_c\", Some(r"%a\%b\_c\\%")),
            ("zero character", "a\0", None),
        ];
        for (label, needle, expected) in rows {
            assert_eq!(pattern(needle).as_deref(), expected, "{label}");
        }
        assert_eq!(pattern(&"x".repeat(MAX_NEEDLE + 1)), None);
    }

    #[test]
    fn a_part_of_a_name_folds_to_a_part_of_the_folded_name() {
        assert!(fold("ΟΔΟΣΣΕΥΣ").contains(&fold("ΟΔΟΣ")));
    }
}
