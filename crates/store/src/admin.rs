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
    let sql = format!("create database {name} template template0");
    run(url, name, "create a database", sql, None).await?;
    created.set_path(name);
    Ok(created.into())
}

/// Drops a database and breaks off whoever still uses it. One that is not there is fine.
pub async fn drop_database(url: &str, name: &str) -> Result<()> {
    let sql = format!("drop database if exists {name} with (force)");
    run(url, name, "drop a database", sql, None).await.map(drop)
}

/// Copies a database that [`make_template`] made; `None` where there is none of that name. Gives the copy's URL.
pub async fn copy_database(url: &str, template: &str, name: &str) -> Result<Option<String>> {
    let mut created =
        Url::parse(url).map_err(|error| Error::InvalidUrl(format!("the server's URL ({error})")))?;
    check_name(template)?;
    let sql = format!("create database {name} template {template}");
    const UNKNOWN_DATABASE: Option<&str> = Some("3D000");
    if !run(url, name, "copy a database", sql, UNKNOWN_DATABASE).await? {
        return Ok(None);
    }
    created.set_path(name);
    Ok(Some(created.into()))
}

/// Renames a database that nobody uses, and lets nobody in any more but copies; `false` where another has the name.
pub async fn make_template(url: &str, name: &str, template: &str) -> Result<bool> {
    check_name(template)?;
    let closed = format!("alter database {name} with allow_connections false");
    run(url, name, "close a database", closed, None).await?;
    let renamed = format!("alter database {name} rename to {template}");
    const DUPLICATE_DATABASE: Option<&str> = Some("42P04");
    run(url, name, "rename a database", renamed, DUPLICATE_DATABASE).await
}

fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(Error::InvalidUrl(format!("the database name `{name}`")));
    }
    Ok(())
}

/// Whether it was done; an error of the code `but` only says that it was not.
async fn run(url: &str, name: &str, attempted: &'static str, sql: String, but: Option<&str>) -> Result<bool> {
    check_name(name)?;
    let wrapped = |error| failed(attempted)(dialect::wrap(error));
    let options = PgConnectOptions::from_str(url).map_err(wrapped)?;
    let mut connection = PgConnection::connect_with(&options).await.map_err(wrapped)?;
    // Safe: a fixed text and names of letters, digits and `_`.
    let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    let is_done = match outcome {
        Ok(_) => true,
        Err(error)
            if but.is_some()
                && error.as_database_error().and_then(|error| error.code()).as_deref() == but =>
        {
            false
        }
        Err(error) => return Err(wrapped(error)),
    };
    connection.close().await.map_err(wrapped)?;
    Ok(is_done)
}
