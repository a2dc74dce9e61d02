//! Who is in the made-up workspace, and what they did, by chance.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use tidemark_domain::{
    Entropy,
    activity::{COUNTERS, Counters, MemberDay},
    member::{Role, Standing},
};
use tidemark_store::RosterMember;
use uuid::Uuid;

use super::{DAYS, MEMBERS, at};

pub(super) fn entry(member_id: Uuid, standing: &Standing) -> RosterMember {
    RosterMember { member_id, name: None, email: None, standing: standing.clone() }
}

pub(super) fn day(member_id: Uuid, day: NaiveDate, counters: [u8; COUNTERS], active_flag: bool) -> MemberDay {
    let counters = Counters(counters.map(|value| (value > 0).then(|| u32::from(value))));
    MemberDay { member_id, day, role: Role::Maker, active_flag, counters }
}

/// Two rosters between which people come, go and change, and a few days of activity for most.
pub(super) fn workspace(entropy: &dyn Entropy) -> ([BTreeMap<Uuid, Standing>; 2], Vec<MemberDay>) {
    let mut rosters = [BTreeMap::new(), BTreeMap::new()];
    let mut days = Vec::new();
    for number in 1..=MEMBERS {
        let id = Uuid::from_u128(number);
        let mut dice = [0; 8];
        entropy.fill(&mut dice);
        let role = |die: u8| match die % 8 {
            0 => Role::Admin,
            1..=4 => Role::Maker,
            5 => Role::Viewer,
            6 => Role::Contributor,
            _ => Role::Other("steward".to_owned()),
        };
        let standing = |die| Standing { role: role(die), disabled: dice[1] < 20, pending: dice[2] < 20 };
        // Of ten, one comes late and one leaves; of the others, every third has changed the role.
        let (late, gone) = (dice[3] % 10 == 0, dice[3] % 10 == 1);
        if !late {
            rosters[0].insert(id, standing(dice[0]));
        }
        if !gone {
            rosters[1].insert(id, standing(dice[if dice[4] % 3 == 0 { 5 } else { 0 }]));
        }
        // One in eight was never active; of the others, some stopped weeks ago, and some have only just begun.
        let (from, to) = match dice[6] {
            0..80 => (0, DAYS - 40),
            80..160 => (DAYS - 20, DAYS),
            _ => (0, DAYS),
        };
        let active: BTreeSet<u64> = (0..dice[7] % 8).map(|_| from + roll(entropy, to - from)).collect();
        days.extend(active.into_iter().map(|offset| random_day(entropy, id, offset)));
    }
    (rosters, days)
}

pub(super) fn random_day(entropy: &dyn Entropy, member: Uuid, offset: u64) -> MemberDay {
    let mut counters = [0; COUNTERS];
    entropy.fill(&mut counters);
    // Most counters are absent on most days.
    let counters = counters.map(|value| if value < 200 { 0 } else { value - 199 });
    day(member, at(offset), counters, offset.is_multiple_of(2))
}

pub(super) fn roll(entropy: &dyn Entropy, below: u64) -> u64 {
    let mut bytes = [0; 2];
    entropy.fill(&mut bytes);
    u64::from(u16::from_le_bytes(bytes)) % below
}
