//! Making and dropping whole databases on a PostgreSQL server, for tests and operators.

use std::str::FromStr;

use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use url::Url;

use crate::{
    dialect,
    error::{Error, Result, failed},
};

/// Creates an empty database on the server of that URL, whose user must be allowed to. Gives the new database's URL.
/// The name is made of small letters, digits and `_`.
pub async fn create_database(url: &str, name: &str) -> Result<String> {
    let mut created =
        Url::parse(url).map_err(|error| Error::InvalidUrl(format!("the server's URL ({error})")))?;
    // template0: what somebody left in template1 must not come along.
    run(url, name, "create a database", format!("create database {name} template template0")).await?;
    created.set_path(name);
    Ok(created.into())
}

/// Drops a database and breaks off whoever still uses it. One that is not there is fine.
pub async fn drop_database(url: &str, name: &str) -> Result<()> {
    run(url, name, "drop a database", format!("drop database if exists {name} with (force)")).await
}

async fn run(url: &str, name: &str, attempted: &'static str, sql: String) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(Error::InvalidUrl(format!("the database name `{name}`")));
    }
    let wrapped = |error| failed(attempted)(dialect::wrap(error));
    let options = PgConnectOptions::from_str(url).map_err(wrapped)?;
    let mut connection = PgConnection::connect_with(&options).await.map_err(wrapped)?;
    // Safe: a fixed text and a name of letters, digits and `_`.
    let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    outcome.map_err(wrapped)?;
    connection.close().await.map_err(wrapped)
}
