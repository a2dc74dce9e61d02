//! A simulated workspace, and clients of it.

use std::sync::{Arc, LazyLock};

use chrono::NaiveDate;
use futures::TryStreamExt;
use secrecy::SecretString;
use tidemark_productboard::{Activity, Client, Error, LocalBudget, Options, Pages};
use tidemark_productboard_sim as sim;
use url::Url;

pub(crate) const TOKEN: &str = "contract-token";
pub(crate) const DAYS: u64 = 6;

pub(crate) fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 8, 12).unwrap()
}

/// The workspace `acme` behind [`TOKEN`], without rate limit, in small pages, so that there are many.
pub(crate) async fn simulator() -> sim::Simulator {
    simulator_with(sim::Options { requests_per_second: 0, page_size: 7 }).await
}

pub(crate) async fn simulator_with(options: sim::Options) -> sim::Simulator {
    static ACME: LazyLock<sim::Workspace> = LazyLock::new(|| {
        sim::Workspace::generate(&sim::WorkspaceSpec::new("acme", 60, today()).teams(9).days(20))
    });
    let simulator = sim::Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    simulator.add(ACME.clone(), TOKEN);
    simulator
}

/// Fast, but with three attempts.
pub(crate) fn options() -> Options {
    Options { budget: Arc::new(LocalBudget::new(10_000)), max_attempts: 3, ..Options::default() }
}

pub(crate) fn client(simulator: &sim::Simulator) -> Client {
    client_of(simulator, TOKEN)
}

pub(crate) fn client_of(simulator: &sim::Simulator, token: &str) -> Client {
    client_with(&simulator.base_url(), token, options())
}

pub(crate) fn client_with(base_url: &str, token: &str, options: Options) -> Client {
    let base_url: Url = base_url.parse().unwrap();
    Client::new(&base_url, SecretString::from(token), options.trust(&base_url)).unwrap()
}

/// All rows of a list.
pub(crate) async fn all<T>(pages: Pages<T>) -> Result<Vec<T>, Error> {
    Ok(pages.try_collect::<Vec<_>>().await?.into_iter().flat_map(|page| page.items).collect())
}

/// A week of activity.
pub(crate) async fn activities(client: &Client) -> Result<Vec<Activity>, Error> {
    all(client.member_activities(today() - chrono::Days::new(DAYS), today(), None)).await
}
