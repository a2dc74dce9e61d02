//! Names for people and teams. Pairs may repeat; mail addresses are made unique by a number.

use std::collections::HashSet;

use rand::Rng;
use rand::seq::IndexedRandom;

const FIRST: [&str; 48] = [
    "Ana", "Ben", "Chloe", "David", "Elena", "Felix", "Grace", "Hugo", "Ines", "Jakub", "Karin", "Liam",
    "Maya", "Noah", "Olga", "Pavel", "Quinn", "Rosa", "Samir", "Tereza", "Uma", "Viktor", "Wendy", "Xavier",
    "Yuki", "Zoë", "Amara", "Bruno", "Carla", "Dmitri", "Emma", "Farid", "Greta", "Hana", "Ivan", "José",
    "Kofi", "Lucia", "Mateo", "Nadia", "Omar", "Priya", "Rafael", "Sofia", "Tomáš", "Ursula", "Wei", "Zara",
];

const LAST: [&str; 48] = [
    "Adams", "Berger", "Castillo", "Dvorak", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Johnson",
    "Kowalski", "Lambert", "Meyer", "Novak", "Okafor", "Petrov", "Quigley", "Rossi", "Santos", "Tanaka",
    "Urban", "Varga", "Weber", "Xu", "Young", "Zeman", "Almeida", "Brown", "Cohen", "Duarte", "Eriksen",
    "Ferrari", "Gupta", "Horak", "Ivanova", "Jensen", "Khan", "Lopez", "Müller", "Nguyen", "O'Brien",
    "Patel", "Ramos", "Schmidt", "Thompson", "Vega", "Walker", "Zhang",
];

const TEAMS: [&str; 20] = [
    "Growth",
    "Payments",
    "Mobile",
    "Platform",
    "Onboarding",
    "Search",
    "Insights",
    "Checkout",
    "Core Product",
    "Design",
    "Integrations",
    "Enterprise",
    "Customer Success",
    "Data",
    "Security",
    "Marketplace",
    "Billing",
    "Research",
    "Mission Control",
    "Labs",
];

/// A person's three names.
pub(crate) struct FullName {
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) email: String,
}

/// Draws a name whose username is not in `taken` yet, and takes it.
pub(crate) fn person(rng: &mut impl Rng, domain: &str, taken: &mut HashSet<String>) -> FullName {
    let first = FIRST.choose(rng).copied().unwrap_or("Ana");
    let last = LAST.choose(rng).copied().unwrap_or("Novak");
    let stem = format!("{}.{}", slug(first), slug(last));
    let mut username = stem.clone();
    let mut number = 2;
    while !taken.insert(username.clone()) {
        username = format!("{stem}{number}");
        number += 1;
    }
    FullName { name: format!("{first} {last}"), email: format!("{username}@{domain}.example"), username }
}

/// A name of somebody who is no member.
pub(crate) fn customer(rng: &mut impl Rng) -> String {
    let first = FIRST.choose(rng).copied().unwrap_or("Ana");
    format!("{first} {}", LAST.choose(rng).copied().unwrap_or("Novak"))
}

/// The name and the handle of the n-th team.
pub(crate) fn team(index: usize) -> (String, String) {
    let name = TEAMS[index % TEAMS.len()];
    let name = match index / TEAMS.len() {
        0 => name.to_owned(),
        round => format!("{name} {}", round + 1),
    };
    let handle = slug(&name);
    (name, handle)
}

fn slug(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
