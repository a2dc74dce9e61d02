//! What one large workspace costs a hundred small ones: how long these take with nobody else, and with a workspace of a
//! million rows at work since before. And how long a worker needs to stop in the middle of the large one.
//!
//! ```text
//! cargo bench -p tidemark-sync --bench fair [-- SLOTS…]
//! ```
//!
//! By default for one worker slot, where the large one stands in everybody's way, and for eight. Fails where the small
//! ones are more than twice as late in the mean or at the end, or where the stop takes more than 25 s.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

#[path = "../memory/vendor.rs"]
#[expect(dead_code, reason = "what the other benchmarks ask of it")]
mod vendor;
#[path = "../floor/world.rs"]
#[expect(dead_code, reason = "what the other benchmarks ask of it")]
mod world;

use std::time::{Duration, Instant};

use tidemark_store::Run;
use tidemark_sync::Settings;

use self::{
    vendor::Vendor,
    world::{World, settings},
};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SMALL: usize = 100;
const MEMBERS: usize = 40;
/// Of the large one: with them it has a million rows.
const MANY: usize = 11_500;
const DAYS: u32 = 365;
const LIMIT: u32 = 50;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    if std::env::args().any(|word| word == vendor::AS_VENDOR) {
        return vendor::serve(&numbers);
    }
    let slots = if numbers.is_empty() { vec![1, 8] } else { numbers };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut is_well = true;
    for slots in slots {
        is_well &= runtime.block_on(round(u32::try_from(slots).unwrap()));
    }
    assert!(is_well, "a goal was missed");
}

async fn round(slots: u32) -> bool {
    let vendor = Vendor::start(SMALL + 1, MEMBERS, MANY).await;
    let settings = || Settings { concurrency: slots, ..settings(DAYS, LIMIT) };
    let alone = World::start(vendor.base_url.clone(), SMALL + 1, settings()).await;
    let (mean, last) = waits(&alone.sync(0..SMALL).await);
    alone.stop().await;
    let beside = World::start(vendor.base_url.clone(), SMALL + 1, settings()).await;
    beside.begin(SMALL).await;
    let (mean_beside, last_beside) = waits(&beside.sync(0..SMALL).await);
    let stopping = Instant::now();
    beside.stop().await;
    let stopped = stopping.elapsed();
    let (mean_ratio, last_ratio) = (mean_beside / mean, last_beside / last);
    println!(
        "{slots} slot(s), {SMALL} workspaces: mean {mean:.1} s, last {last:.1} s; beside a large one mean \
         {mean_beside:.1} s ({mean_ratio:.2}), last {last_beside:.1} s ({last_ratio:.2}); stopped in {:.1} s",
        stopped.as_secs_f64(),
    );
    mean_ratio <= 2.0 && last_ratio <= 2.0 && stopped <= Duration::from_secs(25)
}

/// How long the runs took from their beginning as a wish to their end, in seconds: the mean and the longest.
fn waits(runs: &[Run]) -> (f64, f64) {
    let waits = runs.iter().map(|run| (run.finished_at.unwrap() - run.created_at).as_seconds_f64());
    let all: Vec<_> = waits.collect();
    (all.iter().sum::<f64>() / all.len() as f64, all.iter().copied().fold(0.0, f64::max))
}
