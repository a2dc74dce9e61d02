//! The roles of the services on PostgreSQL: each may do its own work, and only the credential service's may read what is
//! sealed.

use sea_orm::{ConnectionTrait as _, DbBackend, TransactionTrait as _};

use crate::{
    error::{Error, Result, failed},
    store::Store,
};

const ROLES: &str = include_str!("roles.sql");

impl Store {
    /// Makes the roles where they are missing, and grants each what it needs of the present schema. The user of this
    /// store must own the tables and be allowed to make roles.
    pub async fn grant_roles(&self) -> Result<()> {
        if self.db.get_database_backend() != DbBackend::Postgres {
            let text = "SQLite knows no roles: it";
            return Err(Error::InvalidUrl(text.to_owned()));
        }
        let attempted = "grant the roles of the services";
        let tx = self.db.begin().await.map_err(failed(attempted))?;
        tx.execute_unprepared(ROLES).await.map_err(failed(attempted))?;
        tx.commit().await.map_err(failed(attempted))
    }
}
