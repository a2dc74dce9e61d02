//! What somebody does on a day they come: the seventeen named counters, and the two totals as their sums.

use rand::Rng;

use crate::people::Habit;

const BOARDS_CREATED: usize = 0;
const BOARDS_OPENED: usize = 1;
const NOTE_CREATED: usize = 5;
const CREATED_KINDS: std::ops::Range<usize> = 9..14;
const OPENED_KINDS: std::ops::Range<usize> = 14..19;

/// Mean counts of a maker's day, in the order of `COUNTER_NAMES`; the totals have none of their own.
const MAKER: [f64; 19] = [
    0.0, 0.0, 0.05, 0.8, 0.5, 0.5, 0.01, 0.4, 0.9, // totals, hierarchy, insights and notes
    0.04, 0.03, 0.02, 0.04, 0.02, // boards created: grid, timeline, insights, document, column
    2.5, 1.5, 1.5, 0.6, 0.8, // boards opened: the same five
];

/// The feature areas, as the counters that belong to them: people like some and never touch others.
const AREAS: [&[usize]; 5] = [&[9, 14], &[10, 13, 15, 18], &[4, 5, 8, 11, 16], &[12, 17], &[2, 3, 6, 7]];

/// Draws the mean counts of one person's days.
pub(crate) fn rates(rng: &mut impl Rng, habit: Habit) -> [f64; 19] {
    let mut rates = MAKER;
    for area in AREAS {
        let taste = if rng.random_bool(0.25) { 0.0 } else { rng.random_range(0.3..1.8) };
        for counter in area {
            rates[*counter] *= taste;
        }
    }
    let notes_only = rng.random_bool(0.4);
    match habit {
        Habit::Contributor => notes(rng),
        Habit::Onlooker if notes_only => notes(rng),
        Habit::Viewer | Habit::Onlooker => opens(rng, rates),
        Habit::Outsider => opens(rng, [0.0; 19]),
        // Whoever likes nothing else still opens the grid: a used seat shows use.
        _ => {
            rates[14] = rates[14].max(0.6);
            rates
        }
    }
}

fn notes(rng: &mut impl Rng) -> [f64; 19] {
    let mut rates = [0.0; 19];
    rates[NOTE_CREATED] = rng.random_range(0.8..2.4);
    rates
}

fn opens(rng: &mut impl Rng, mut rates: [f64; 19]) -> [f64; 19] {
    for rate in &mut rates[..OPENED_KINDS.start] {
        *rate = 0.0;
    }
    let favourite = rng.random_range(OPENED_KINDS);
    rates[favourite] += 1.2;
    rates
}

/// Draws one day.
pub(crate) fn draw(rng: &mut impl Rng, rates: &[f64; 19]) -> [u32; 19] {
    let mut counts = rates.map(|rate| poisson(rng, rate));
    counts[BOARDS_CREATED] = counts[CREATED_KINDS].iter().sum();
    counts[BOARDS_OPENED] = counts[OPENED_KINDS].iter().sum();
    counts
}

/// Knuth's method: right for the small means used here.
fn poisson(rng: &mut impl Rng, mean: f64) -> u32 {
    if mean == 0.0 {
        return 0;
    }
    let limit = (-mean).exp();
    let mut product = rng.random::<f64>();
    let mut count = 0;
    while product > limit {
        product *= rng.random::<f64>();
        count += 1;
    }
    count
}
