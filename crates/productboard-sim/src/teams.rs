//! Teams and who is in them: nobody's, one's or several's people.

use chrono::{Days, NaiveTime, TimeDelta};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::people::Person;
use crate::{Membership, Team, WorkspaceSpec, names};

/// Draws the teams, made one after the other over the last two years.
pub(crate) fn draw(rng: &mut impl Rng, spec: &WorkspaceSpec) -> Vec<Team> {
    (0..spec.teams)
        .map(|index| {
            let (name, handle) = names::team(index);
            let day = spec.today - Days::new(rng.random_range(130..=730));
            let created_at =
                day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(rng.random_range(480..1080));
            Team {
                id: uuid::Builder::from_random_bytes(rng.random()).into_uuid(),
                description: rng
                    .random_bool(0.6)
                    .then(|| format!("Everything about {}", name.to_lowercase())),
                name,
                handle,
                created_at,
                updated_at: created_at + TimeDelta::days(rng.random_range(0..120)),
            }
        })
        .collect()
}

/// Puts most members into one team, some into two or three, some into none.
pub(crate) fn draw_memberships(rng: &mut impl Rng, people: &[Person], teams: &[Team]) -> Vec<Membership> {
    let mut memberships = Vec::new();
    for person in people.iter().filter(|person| person.is_member() && !person.is_pending()) {
        let count = match rng.random_range(0..100) {
            0..15 => 0,
            15..70 => 1,
            70..92 => 2,
            _ => 3,
        };
        for team in teams.choose_multiple(rng, count) {
            let since = person.joined.max(team.created_at.date_naive());
            memberships.push(Membership { team_id: team.id, member_id: person.id, since });
        }
    }
    memberships
}
