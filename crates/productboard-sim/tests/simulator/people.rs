//! The generated data: stable, and with every kind of person that the metrics must tell apart.

use std::collections::HashSet;

use chrono::{Datelike, Days, NaiveDate};
use tidemark_productboard_sim::{Activity, Health, Member, Workspace, WorkspaceSpec};

const HEALTHS: [Health; 3] = [Health::Engaged, Health::Sprawling, Health::Shrinking];

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 8, 12).unwrap()
}

fn sixty(health: Health) -> Workspace {
    Workspace::generate(&WorkspaceSpec::new("acme", 60, today()).health(health))
}

fn sum(row: &Activity, counters: impl IntoIterator<Item = usize>) -> u32 {
    counters.into_iter().filter_map(|index| row.counters[index]).sum()
}

/// Active by the metrics' definition: the flag, or any of the seventeen named counters.
fn is_active(row: &Activity) -> bool {
    row.active_flag || sum(row, 2..19) > 0
}

struct History<'a> {
    member: &'a Member,
    active: Vec<&'a Activity>,
}

impl History<'_> {
    fn of(workspace: &Workspace) -> Vec<History<'_>> {
        let rows = |member: &Member| {
            let id = member.id;
            workspace.activities.iter().filter(move |row| row.member_id == id && is_active(row)).collect()
        };
        workspace.members.iter().map(|member| History { member, active: rows(member) }).collect()
    }

    fn paid(&self) -> bool {
        ["admin", "maker"].contains(&self.member.role.as_str())
            && !self.member.disabled
            && !self.member.invitation_pending
    }

    fn active_days(&self, last: u64) -> usize {
        self.active.iter().filter(|row| row.date > today() - Days::new(last)).count()
    }

    fn first(&self) -> Option<NaiveDate> {
        self.active.first().map(|row| row.date)
    }
}

#[test]
fn the_same_seed_gives_the_same_data() {
    let spec = WorkspaceSpec::new("acme", 30, today());
    assert_eq!(Workspace::generate(&spec), Workspace::generate(&spec.clone()));
    let other = Workspace::generate(&spec.clone().seed(1));
    assert_ne!(Workspace::generate(&spec).activities, other.activities);
    assert_ne!(spec.seed, WorkspaceSpec::new("globex", 30, today()).seed);
}

#[test]
fn each_kind_of_person_is_present() {
    for health in HEALTHS {
        let workspace = sixty(health);
        let people = History::of(&workspace);
        let month_ago = today() - Days::new(28);
        let has = |kind: &str, is: &dyn Fn(&History<'_>) -> bool| {
            assert!(people.iter().any(is), "{health:?} lacks {kind}");
        };
        has("engaged", &|p| p.paid() && p.active_days(28) >= 4);
        has("occasional", &|p| p.paid() && (1..=3).contains(&p.active_days(28)));
        has("dormant", &|p| p.paid() && !p.active.is_empty() && p.active_days(28) == 0);
        has("never seen", &|p| p.paid() && p.active.is_empty());
        has("newcomer", &|p| p.paid() && p.first().is_some_and(|first| first > month_ago));
        has("leaver", &|p| p.member.disabled && !p.active.is_empty() && p.active_days(28) == 0);
        has("pending", &|p| p.member.invitation_pending && p.active.is_empty());
        has("viewer", &|p| p.member.role == "viewer" && p.active.iter().any(|row| sum(row, 14..19) > 0));
        has("contributor", &|p| {
            p.member.role == "contributor" && p.active.iter().any(|row| sum(row, [5]) > 0)
        });
        has("admin", &|p| p.paid() && p.member.role == "admin");
        has("no team", &|p| p.member.teams.is_empty() && !p.member.invitation_pending);
        has("several teams", &|p| p.member.teams.len() > 1);
    }
}

