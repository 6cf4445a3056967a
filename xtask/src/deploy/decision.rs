//! What to do with a container that may be there already. Pure.

/// What was found under a container's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The hash of the specification it was made from; `None` if it is not ours.
    pub(super) spec_hash: Option<String>,
    pub(super) running: bool,
}

/// What has to happen so that the wanted container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It runs as wanted.
    Keep,
    /// It is as wanted, but does not run.
    Start,
    /// There is none.
    Create,
    /// What is there was made from another specification.
    Replace,
    /// The name belongs to somebody else's container.
    Refuse,
}

/// Compares what is there with what is wanted.
pub(super) fn decide(found: Option<&Found>, wanted_hash: &str) -> Decision {
    match found {
        None => Decision::Create,
        Some(Found { spec_hash: None, .. }) => Decision::Refuse,
        Some(Found { spec_hash: Some(hash), running }) if hash == wanted_hash => {
            if *running {
                Decision::Keep
            } else {
                Decision::Start
            }
        }
        Some(_) => Decision::Replace,
    }
}

/// Who has a container's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    /// Ours, made from what is wanted now.
    Wanted,
    /// Ours, made from something else.
    Another,
    /// Somebody else's container.
    Stranger,
}

/// What a run that was ended in the middle of a replacement left, and what it
/// takes to go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Nothing was left.
    None,
    /// The old container has lost its name and nobody has it: give it back.
    GiveBack,
    /// Both are there, and the new one is what is wanted. The old one goes once
    /// the new one is well.
    Finish,
    /// Both are there, and the new one is not wanted any more. It was never seen
    /// to be well: it goes, and the old one gets its name back.
    Undo,
}

/// Looks at who has the name, and whether the one that had it is still there.
pub(super) fn recovery(current: Holder, previous: bool) -> Recovery {
    match (current, previous) {
        (_, false) | (Holder::Stranger, true) => Recovery::None,
        (Holder::Nobody, true) => Recovery::GiveBack,
        (Holder::Wanted, true) => Recovery::Finish,
        (Holder::Another, true) => Recovery::Undo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xt_1_a_container_that_is_as_wanted_is_left_alone() {
        let found =
            |hash: Option<&str>, running| Found { spec_hash: hash.map(str::to_owned), running };
        for (found, expected) in [
            (None, Decision::Create),
            (Some(found(Some("a"), true)), Decision::Keep),
            (Some(found(Some("a"), false)), Decision::Start),
            (Some(found(Some("b"), true)), Decision::Replace),
            (Some(found(Some("b"), false)), Decision::Replace),
            (Some(found(None, true)), Decision::Refuse),
        ] {
            assert_eq!(decide(found.as_ref(), "a"), expected, "{found:?}");
        }
    }

    #[test]
    fn an_interrupted_replacement_never_leaves_the_name_to_nobody() {
        for holder in [Holder::Nobody, Holder::Wanted, Holder::Another, Holder::Stranger] {
            assert_eq!(recovery(holder, false), Recovery::None, "{holder:?}");
        }
        assert_eq!(recovery(Holder::Nobody, true), Recovery::GiveBack);
        assert_eq!(recovery(Holder::Wanted, true), Recovery::Finish);
        assert_eq!(recovery(Holder::Another, true), Recovery::Undo);
        assert_eq!(recovery(Holder::Stranger, true), Recovery::None, "theirs stays");
    }
}
