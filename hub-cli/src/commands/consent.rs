//! A yes before something is gone for good.

use std::io::{self, IsTerminal as _};

use crate::{args::UsageError, interrupt, output::Output};

/// Asks `question` at the terminal.
///
/// # Errors
///
/// When there is no terminal: `what`, which needs a yes, is not done then.
pub(super) fn ask(output: &Output, what: &str, question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        let error = UsageError {
            message: format!("to {what} needs a yes, and there is no terminal to ask at"),
            hint: "say so with --yes".to_owned(),
        };
        return Err(error.into());
    }
    output.note(&format!("{question} [y/N]"));
    let mut answer = String::new();
    interrupt::question(|| io::stdin().read_line(&mut answer))?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, expected) in
            [("y\n", true), (" Yes \n", true), ("\n", false), ("", false), ("yno\n", false)]
        {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }
}
