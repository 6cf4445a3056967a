//! To which of the organizations and teams that matter somebody belongs.

use super::{
    GithubConfig, ORGANIZATIONS, Organization, TEAMS, Teams,
    api::Api,
    wire::{Team, TeamOrganization},
};
use crate::{AuthState, Membership, Standing, claim};

/// Where a team was seen that the list of teams tells of.
const IN_LIST: &str = "the list of teams";

/// Where a group was seen that is kept.
const KEPT: &str = "what was kept of the last sign-in";

/// Asks about the person called `login`. Also the teams, if they are wanted and
/// known.
///
/// Those who may be let in are asked about up to the first hit, and those who make
/// administrators as well; GitHub counts requests.
pub(super) async fn ask(
    api: &Api<'_>,
    config: &GithubConfig,
    login: &str,
) -> (Membership, Option<Teams>) {
    let mut membership = Membership::default();
    let mut kept = None;
    if config.teams {
        match api.teams().await {
            Ok(teams) => {
                membership = of_teams(&teams);
                kept = teams.iter().map(|team| serde_json::to_value(team).ok()).collect();
            }
            Err(why) => {
                let reason = format!("could not read the list of your teams: {why}");
                membership.set_rest(Standing::Unchecked { reason });
            }
        }
    }
    for list in [&config.allowed_organizations, &config.admin_organizations] {
        for wanted in list {
            if !is_settled(&membership, wanted) {
                membership.set(wanted.to_string(), api.standing(wanted, login).await);
            }
            if matches!(membership.of(&wanted.to_string()), Standing::Member { .. }) {
                break;
            }
        }
    }
    (membership, kept)
}

/// What is kept of the last sign-in.
pub(super) fn of_state(state: &AuthState) -> Membership {
    let teams = state.at(TEAMS).and_then(|teams| serde_json::from_value(teams.clone()).ok());
    let mut membership =
        teams.map_or_else(Membership::default, |teams: Vec<Team>| of_teams(&teams));
    for group in state.at(ORGANIZATIONS).and_then(claim::texts).unwrap_or_default() {
        membership.set(group, Standing::Member { seen_in: KEPT });
    }
    membership
}

/// The list of teams tells who is in, but not who is out: it leaves out
/// organizations that did not approve the application, and those who are in an
/// organization but in no team of it.
fn is_settled(membership: &Membership, wanted: &Organization) -> bool {
    match membership.of(&wanted.to_string()) {
        Standing::Member { .. } => true,
        // Known by name: this very group was asked about before.
        Standing::NotMember { hint } => hint.is_some(),
        Standing::Unchecked { .. } | Standing::NotAsked => false,
    }
}

fn of_teams(teams: &[Team]) -> Membership {
    let groups = teams.iter().flat_map(|team| {
        let TeamOrganization { login, .. } = &team.organization;
        let organization = login.to_lowercase();
        [format!("{organization}:{}", team.slug.to_lowercase()), organization]
    });
    Membership::complete(groups, IN_LIST)
}
