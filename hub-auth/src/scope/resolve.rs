//! What a token may do at this moment.

use super::{Groups, Issuer, Owner, Scope, ScopeName, ScopeSet};
use crate::role::identify_scopes;

/// What a token may do now, given what its owner may do now (`held`).
///
/// With `inherit` that is all the owner may do. Otherwise the token's own scopes,
/// with the right to say who its owner is and, for a token issued to a server or a
/// service (`client`), to use that one; cut down to what the owner holds. So whoever
/// loses a right loses it in all their tokens at once.
pub fn resolve_token<'a>(
    scopes: impl IntoIterator<Item = &'a Scope>,
    owner: &Owner,
    held: &ScopeSet,
    client: Option<&Issuer>,
    groups: &Groups,
) -> ScopeSet {
    let mut raw: Vec<Scope> = scopes.into_iter().cloned().collect();
    if raw.iter().any(|scope| scope.name == ScopeName::Inherit) {
        return held.clone();
    }
    raw.extend(identify_scopes(owner));
    raw.extend(client.map(Issuer::access));
    ScopeSet::expand(raw, owner, client).intersect(held, groups)
}
