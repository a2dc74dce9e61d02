//! Deliveries: claimed, attempted, and written down.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Value};
use tidemark_domain::{
    id::{EventId, OrganizationId, WebhookDeliveryId, WebhookEndpointId},
    webhook::DeliveryState,
};

use crate::{
    dialect,
    error::Result,
    statement::{Row, execute, int, page, placeholders, readable, row, rows},
    store::{Store, Tx},
};

const COLUMNS: &str =
    "id, endpoint_id, event_id, kind, state, attempts, failures, next_attempt_at, created_at";

/// Deliveries per statement, and their columns.
const BATCH: usize = 500;
const WIDTH: usize = 10;

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// The event.
    pub event_id: EventId,
    /// The event's type.
    pub kind: String,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it failed since it was last asked for.
    pub failures: i64,
    /// When it is tried next.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A delivery to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// The event.
    pub event_id: EventId,
    /// The event's type.
    pub kind: String,
    /// The event as CloudEvents JSON.
    pub body: Vec<u8>,
}

/// A delivery that is claimed for an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// What is sent.
    pub body: Vec<u8>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: i64,
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub duration_ms: i64,
    /// The status of the answer, where there was one.
    pub status: Option<i64>,
    /// What went wrong; nothing where the endpoint took it.
    pub failure: Option<String>,
    /// The start of the answer, without secrets.
    pub response: Option<String>,
}

impl Delivery {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            endpoint_id: row.parsed("endpoint_id", |text| text.parse().ok())?,
            event_id: row.parsed("event_id", |text| text.parse().ok())?,
            kind: row.get("kind")?,
            state: row.parsed("state", DeliveryState::parse)?,
            attempts: row.get("attempts")?,
            failures: row.get("failures")?,
            next_attempt_at: row.get("next_attempt_at")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl Attempt {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            number: row.get("number")?,
            at: row.get("at")?,
            duration_ms: row.get("duration_ms")?,
            status: row.get("status")?,
            failure: row.get("failure")?,
            response: row.get("response")?,
        })
    }
}

impl Store {
    /// The delivery of that id.
    pub async fn webhook_delivery(&self, id: &WebhookDeliveryId) -> Result<Option<Delivery>> {
        let sql = format!("select {COLUMNS} from webhook_deliveries where id = $1");
        let row = row(&self.db, "read a webhook delivery", sql, [id.as_str().into()]).await?;
        row.as_ref().map(Delivery::read).transpose()
    }

    /// A page of an endpoint's deliveries, the newest first.
    pub async fn webhook_deliveries_of(
        &self,
        endpoint: &WebhookEndpointId,
        state: Option<DeliveryState>,
        before: Option<&WebhookDeliveryId>,
        limit: u64,
    ) -> Result<Vec<Delivery>> {
        // Every id is less than this text.
        let behind = before.map_or("~", WebhookDeliveryId::as_str).to_owned();
        let in_state = if state.is_some() { "and state = $4" } else { "" };
        let sql = format!(
            "select {COLUMNS} from webhook_deliveries where endpoint_id = $1 and id < $2 {in_state}
            order by id desc limit $3"
        );
        let values = |behind: &str, limit| {
            let mut values: Vec<Value> = vec![endpoint.as_str().into(), behind.into(), int(limit)];
            values.extend(state.map(|state| Value::from(state.as_str())));
            values
        };
        let what = ("list webhook deliveries", "webhook_deliveries");
        page(&self.db, what, &sql, (behind, limit), values, Delivery::read).await
    }

    /// The attempts of some deliveries, in order.
    pub async fn webhook_attempts(
        &self,
        deliveries: &[Delivery],
    ) -> Result<BTreeMap<WebhookDeliveryId, Vec<Attempt>>> {
        let mut attempts = BTreeMap::<_, Vec<_>>::new();
        if deliveries.is_empty() {
            return Ok(attempts);
        }
        let sql = format!(
            "select delivery_id, number, at, duration_ms, status, failure, response from webhook_attempts
            where delivery_id in ({}) order by delivery_id, number",
            placeholders(1, deliveries.len())
        );
        let values = deliveries.iter().map(|delivery| delivery.id.as_str().into());
        for row in rows(&self.db, "list webhook attempts", sql, values).await? {
            let delivery = row.parsed("delivery_id", |text| text.parse().ok())?;
            attempts.entry(delivery).or_default().push(Attempt::read(&row)?);
        }
        Ok(attempts)
    }

    /// The enabled endpoints for which something is due and not claimed, and whose they are.
    pub async fn endpoints_with_due_deliveries(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<(WebhookEndpointId, OrganizationId)>> {
        let sql = "select e.id, e.organization_id from webhook_endpoints e where e.disabled_reason is null and exists (
            select 1 from webhook_deliveries d
            where d.endpoint_id = e.id and d.next_attempt_at <= $1
                and (d.claimed_until is null or d.claimed_until <= $1))
            order by e.id";
        let rows = rows(&self.db, "look for due webhook deliveries", sql, [now.into()]).await?;
        readable(&rows, "webhook_endpoints", |row| {
            let organization = row.parsed("organization_id", |text| text.parse().ok())?;
            Ok((row.parsed("id", |text| text.parse().ok())?, organization))
        })
    }

