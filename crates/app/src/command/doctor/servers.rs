//! What is asked over the network beside the database: the broker and its queues, the leases, the services.

use secrecy::ExposeSecret;
use tidemark_bus_amqp::Sounder;
use tidemark_rpc::{
    connections::GetConnectionRequest, status, syncs::GetSyncRequest, utilization::GetSummaryRequest,
};
use tidemark_runtime::Config;
use tokio::time::timeout;
use tonic::{Code, Status};
use url::Url;

use super::{Finding, PATIENCE, Section, is_at_least, silent};
use crate::{
    vitals::chain,
    wiring::{self, BusChoice, LeasesChoice},
};

/// Quorum queues with a delivery limit.
const OLDEST_BROKER: (u32, u32) = (3, 10);
const OLDEST_LEASES: (u32, u32) = (6, 2);

pub(super) async fn broker(config: &Config, section: Section<'_>) {
    const SUBJECT: &str = "message broker";
    let mend =
        "start RabbitMQ, or correct bus.url (TIDEMARK_BUS__URL); until then messages wait in the outbox";
    let ill = |error: &str| Finding::of_server(SUBJECT, error, "RabbitMQ", "bus", mend);
    let bus = match wiring::bus(config) {
        Err(error) => return section.add(ill(&format!("{error:#}"))),
        Ok(BusChoice::Inproc(_)) => return section.add(Finding::well(SUBJECT, "in this process")),
        Ok(BusChoice::Amqp(bus)) => bus,
    };
    match timeout(PATIENCE, bus.check()).await {
        Err(_) => section.add(ill(&silent())),
        Ok(Err(error)) => section.add(ill(&chain(&error))),
        Ok(Ok(info)) => {
            let version = info.version.unwrap_or_else(|| "of unknown version".to_owned());
            let told = format!("RabbitMQ {version}");
            section.add(if is_at_least(&version, OLDEST_BROKER) {
                Finding::well(SUBJECT, told)
            } else {
                Finding::ill(SUBJECT, told, "RabbitMQ 3.10 or later is needed: upgrade it")
            });
            let sounder = bus.sounder();
            let look = "look at RabbitMQ's own health: `rabbitmq-diagnostics check_local_alarms`";
            section.within("messages", look, async { vec![takes_messages(&sounder).await] }).await;
            section.within("queues", look, async { vec![topology(&sounder).await] }).await;
        }
    }
}

/// A broker may answer everything and take nothing.
async fn takes_messages(sounder: &Sounder) -> Finding {
    const SUBJECT: &str = "messages";
    match sounder.blocked().await {
        Ok(None) => Finding::well(SUBJECT, "the broker takes them"),
        Ok(Some(why)) => Finding::ill(
            SUBJECT,
            format!("RabbitMQ runs, but takes none: it is {why}"),
            "make room on its disk or give it memory: it goes on without a restart, and messages wait in the outbox",
        ),
        Err(error) => {
            let mend = "let the user of bus.url write to the default exchange";
            Finding::ill(SUBJECT, chain(&error), mend)
        }
    }
}

/// The queues, whoever consumes them, and what died in them.
async fn topology(sounder: &Sounder) -> Finding {
    const SUBJECT: &str = "queues";
    let depths = match sounder.depths().await {
        Err(error) => {
            let mend = "let the user of bus.url read and configure the queues of bus.prefix";
            return Finding::ill(SUBJECT, chain(&error), mend);
        }
        Ok(depths) => depths,
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

pub(super) async fn leases(config: &Config, section: Section<'_>) {
    const SUBJECT: &str = "lease service";
    let mend = "start Redis, or correct leases.url (TIDEMARK_LEASES__URL); until then workers use the database's lease";
    let ill = |error: &str| Finding::of_server(SUBJECT, error, "Redis", "leases", mend);
    section.add(match wiring::leases(config) {
        Err(error) => ill(&format!("{error:#}")),
        Ok(LeasesChoice::Inproc(_)) => Finding::well(SUBJECT, "in this process"),
        Ok(LeasesChoice::Redis(leases)) => match timeout(PATIENCE, leases.check()).await {
            Err(_) => ill(&silent()),
            Ok(Err(error)) => ill(&chain(&error)),
            Ok(Ok(version)) if is_at_least(&version, OLDEST_LEASES) => {
                Finding::well(SUBJECT, format!("Redis {version}, and it takes writes"))
            }
            Ok(Ok(version)) => {
                Finding::ill(SUBJECT, format!("Redis {version}"), "Redis 6.2 or later is needed: upgrade it")
            }
        },
    });
}

/// Each is asked for something that cannot exist: the answer "no such thing" proves address, token and database.
pub(super) async fn services(config: &Config, sections: [Section<'_>; 3]) {
    let [first, second, third] = sections;
    let has_token = !config.rpc_token.expose_secret().is_empty();
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
    let mend = |what: &str, setting: &str| {
        let variable = setting.to_uppercase().replace('.', "__");
        format!("start `tidemark {what}`, or correct {setting} (TIDEMARK_{variable}) and rpc.token")
    };
    tokio::join!(
        async {
            let answer = timeout(PATIENCE, connection()).await;
            let mend = mend("credentials", "credentials.url");
            first.add(service("credential service", credentials, answer, mend, has_token));
        },
        async {
            let answer = timeout(PATIENCE, run()).await;
            second.add(service("sync service", worker, answer, mend("worker", "worker.url"), has_token));
        },
        async {
            let answer = timeout(PATIENCE, summary()).await;
            let mend = mend("aggregator", "aggregator.url");
            third.add(service("utilization service", aggregator, answer, mend, has_token));
        },
    );
}

fn service(
    subject: &'static str,
    url: &Url,
    answer: Result<anyhow::Result<Result<(), Status>>, tokio::time::error::Elapsed>,
    mend: String,
    has_token: bool,
) -> Finding {
    match answer {
        Err(_) => Finding::ill(subject, format!("{url}: {}", silent()), mend),
        Ok(Err(error)) => Finding::ill(subject, format!("{error:#}"), mend),
        Ok(Ok(Err(status))) if status::reason(&status).as_deref() == Some("UNAVAILABLE") => Finding::ill(
            subject,
            format!("{url}: it runs, but {}", status.message()),
            "mend what it waits for: it goes on by itself",
        ),
        // A role's token opens only what the role needs: the refusal shows that the service is there.
        Ok(Ok(Err(status)))
            if status.code() == Code::PermissionDenied
                || (!has_token && status.code() == Code::Unauthenticated) =>
        {
            Finding::well(subject, format!("{url} answers; the rpc.token of this process may ask no more"))
        }
        Ok(Ok(Err(status))) if status.code() != Code::NotFound => {
            Finding::ill(subject, format!("{url}: {}", status.message()), mend)
        }
        Ok(Ok(_)) => Finding::well(subject, format!("{url} answers")),
    }
}