#[test]
fn the_vendors_quirks_are_present() {
    for health in HEALTHS {
        let workspace = sixty(health);
        let members: HashSet<_> = workspace.members.iter().map(|member| member.id).collect();
        let rows = &workspace.activities;
        assert!(rows.iter().any(|row| !row.active_flag && sum(row, 0..19) == 0));
        assert!(rows.iter().any(|row| !members.contains(&row.member_id) && row.role == "viewer"));
        let maker =
            |row: &Activity| workspace.members.iter().any(|m| m.id == row.member_id && m.role == "maker");
        assert!(rows.iter().any(|row| row.role == "editor"));
        assert!(rows.iter().filter(|row| row.role == "editor").all(maker));
        assert!(rows.iter().any(|row| row.counters.contains(&None)));
        assert!(rows.iter().any(|row| row.counters.contains(&Some(0))));
    }
}

#[test]
fn rows_are_sorted_unique_and_add_up() {
    let workspace = sixty(Health::Engaged);
    let keys: Vec<_> = workspace.activities.iter().map(|row| (row.date, row.member_id)).collect();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(keys.last().unwrap().0, today());
    assert!(keys[0].0 >= today() - Days::new(399));
    for row in &workspace.activities {
        assert_eq!(sum(row, [0]), sum(row, 9..14));
        assert_eq!(sum(row, [1]), sum(row, 14..19));
    }
    let emails: HashSet<_> = workspace.members.iter().map(|member| &member.email).collect();
    assert_eq!(emails.len(), 60);
}

#[test]
fn weeks_have_a_rhythm() {
    let workspace = sixty(Health::Engaged);
    let mut by_weekday = [0_u32; 7];
    for row in workspace.activities.iter().filter(|row| is_active(row)) {
        by_weekday[row.date.weekday().num_days_from_monday() as usize] += 1;
    }
    let weekday_mean = by_weekday[..5].iter().sum::<u32>() / 5;
    assert!(by_weekday[..5].iter().all(|count| *count * 2 > weekday_mean), "{by_weekday:?}");
    assert!(by_weekday[5..].iter().all(|count| *count * 5 < weekday_mean), "{by_weekday:?}");
}

#[test]
fn health_shows_in_the_share_of_used_seats() {
    let share = |health| {
        let workspace = Workspace::generate(&WorkspaceSpec::new("acme", 400, today()).health(health));
        let people = History::of(&workspace);
        let paid = people.iter().filter(|p| p.paid());
        let used = people.iter().filter(|p| p.paid() && p.active_days(28) > 0);
        used.count() * 100 / paid.count()
    };
    let [engaged, sprawling, shrinking] = HEALTHS.map(share);
    assert!(engaged > 75 && sprawling < 55 && shrinking < engaged, "{engaged} {sprawling} {shrinking}");
}

/// Other crates' tests know these people and days: drawing more must not move them.
#[test]
fn people_and_days_of_a_seed_never_change() {
    for (domain, members, hash) in
        [("acme", 60, 0x9808_9ca4_c879_35cf_u64), ("globex", 25, 0xb15c_1eb5_3f6c_12f8)]
    {
        let spec = WorkspaceSpec::new(domain, members, today());
        for spec in [spec.clone(), spec.entities(0).notes(7)] {
            let Workspace { members, teams, memberships, activities, .. } = Workspace::generate(&spec);
            let json = serde_json::to_string(&(members, teams, memberships, activities)).unwrap();
            let fnv1a = json.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            assert_eq!(fnv1a, hash, "{domain}");
        }
    }
}

#[test]
fn tiny_workspaces_are_workspaces() {
    for members in 0..12 {
        let workspace = Workspace::generate(&WorkspaceSpec::new("tiny", members, today()).days(30));
        assert_eq!(workspace.members.len(), members);
    }
    assert!(Workspace::generate(&WorkspaceSpec::new("tiny", 5, today()).days(0)).activities.is_empty());
}

#[test]
fn two_thousand_members_are_made_in_seconds() {
    let start = std::time::Instant::now();
    let workspace = Workspace::generate(&WorkspaceSpec::new("large", 2000, today()));
    assert!(workspace.activities.len() > 100_000);
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?} unoptimized", start.elapsed());
}
