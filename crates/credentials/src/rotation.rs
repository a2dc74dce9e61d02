//! Moves every sealed secret under the first key of the ring, while the services go on.
//!
//! A secret is opened, sealed anew, and replaced if its old bytes still stand; readers need nothing but both keys in
//! their ring. Stopped, it goes on where it was: what is done is under the first key. Two at once share the work.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use tidemark_store::{self as store, SEALED_TABLES, Sealed, SealedRow, SealedTable, Store};

use crate::vault::{OpenError, Place, Vault};

/// Small enough that nobody waits long for the one connection of SQLite.
const BATCH: u64 = 200;
/// The database may be busy; nothing is lost by trying again.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// What a key-encryption key is still needed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key_id: String,
    /// Whether new secrets are sealed with it.
    pub seals: bool,
    /// Whether this process has it. Without it, its secrets do not open.
    pub present: bool,
    /// How many secrets it seals, by table.
    pub secrets: BTreeMap<&'static str, u64>,
}

/// What a rotation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Secrets that are under the first key now.
    pub resealed: u64,
    /// Secrets that somebody else replaced in the meantime.
    pub overtaken: u64,
    /// Secrets that did not open and stay as they were: where, and why.
    pub stuck: Vec<Stuck>,
}

/// A secret that could not be sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Its table.
    pub table: &'static str,
    /// Its record.
    pub record: String,
    /// Why it does not open.
    pub error: OpenError,
}

impl KeyUse {
    /// How many secrets the key seals.
    pub fn total(&self) -> u64 {
        self.secrets.values().sum()
    }

    /// Whether the key can be taken out of `credentials.keys`.
    pub fn can_retire(&self) -> bool {
        !self.seals && self.total() == 0
    }
}

impl Vault {
    /// What each key is needed for: those of the ring in its order, then those that only the database knows.
    pub async fn key_uses(&self, store: &Store) -> store::Result<Vec<KeyUse>> {
        let none: BTreeMap<_, _> = SEALED_TABLES.iter().map(|table| (table.name(), 0)).collect();
        let key = |key_id: &str, seals, present| KeyUse {
            key_id: key_id.to_owned(),
            seals,
            present,
            secrets: none.clone(),
        };
        let mut uses: Vec<_> = self.key_ids().zip(0..).map(|(id, place)| key(id, place == 0, true)).collect();
        for count in store.sealed_counts().await? {
            let known = uses.iter().position(|known| known.key_id == count.key_id).unwrap_or_else(|| {
                uses.push(key(&count.key_id, false, false));
                uses.len() - 1
            });
            *uses[known].secrets.entry(count.table).or_default() += count.rows;
        }
        Ok(uses)
    }

    /// Seals with the first key whatever is sealed with another one. `moved` hears of each batch, as a number of secrets.
    pub async fn rotate(&self, store: &Store, mut moved: impl FnMut(u64)) -> store::Result<Rotated> {
        let mut rotated = Rotated::default();
        for table in SEALED_TABLES {
            self.rotate_table(store, table, &mut rotated, &mut moved).await?;
        }
        Ok(rotated)
    }

    async fn rotate_table(
        &self,
        store: &Store,
        table: &SealedTable,
        rotated: &mut Rotated,
        moved: &mut impl FnMut(u64),
    ) -> store::Result<()> {
        let mut after: Option<SealedRow> = None;
        loop {
            let batch =
                patiently(|| store.sealed_otherwise(table, self.sealing_key_id(), after.as_ref(), BATCH))
                    .await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some(last.clone());
            let seen = batch.len() as u64;
            let mut renewed = Vec::new();
            for row in batch {
                match self.renew(&row) {
                    Ok(sealed) => renewed.push((row, sealed)),
                    Err(error) => {
                        rotated.stuck.push(Stuck { table: table.name(), record: row.record, error });
                    }
                }
            }
            let replaced = patiently(|| store.reseal(table, &renewed)).await?;
            rotated.resealed += replaced;
            rotated.overtaken += (renewed.len() as u64).saturating_sub(replaced);
            moved(seen);
        }
    }

    fn renew(&self, row: &SealedRow) -> Result<Sealed, OpenError> {
        let SealedRow { organization, record, field, version, sealed } = row;
        let place = Place { organization, record, field, version: *version };
        self.open(place, sealed).map(|secret| self.seal(place, &secret))
    }
}

/// Two rotations may be in each other's way for a moment.
async fn patiently<T, F: Future<Output = store::Result<T>>>(
    mut attempt: impl FnMut() -> F,
) -> store::Result<T> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(store::Error::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
    attempt().await
}
