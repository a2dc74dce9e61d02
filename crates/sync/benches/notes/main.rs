//! A whole first sync of a workspace with many notes and as many entities, on fresh tables that nobody analyses: with the
//! fields alone, and with whole documents. How long it took, per row, the slowest statement, and the memory.
//!
//! ```text
//! cargo bench -p tidemark-sync --bench notes [-- NOTES…]
//! ```
//!
//! By default 50,000 and 500,000. Fails where a row of the larger number takes more than twice as long as one of the
//! smaller, where a statement takes longer than 10 s, or where this process needs more than 150 MiB. Needs PostgreSQL and
//! `psql`; the vendor is another process.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

#[path = "../memory/vendor.rs"]
#[expect(dead_code, reason = "what the other benchmarks ask of it")]
mod vendor;
#[path = "../floor/world.rs"]
#[expect(dead_code, reason = "what the other benchmarks ask of it")]
mod world;

mod watched;

use std::time::{Duration, Instant};

use tidemark_domain::stream::{Capture, Stream};

use self::{
    vendor::Vendor,
    watched::Watched,
    world::{World, settings},
};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEMBERS: usize = 50;
const DAYS: u32 = 30;
/// No vendor allows so much; what the statements cost is the question here.
const LIMIT: u32 = 2_000;
const MOST_MIB: u64 = 150;
const SLOWEST: Duration = Duration::from_secs(10);

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    if std::env::args().any(|word| word == vendor::AS_VENDOR) {
        return vendor::serve(&numbers);
    }
    let sizes = if numbers.is_empty() { vec![50_000, 500_000] } else { numbers };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut is_well = true;
    for capture in [Capture::Metadata, Capture::Full] {
        let rounds: Vec<_> = sizes.iter().map(|notes| runtime.block_on(round(*notes, capture))).collect();
        is_well &= rounds.iter().all(|round| round.is_well);
        is_well &= rounds.windows(2).all(|two| two[1].per_row <= two[0].per_row * 2);
    }
    assert!(is_well, "a goal was missed");
}

struct Round {
    per_row: Duration,
    is_well: bool,
}

async fn round(notes: usize, capture: Capture) -> Round {
    let vendor = Vendor::with_notes(MEMBERS, notes).await;
    let world = World::start(vendor.base_url.clone(), 1, settings(DAYS, LIMIT)).await;
    world.choose_all(capture).await;
    let watched = Watched::begin(&world.url());
    let started = Instant::now();
    world.sync_all().await;
    let took = started.elapsed();
    let (slowest, statement) = watched.end();
    let rows = world.resources(Stream::Notes).await + world.resources(Stream::Entities).await;
    assert_eq!(rows, 2 * notes as u64);
    let again = Instant::now();
    world.sync_all().await;
    let (again, peak) = (again.elapsed(), peak_mib());
    world.stop().await;
    let per_row = took / u32::try_from(rows).unwrap();
    println!(
        "{notes} notes and {notes} entities, capture {}: {:.1} s, {per_row:.0?} a row; again {:.1} s; at most {peak} MiB \
         so far; slowest statement {:.1} s: {statement}",
        capture.as_str(),
        took.as_secs_f64(),
        again.as_secs_f64(),
        slowest.as_secs_f64(),
    );
    Round { per_row, is_well: slowest <= SLOWEST && peak <= MOST_MIB }
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
