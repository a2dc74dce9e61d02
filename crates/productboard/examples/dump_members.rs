//! Prints the members of the workspace that a token belongs to.
//!
//! `PRODUCTBOARD_TOKEN=… [PRODUCTBOARD_API_URL=…] cargo run -p tidemark-productboard --example dump_members`

use std::env;
use std::error::Error;

use futures::TryStreamExt;
use secrecy::SecretString;
use tidemark_productboard::{Client, MembersQuery, Options};
use url::Url;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "printing is what this example is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let token = SecretString::from(env::var("PRODUCTBOARD_TOKEN")?);
    let base_url = env::var("PRODUCTBOARD_API_URL").unwrap_or("https://api.productboard.com".to_owned());
    let base_url: Url = base_url.parse()?;
    let client = Client::new(&base_url, token, Options::default().trust(&base_url))?;

    let mut pages = client.members(&MembersQuery::everyone(), None);
    while let Some(page) = pages.try_next().await? {
        for member in page.items {
            let name = member.name.known().unwrap_or("(hidden)");
            let state = match (member.disabled, member.pending) {
                (true, _) => "disabled",
                (false, true) => "pending",
                (false, false) => "enabled",
            };
            println!("{} {name} {} {state}", member.id, member.role);
        }
    }
    Ok(())
}