    /// Claims what is due for an endpoint. Whoever does not finish in time loses the claim.
    pub async fn claim_deliveries(
        &self,
        endpoint: &WebhookEndpointId,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<DueDelivery>> {
        let sql = format!(
            "with due as materialized (
                select d.id as due_id from webhook_deliveries d
                where d.endpoint_id = $1 and d.next_attempt_at <= $2
                    and (d.claimed_until is null or d.claimed_until <= $2)
                order by d.next_attempt_at, d.id limit $3 {})
            update webhook_deliveries set claimed_until = $4 from due
            where webhook_deliveries.id = due.due_id
            returning {COLUMNS}, body",
            dialect::skip_locked(self.db.get_database_backend()),
        );
        let values = [endpoint.as_str().into(), now.into(), int(limit), (now + claim_for).into()];
        let rows = rows(&self.db, "claim webhook deliveries", sql, values).await?;
        let read = |row: &Row| Ok(DueDelivery { delivery: Delivery::read(row)?, body: row.get("body")? });
        readable(&rows, "webhook_deliveries", read)
    }

    /// Gives a claim up without an attempt; the delivery is due again then.
    pub async fn postpone_delivery(&self, seen: &Delivery, until: DateTime<Utc>) -> Result<()> {
        let sql = "update webhook_deliveries set claimed_until = null, next_attempt_at = $3
            where id = $1 and attempts = $2 and state = 'pending'";
        let values = [seen.id.as_str().into(), seen.attempts.into(), until.into()];
        execute(&self.db, "postpone a webhook delivery", sql, values).await.map(drop)
    }

    /// Makes a delivery due now, as if it were new; `false` if it changed since it was seen.
    pub async fn restart_delivery(&self, seen: &Delivery, now: DateTime<Utc>) -> Result<bool> {
        let sql = "update webhook_deliveries
            set state = 'pending', failures = 0, next_attempt_at = $3, claimed_until = null
            where id = $1 and attempts = $2 and state = $4";
        let values = [seen.id.as_str().into(), seen.attempts.into(), now.into(), seen.state.as_str().into()];
        Ok(execute(&self.db, "restart a webhook delivery", sql, values).await? == 1)
    }
}

impl Tx {
    /// Inserts deliveries that are due now. One that is there already stays as it is.
    pub async fn insert_deliveries(&self, deliveries: &[NewDelivery], now: DateTime<Utc>) -> Result<()> {
        for deliveries in deliveries.chunks(BATCH) {
            let backend = self.tx.get_database_backend();
            let tuples: Vec<_> =
                (0..deliveries.len()).map(|row| dialect::tuple(backend, row * WIDTH + 1, WIDTH)).collect();
            let sql = format!(
                "insert into webhook_deliveries
                    (id, endpoint_id, event_id, kind, body, state, attempts, failures, next_attempt_at, created_at)
                values {} on conflict (endpoint_id, event_id) do nothing",
                tuples.join(", ")
            );
            let values = deliveries.iter().flat_map(|new| -> [Value; WIDTH] {
                [
                    new.id.as_str().into(),
                    new.endpoint_id.as_str().into(),
                    new.event_id.as_str().into(),
                    new.kind.as_str().into(),
                    new.body.clone().into(),
                    DeliveryState::Pending.as_str().into(),
                    0_i64.into(),
                    0_i64.into(),
                    now.into(),
                    now.into(),
                ]
            });
            execute(&self.tx, "store webhook deliveries", sql, values).await?;
        }
        Ok(())
    }

    /// Writes down an attempt and how the delivery stands after it; `false` if somebody else has done so since the
    /// delivery was seen.
    pub async fn finish_attempt(
        &self,
        seen: &Delivery,
        attempt: &Attempt,
        state: DeliveryState,
        next_attempt_at: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        let failures = if state == DeliveryState::Delivered { 0 } else { seen.failures + 1 };
        let sql = "update webhook_deliveries
            set state = $3, attempts = $4, failures = $5, next_attempt_at = $6, claimed_until = null
            where id = $1 and attempts = $2 and state = 'pending'";
        let values: [Value; 6] = [
            seen.id.as_str().into(),
            seen.attempts.into(),
            state.as_str().into(),
            attempt.number.into(),
            failures.into(),
            next_attempt_at.into(),
        ];
        if execute(&self.tx, "finish a webhook attempt", sql, values).await? != 1 {
            return Ok(false);
        }
        let sql =
            "insert into webhook_attempts (delivery_id, number, at, duration_ms, status, failure, response)
            values ($1, $2, $3, $4, $5, $6, $7)";
        let values: [Value; 7] = [
            seen.id.as_str().into(),
            attempt.number.into(),
            attempt.at.into(),
            attempt.duration_ms.into(),
            attempt.status.into(),
            attempt.failure.clone().into(),
            attempt.response.clone().into(),
        ];
        execute(&self.tx, "write down a webhook attempt", sql, values).await?;
        Ok(true)
    }
}
