//! Prints what members did, a line per member and day, and where to go on after each page.
//!
//! `PRODUCTBOARD_TOKEN=… [PRODUCTBOARD_API_URL=…] cargo run -p tidemark-productboard --example dump_activities -- \
//! 2026-08-01 2026-08-07 [CURSOR]`

use std::env;
use std::error::Error;

use futures::TryStreamExt;
use secrecy::SecretString;
use tidemark_productboard::{Client, Cursor, Options};
use url::Url;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "printing is what this example is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let from = arguments.next().ok_or("the first day is missing, such as 2026-08-01")?.parse()?;
    let to = arguments.next().ok_or("the last day is missing, such as 2026-08-07")?.parse()?;
    let token = SecretString::from(env::var("PRODUCTBOARD_TOKEN")?);
    let base_url: Url =
        env::var("PRODUCTBOARD_API_URL").unwrap_or("https://api.productboard.com".to_owned()).parse()?;
    let client = Client::new(&base_url, token, Options::default().trust(&base_url))?;

    let mut pages = client.member_activities(from, to, arguments.next().map(Cursor::new));
    while let Some(page) = pages.try_next().await? {
        for activity in page.items {
            let row = activity.row;
            let actions: u32 = row.counters.actions().map(|(_, _, count)| count).sum();
            println!("{} {} {} {actions} actions", row.day, row.member_id, row.role);
        }
        if let Some(next) = page.next {
            eprintln!("resume with {}", next.as_str());
        }
    }
    Ok(())
}
