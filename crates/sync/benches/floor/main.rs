//! A full sync beside a floor: a minimal client that only fetches pages at an even pace, day by day in parallel, and
//! writes them with two writers. Same simulator, same latency and limit, same tables, same run; first one workspace,
//! then eight at once.
//!
//! ```text
//! cargo bench -p tidemark-sync --bench floor [-- MEMBERS DAYS LATENCY_MS]
//! ```
//!
//! The defaults are 2,000 members, 365 days and 100 ms. Fails where the engine takes more than 1.1 times the floor's time,
//! uses less than nine tenths of the limit from the second second on, or meets a 429; and where a sync with nothing new
//! takes more than a tenth of the first one's time, or writes a row.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

mod minimal;
mod vendor;
#[expect(dead_code, reason = "what the other benchmarks ask of it")]
mod world;

use std::time::{Duration, Instant};

use tidemark_store::Effect;

use self::{
    vendor::Vendor,
    world::{World, settings},
};

pub(crate) const LIMIT: u32 = 50;

/// How large a workspace is, and how far away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) members: usize,
    pub(crate) days: u32,
    pub(crate) latency: Duration,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let mut next = |otherwise| arguments.next().unwrap_or(otherwise);
    let (members, days, latency) = (next(2_000_u32), next(365), next(100));
    let size = Size { members: members as usize, days, latency: Duration::from_millis(latency.into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let is_well = runtime.block_on(async {
        let mut is_well = true;
        for workspaces in [1, 8] {
            is_well &= round(size, workspaces).await;
        }
        is_well
    });
    assert!(is_well, "a goal was missed");
}

async fn round(size: Size, workspaces: usize) -> bool {
    let vendor = Vendor::start(size, workspaces).await;
    let world = World::start(vendor.simulator.base_url(), workspaces, settings(size.days, LIMIT)).await;
    let floor = measure(&vendor, "floor", workspaces, minimal::sync_all(&world, &vendor, size)).await;
    let engine = measure(&vendor, "engine", workspaces, world.sync_all()).await;
    let ratio = engine.took.as_secs_f64() / floor.took.as_secs_f64();
    println!("{workspaces} workspace(s), {} rows: engine / floor = {ratio:.3}", world.rows().await);
    world.check().await;
    let is_cheap = again(&vendor, &world, engine.took).await;
    world.stop().await;
    ratio <= 1.1 && engine.refused == 0 && engine.used >= 0.9 && is_cheap
}

/// Syncs once more, with nothing new: what is fetched and written then.
async fn again(vendor: &Vendor, world: &World, first: Duration) -> bool {
    let before = vendor.counts();
    let started = Instant::now();
    let runs = world.sync(0..vendor.workspaces).await;
    let took = started.elapsed();
    let mut effect = Effect::default();
    for run in &runs {
        for progress in world.store.streams(&run.id).await.unwrap() {
            effect += progress.effect;
        }
    }
    let share = took.as_secs_f64() / first.as_secs_f64();
    println!(
        "{} × nothing new: {:.1} s ({:.1} % of the first time), {} requests, {} rows seen, {} of them written",
        vendor.workspaces,
        took.as_secs_f64(),
        share * 100.0,
        vendor.counts().requests - before.requests,
        effect.written + effect.unchanged,
        effect.written,
    );
    share <= 0.1 && effect.written == 0
}

#[derive(Debug)]
struct Figures {
    took: Duration,
    /// Of the limit, from the second second to the end.
    used: f64,
    refused: u64,
}

async fn measure(vendor: &Vendor, name: &str, workspaces: usize, work: impl Future<Output = ()>) -> Figures {
    let before = vendor.counts();
    let started = Instant::now();
    let early = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        (vendor.counts(), Instant::now())
    };
    let (early, ended) = tokio::join!(early, async {
        work.await;
        Instant::now()
    });
    let after = vendor.counts();
    let took = ended - started;
    let rest = (ended - early.1).as_secs_f64();
    let used = (after.requests - early.0.requests) as f64 / rest / f64::from(LIMIT) / workspaces as f64;
    let refused = after.refused - before.refused;
    println!(
        "{workspaces} × {name}: {:.1} s, {} requests, {:.1} % of the limit from second 2 on, {refused} × 429",
        took.as_secs_f64(),
        after.requests - before.requests,
        used * 100.0,
    );
    Figures { took, used, refused }
}
