//! Writing rows of which the database may refuse some: a value that it does not take concerns its row, and never the
//! others nor the run. The rows are halved until the bad ones stand alone.

use std::ops::Range;

use sea_orm::{ConnectionTrait as _, TryGetable, Value};

use crate::{
    error::{Error, Result, failed},
    statement::Table,
    store::Tx,
};

/// What is told of a row that was refused: what the database says may hold values.
pub(crate) const PROBLEM: &str = "the database does not take a value of it";

const ATTEMPTED: &str = "set a savepoint";

impl Tx {
    /// Inserts rows, or updates those that differ, and gives the column `tell` of those that were written, and the places
    /// of the rows that were refused.
    pub(crate) async fn put_most<T: TryGetable + Send>(
        &self,
        table: &Table<'_>,
        attempted: &'static str,
        tell: &'static str,
        rows: Vec<Vec<Value>>,
    ) -> Result<(Vec<T>, Vec<usize>)> {
        let (mut written, mut refused) = (Vec::new(), Vec::new());
        let mut open: Vec<Range<usize>> = Vec::from([Range { start: 0, end: rows.len() }]);
        while let Some(range) = open.pop() {
            if range.is_empty() {
                continue;
            }
            self.plain("savepoint rows_to_write").await?;
            let put = table.put_changed(&self.tx, attempted, tell, rows[range.clone()].to_vec()).await;
            match put {
                Ok(told) => written.extend(told),
                Err(Error::BadData { .. }) => {
                    self.plain("rollback to savepoint rows_to_write").await?;
                    let middle = range.start + range.len() / 2;
                    match range.len() {
                        1 => refused.push(range.start),
                        _ => open.extend([middle..range.end, range.start..middle]),
                    }
                }
                Err(error) => return Err(error),
            }
            self.plain("release savepoint rows_to_write").await?;
        }
        Ok((written, refused))
    }

    async fn plain(&self, sql: &str) -> Result<()> {
        self.tx.execute_unprepared(sql).await.map(drop).map_err(failed(ATTEMPTED))
    }
}
