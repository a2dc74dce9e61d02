//! The memory of one worker: with 32 workspaces at once, the same with all streams and documents, and along one workspace
//! of five million activity rows. The vendor is another process, and so is the database; what is measured is this process.
//!
//! ```text
//! cargo bench -p tidemark-sync --bench memory [-- WORKSPACES MEMBERS DAYS]
//! ```
//!
//! Without arguments it does all of the above; with them, one round of that size. Fails at 150 MiB, and where the second
//! half of a round needs a fifth more than the first.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

#[expect(dead_code, reason = "what the other benchmarks ask of it")]
mod vendor;
#[path = "../floor/world.rs"]
#[expect(dead_code, reason = "what the other benchmarks ask of it")]
mod world;

use std::time::{Duration, Instant};

use tidemark_domain::stream::Capture;

use self::{
    vendor::Vendor,
    world::{World, settings},
};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MOST_MIB: f64 = 150.0;
/// No vendor allows so much; memory is the question here, and five million rows at the vendor's pace take an hour.
const LIMIT: u32 = 1_000;

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    if std::env::args().any(|word| word == vendor::AS_VENDOR) {
        return vendor::serve(&arguments);
    }
    let rounds = match arguments[..] {
        [workspaces, members, days] => vec![(workspaces, members, days, false)],
        _ => vec![(32, 300, 60, false), (32, 300, 60, true), (1, 57_000, 365, false)],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let is_well = rounds.into_iter().fold(true, |is_well, (workspaces, members, days, in_full)| {
        runtime.block_on(round(workspaces, members, days, in_full)) && is_well
    });
    assert!(is_well, "a goal was missed");
}

async fn round(workspaces: usize, members: usize, days: usize, in_full: bool) -> bool {
    let vendor = Vendor::start(workspaces, members, members).await;
    let settings = settings(u32::try_from(days).unwrap(), LIMIT);
    let world = World::start(vendor.base_url.clone(), workspaces, settings).await;
    if in_full {
        world.choose_all(Capture::Full).await;
    }
    let (started, worked) = (Instant::now(), cpu_seconds());
    let mut seen = Vec::new();
    let looking = async {
        loop {
            seen.push(resident_mib());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = world.sync_all() => {}
    }
    let rows = world.rows().await;
    let (first, second) = seen.split_at(seen.len() / 2);
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let (first, second) = (most(first), most(second));
    println!(
        "{workspaces} workspace(s){}, {rows} rows in {:.0} s with {:.1} s of a core: at most {first:.1} MiB in the \
         first half, {second:.1} MiB in the second",
        if in_full { " with all streams and documents" } else { "" },
        started.elapsed().as_secs_f64(),
        cpu_seconds() - worked,
    );
    world.stop().await;
    first.max(second) < MOST_MIB && second <= first * 1.2
}

/// For how long this process has had a core, in hundredths as the kernel counts.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("a name in brackets");
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// What the kernel says that this process has in memory.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
