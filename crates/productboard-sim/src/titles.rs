//! Words for what gets planned and said.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::{EntityKind, names};

const VERBS: [&str; 12] = [
    "Improve", "Redesign", "Speed up", "Simplify", "Extend", "Automate", "Rework", "Add", "Unify", "Retire",
    "Localise", "Secure",
];
const THINGS: [&str; 24] = [
    "onboarding checklist",
    "bulk edit",
    "CSV export",
    "single sign-on",
    "audit log",
    "search results",
    "mobile inbox",
    "payment retries",
    "invoice layout",
    "roadmap sharing",
    "permission sets",
    "Slack notifications",
    "API keys",
    "custom fields",
    "dashboard filters",
    "usage reports",
    "sandbox data",
    "webhooks",
    "dark mode",
    "keyboard shortcuts",
    "import wizard",
    "trial expiry",
    "customer portal",
    "release notes",
];
const AREAS: [&str; 10] = [
    "Billing",
    "Reporting",
    "Mobile",
    "Admin",
    "Integrations",
    "Search",
    "Editor",
    "Portal",
    "Data",
    "Identity",
];
const FIRMS: [&str; 16] = [
    "Northwind",
    "Initech",
    "Umbra",
    "Vandelay",
    "Hooli",
    "Soylent",
    "Stark",
    "Wayne",
    "Cyberdyne",
    "Tyrell",
    "Aperture",
    "Wonka",
    "Gringotts",
    "Oscorp",
    "Massive",
    "Pied Piper",
];
const SAID: [&str; 8] = [
    "We lose an hour each week because of this.",
    "Is there a way to do it without leaving the page?",
    "Our security team asks for it before they sign.",
    "It works, but nobody finds it.",
    "The old version was quicker for us.",
    "Could this be done for all projects at once?",
    "We would pay for that.",
    "Our people on phones cannot use it at all.",
];

/// The title of the n-th entity of a type.
pub(crate) fn entity(rng: &mut impl Rng, kind: EntityKind, index: usize) -> String {
    match kind {
        EntityKind::Product => format!("{} suite", pick(rng, &AREAS)),
        EntityKind::Component => format!("{} {}", pick(rng, &AREAS), index + 1),
        EntityKind::Release => format!("Release {}.{}", 20 + index / 12, index % 12),
        EntityKind::ReleaseGroup => format!("{} releases", pick(rng, &AREAS)),
        EntityKind::KeyResult => {
            format!("{} {} by {} %", pick(rng, &VERBS), pick(rng, &THINGS), rng.random_range(5..60))
        }
        EntityKind::Company => match index / FIRMS.len() {
            0 => FIRMS[index].to_owned(),
            round => format!("{} {}", FIRMS[index % FIRMS.len()], round + 1),
        },
        EntityKind::User => names::customer(rng),
        EntityKind::Feature | EntityKind::Subfeature | EntityKind::Initiative | EntityKind::Objective => {
            request(rng)
        }
    }
}

/// Something to do.
pub(crate) fn request(rng: &mut impl Rng) -> String {
    format!("{} {}", pick(rng, &VERBS), pick(rng, &THINGS))
}

/// What somebody says about it.
pub(crate) fn remark(rng: &mut impl Rng) -> &'static str {
    pick(rng, &SAID)
}

fn pick(rng: &mut impl Rng, words: &[&'static str]) -> &'static str {
    words.choose(rng).copied().unwrap_or_default()
}
