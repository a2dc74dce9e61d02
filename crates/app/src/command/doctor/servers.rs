//! What is asked over the network beside the database: the broker and its queues, the leases, the services.

use std::time::Duration;

use tidemark_bus_amqp::AmqpBus;
use tidemark_rpc::{
    connections::GetConnectionRequest, status, syncs::GetSyncRequest, utilization::GetSummaryRequest,
};
use tidemark_runtime::Config;
use tokio::time::timeout;
use tonic::{Code, Status};
use url::Url;

use super::{Finding, PATIENCE, is_at_least};
use crate::{
    vitals::chain,
    wiring::{self, BusChoice, LeasesChoice},
};

/// Quorum queues with a delivery limit.
const OLDEST_BROKER: (u32, u32) = (3, 10);
const OLDEST_LEASES: (u32, u32) = (6, 2);

pub(super) async fn broker(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "message broker";
    let mend =
        "start RabbitMQ, or correct bus.url (TIDEMARK_BUS__URL); until then messages wait in the outbox";
    let bus = match wiring::bus(config) {
        Err(error) => return vec![Finding::ill(SUBJECT, format!("{error:#}"), mend)],
        Ok(BusChoice::Inproc(_)) => return vec![Finding::well(SUBJECT, "in this process")],
        Ok(BusChoice::Amqp(bus)) => bus,
    };
    match timeout(PATIENCE, bus.check()).await {
        Err(_) => vec![Finding::ill(SUBJECT, silent(), mend)],
        Ok(Err(error)) => vec![Finding::ill(SUBJECT, chain(&error), mend)],
        Ok(Ok(info)) => {
            let version = info.version.unwrap_or_else(|| "of unknown version".to_owned());
            let told = format!("RabbitMQ {version}");
            let server = if is_at_least(&version, OLDEST_BROKER) {
                Finding::well(SUBJECT, told)
            } else {
                Finding::ill(SUBJECT, told, "RabbitMQ 3.10 or later is needed: upgrade it")
            };
            vec![server, topology(&bus).await]
        }
    }
}

/// The queues, whoever consumes them, and what died in them.
async fn topology(bus: &AmqpBus) -> Finding {
    const SUBJECT: &str = "queues";
    let depths = match timeout(PATIENCE, bus.sounder().depths()).await {
        Err(_) => return Finding::ill(SUBJECT, silent(), "look at RabbitMQ's own health"),
        Ok(Err(error)) => {
            let mend = "let the user of bus.url read and configure the queues of bus.prefix";
            return Finding::ill(SUBJECT, chain(&error), mend);
        }
        Ok(Ok(depths)) => depths,
    };
    let missing: Vec<_> = depths.iter().filter(|depth| !depth.exists).map(|depth| depth.queue).collect();
    if !missing.is_empty() {
        let detail = format!("not there yet: {}", missing.join(", "));
        return Finding::ill(SUBJECT, detail, "start a process of the services: each declares all of them");
    }
    let dead: u64 = depths.iter().map(|depth| depth.dead).sum();
    if dead > 0 {
        let detail = format!("{dead} message(s) that no service could handle");
        let mend = "`tidemark queue dead list` shows them with the reason; replay or drop them";
        return Finding::ill(SUBJECT, detail, mend);
    }
    let idle: Vec<_> = depths.iter().filter(|depth| depth.consumers == 0).map(|depth| depth.queue).collect();
    if !idle.is_empty() {
        let detail = format!("nobody consumes {}", idle.join(", "));
        return Finding::ill(SUBJECT, detail, "start `tidemark worker` and `tidemark aggregator`");
    }
    let waiting: u64 = depths.iter().map(|depth| depth.messages).sum();
    Finding::well(SUBJECT, format!("{}, {waiting} message(s) wait, none died", depths.len()))
}

pub(super) async fn leases(config: &Config) -> Finding {
    const SUBJECT: &str = "lease service";
    let mend = "start Redis, or correct leases.url (TIDEMARK_LEASES__URL); until then workers use the database's lease";
    match wiring::leases(config) {
        Err(error) => Finding::ill(SUBJECT, format!("{error:#}"), mend),
        Ok(LeasesChoice::Inproc(_)) => Finding::well(SUBJECT, "in this process"),
        Ok(LeasesChoice::Redis(leases)) => match timeout(PATIENCE, leases.check()).await {
            Err(_) => Finding::ill(SUBJECT, silent(), mend),
            Ok(Err(error)) => Finding::ill(SUBJECT, chain(&error), mend),
            Ok(Ok(version)) if is_at_least(&version, OLDEST_LEASES) => {
                Finding::well(SUBJECT, format!("Redis {version}"))
            }
            Ok(Ok(version)) => {
                Finding::ill(SUBJECT, format!("Redis {version}"), "Redis 6.2 or later is needed: upgrade it")
            }
        },
    }
}

/// Each is asked for something that cannot exist: the answer "no such thing" proves address, token and database.
pub(super) async fn services(config: &Config) -> Vec<Finding> {
    let none = |prefix: &str| format!("{prefix}_00000000000000000000000000");
    let (credentials, worker, aggregator) =
        (&config.credentials.url, &config.worker.url, &config.aggregator.url);
    let connection = async || {
        let caller = wiring::caller_at(config, credentials, &config.rpc_token, "credentials.url")?;
        let request = GetConnectionRequest { connection_id: none("conn") };
        anyhow::Ok(caller.connections().get_connection(request).await.map(drop))
    };
    let run = async || {
        let caller = wiring::caller_at(config, worker, &config.rpc_token, "worker.url")?;
        anyhow::Ok(caller.syncs().get_sync(GetSyncRequest { run_id: none("run") }).await.map(drop))
    };
    let summary = async || {
        let caller = wiring::caller_at(config, aggregator, &config.rpc_token, "aggregator.url")?;
        let request = GetSummaryRequest { connection_id: none("conn") };
        anyhow::Ok(caller.utilization().get_summary(request).await.map(drop))
    };
    let (connection, run, summary) =
        tokio::join!(timeout(PATIENCE, connection()), timeout(PATIENCE, run()), timeout(PATIENCE, summary()));
    let mend = |what: &str, setting: &str| {
        let variable = setting.to_uppercase().replace('.', "__");
        format!("start `tidemark {what}`, or correct {setting} (TIDEMARK_{variable}) and rpc.token")
    };
    vec![
        service("credential service", credentials, connection, mend("credentials", "credentials.url")),
        service("sync service", worker, run, mend("worker", "worker.url")),
        service("utilization service", aggregator, summary, mend("aggregator", "aggregator.url")),
    ]
}

fn service(
    subject: &'static str,
    url: &Url,
    answer: Result<anyhow::Result<Result<(), Status>>, tokio::time::error::Elapsed>,
    mend: String,
) -> Finding {
    match answer {
        Err(_) => Finding::ill(subject, format!("{url}: {}", silent()), mend),
        Ok(Err(error)) => Finding::ill(subject, format!("{error:#}"), mend),
        Ok(Ok(Err(status))) if status::reason(&status).as_deref() == Some("UNAVAILABLE") => Finding::ill(
            subject,
            format!("{url}: it runs, but {}", status.message()),
            "mend what it waits for: it goes on by itself",
        ),
        Ok(Ok(Err(status))) if status.code() != Code::NotFound => {
            Finding::ill(subject, format!("{url}: {}", status.message()), mend)
        }
        Ok(Ok(_)) => Finding::well(subject, format!("{url} answers")),
    }
}

fn silent() -> String {
    format!("no answer in {} s", Duration::as_secs(&PATIENCE))
}
