//! Contracts, as customers entered them. A change asks for a new look at the connection.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use tidemark_domain::{
    contract::{Contract, Currency, Price},
    id::ConnectionId,
};

use crate::{
    error::Result,
    statement::{Table, corrupt, row},
    store::{Store, Tx},
};

const CONTRACTS: Table<'static> = Table {
    name: "contracts",
    key: 1,
    columns: Cow::Borrowed(&[
        "connection_id",
        "purchased",
        "price_minor",
        "currency",
        "minimum",
        "renewal",
        "target_percent",
        "updated_at",
    ]),
};

impl Store {
    /// The contract of a connection; an empty one where nothing was entered.
    pub async fn contract(&self, connection: &ConnectionId) -> Result<Contract> {
        let sql = "select purchased, price_minor, currency, minimum, renewal, target_percent
            from contracts where connection_id = $1";
        let found = row(&self.db, "read a contract", sql, [connection.as_str().into()]).await?;
        let Some(row) = found else { return Ok(Contract::default()) };
        let count = |column: &str| -> Result<Option<u32>> {
            let number: Option<i64> = row.get(column)?;
            number.map(|number| u32::try_from(number).map_err(|_| corrupt(column))).transpose()
        };
        let (minor, currency): (Option<i64>, Option<Currency>) =
            (row.get("price_minor")?, row.id("currency")?);
        let minor =
            minor.map(|minor| u64::try_from(minor).map_err(|_| corrupt("price_minor"))).transpose()?;
        Ok(Contract {
            purchased: count("purchased")?,
            price: minor.zip(currency).map(|(minor, currency)| Price { minor, currency }),
            minimum: count("minimum")?,
            renewal: row.get("renewal")?,
            target_percent: count("target_percent")?,
        })
    }
}

impl Tx {
    /// Puts the contract in the place of the one before.
    pub async fn set_contract(
        &self,
        connection: &ConnectionId,
        contract: &Contract,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let number = |number: Option<u32>| number.map(i64::from).into();
        let values = vec![
            connection.as_str().into(),
            number(contract.purchased),
            contract.price.map(|price| i64::try_from(price.minor).unwrap_or(i64::MAX)).into(),
            contract.price.map(|price| price.currency.to_string()).into(),
            number(contract.minimum),
            contract.renewal.into(),
            number(contract.target_percent),
            now.into(),
        ];
        CONTRACTS.put(&self.tx, "write a contract", [values]).await?;
        self.ask_for_rollup(connection).await
    }
}
