//! Prints the entities that changed since a moment, with status and parent. Objectives are listed whole: the vendor's
//! search has been seen not to find them.
//!
//! `PRODUCTBOARD_TOKEN=… [PRODUCTBOARD_API_URL=…] cargo run -p tidemark-productboard --example changed_entities -- \
//! 2026-08-01T00:00:00Z`

use std::env;
use std::error::Error;

use futures::TryStreamExt;
use secrecy::SecretString;
use tidemark_productboard::{
    Client, EntitiesQuery, Entity, EntitySearch, EntityType, Options, Pages, Period,
};
use url::Url;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let since = env::args().nth(1).ok_or("a moment is missing, such as 2026-08-01T00:00:00Z")?.parse()?;
    let token = SecretString::from(env::var("PRODUCTBOARD_TOKEN")?);
    let base_url: Url =
        env::var("PRODUCTBOARD_API_URL").unwrap_or("https://api.productboard.com".to_owned()).parse()?;
    let client = Client::new(&base_url, token, Options::default().trust(&base_url))?;

    let searchable = EntityType::KNOWN.iter().filter(|kind| **kind != EntityType::Objective).cloned();
    let search = EntitySearch {
        types: searchable.collect(),
        updated: Period::since(since),
        ..EntitySearch::default()
    };
    print(client.search_entities(&search, None)).await?;
    print(client.entities(&EntitiesQuery::of(EntityType::Objective), None)).await
}

#[expect(clippy::print_stdout, reason = "printing is what this example is for")]
async fn print(mut pages: Pages<Entity>) -> Result<(), Box<dyn Error>> {
    while let Some(page) = pages.try_next().await? {
        for entity in page.items {
            let name = entity.fields.name()?.unwrap_or_default();
            let status = entity.fields.status()?.map(|status| status.name).unwrap_or_default();
            let parent = entity.relationships.parent().and_then(|parent| Some(parent.id?.to_string()));
            println!(
                "{} {} {} [{}] below {}",
                entity.kind,
                entity.id,
                name.known().unwrap_or("(hidden)"),
                status.known().unwrap_or("-"),
                parent.as_deref().unwrap_or("-"),
            );
        }
    }
    Ok(())
}
