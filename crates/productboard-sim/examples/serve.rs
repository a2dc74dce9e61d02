//! A vendor to try things on, until Ctrl-C: `cargo run -p tidemark-productboard-sim --example serve`.

use std::error::Error;
use std::time::Duration;

use tidemark_productboard_sim::{Health, Options, RetryAfter, Simulator, Workspace, WorkspaceSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let simulator = Simulator::start("127.0.0.1:0".parse()?, Options::default()).await?;
    let spec = WorkspaceSpec::new("acme", 60, "2026-08-12".parse()?).health(Health::Sprawling);
    simulator.add(Workspace::generate(&spec), "acme-token");
    simulator.faults("acme-token", |faults| {
        faults.latency = Duration::from_millis(80);
        faults.fail_next.extend([503, 429]);
        faults.retry_after = RetryAfter::HttpDate;
    });
    eprintln!("curl -iH 'Authorization: Bearer acme-token' {}/v2/members", simulator.base_url());
    tokio::signal::ctrl_c().await?;
    simulator.shutdown().await;
    Ok(())
}
