//! What is asked over the network beside the database: the broker and its queues, the leases, the services, the vendor.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all};
use secrecy::ExposeSecret as _;
use tidemark_bus_amqp::Sounder;
use tidemark_productboard::{Client, Error, MembersQuery, Options};
use tidemark_rpc::{
    connections::GetConnectionRequest, status, syncs::GetSyncRequest, utilization::GetSummaryRequest,
};
use tidemark_runtime::Config;
use tokio::time::timeout;
use tonic::{Code, Status};
use url::Url;

use super::{Finding, PATIENCE, Section, is_at_least, silent};
use crate::{
    cause::chain,
    wiring::{self, BusChoice, LeasesChoice},
};

/// Quorum queues with a delivery limit.
const OLDEST_BROKER: (u32, u32) = (3, 10);
const OLDEST_LEASES: (u32, u32) = (6, 2);
/// Before the check's own deadline, so that the client says what was missing.
const VENDOR: Duration = Duration::from_secs(5);

pub(super) async fn broker(config: &Config, section: Section<'_>) {
    const SUBJECT: &str = "message broker";
    let remedy =
        "start RabbitMQ, or correct bus.url (TIDEMARK_BUS__URL); until then messages wait in the outbox";
    let problem = |error: &str| Finding::of_server(SUBJECT, error, "RabbitMQ", "bus", remedy);
    let bus = match wiring::bus(config) {
        Err(error) => return section.add(problem(&format!("{error:#}"))),
        Ok(BusChoice::Inproc(_)) => return section.add(Finding::healthy(SUBJECT, "in this process")),
        Ok(BusChoice::Amqp(bus)) => bus,
    };
    match timeout(PATIENCE, bus.check()).await {
        Err(_) => section.add(problem(&silent())),
        Ok(Err(error)) => section.add(problem(&chain(&error))),
        Ok(Ok(info)) => {
            let version = info.version.unwrap_or_else(|| "of unknown version".to_owned());
            let shown = format!("RabbitMQ {version}");
            section.add(if is_at_least(&version, OLDEST_BROKER) {
                Finding::healthy(SUBJECT, shown)
            } else {
                Finding::problem(SUBJECT, shown, "RabbitMQ 3.10 or later is needed: upgrade it")
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
        Ok(None) => Finding::healthy(SUBJECT, "the broker takes them"),
        Ok(Some(why)) => Finding::problem(
            SUBJECT,
            format!("RabbitMQ runs, but takes none: it is {why}"),
            "make room on its disk or give it memory: it goes on without a restart, and messages wait in the outbox",
        ),
        Err(error) => {
            let remedy = "let the user of bus.url write to the default exchange";
            Finding::problem(SUBJECT, chain(&error), remedy)
        }
    }
}

/// The queues, who consumes them, and what died in them.
async fn topology(sounder: &Sounder) -> Finding {
    const SUBJECT: &str = "queues";
    let depths = match sounder.depths().await {
        Err(error) => {
            let remedy = "let the user of bus.url read and configure the queues of bus.prefix";
            return Finding::problem(SUBJECT, chain(&error), remedy);
        }
        Ok(depths) => depths,
    };
    let missing: Vec<_> = depths.iter().filter(|depth| !depth.exists).map(|depth| depth.queue).collect();
    if !missing.is_empty() {
        let detail = format!("not there yet: {}", missing.join(", "));
        return Finding::problem(
            SUBJECT,
            detail,
            "start a process of the services: each declares all of them",
        );
    }
    let dead: u64 = depths.iter().map(|depth| depth.dead).sum();
    if dead > 0 {
        let detail = format!("{dead} message(s) that no service could handle");
        let remedy = "`tidemark queue dead list` shows them with the reason; replay or drop them";
        return Finding::problem(SUBJECT, detail, remedy);
    }
    let idle: Vec<_> = depths.iter().filter(|depth| depth.consumers == 0).map(|depth| depth.queue).collect();
    if !idle.is_empty() {
        let detail = format!("nobody consumes {}", idle.join(", "));
        return Finding::problem(SUBJECT, detail, "start `tidemark worker` and `tidemark aggregator`");
    }
    let waiting: u64 = depths.iter().map(|depth| depth.messages).sum();
    Finding::healthy(SUBJECT, format!("{}, {waiting} message(s) wait, none died", depths.len()))
}

pub(super) async fn leases(config: &Config, section: Section<'_>) {
    const SUBJECT: &str = "lease service";
    let remedy = "start Redis, or correct leases.url (TIDEMARK_LEASES__URL); until then workers use the database's lease";
    let problem = |error: &str| Finding::of_server(SUBJECT, error, "Redis", "leases", remedy);
    section.add(match wiring::leases(config) {
        Err(error) => problem(&format!("{error:#}")),
        Ok(LeasesChoice::Inproc(_)) => Finding::healthy(SUBJECT, "in this process"),
        Ok(LeasesChoice::Redis(leases)) => match timeout(PATIENCE, leases.check()).await {
            Err(_) => problem(&silent()),
            Ok(Err(error)) => problem(&chain(&error)),
            Ok(Ok(version)) if is_at_least(&version, OLDEST_LEASES) => {
                Finding::healthy(SUBJECT, format!("Redis {version}, and it takes writes"))
            }
            Ok(Ok(version)) => Finding::problem(
                SUBJECT,
                format!("Redis {version}"),
                "Redis 6.2 or later is needed: upgrade it",
            ),
        },
    });
}

/// Any answer of the vendor's proves that it can be reached; without a token of its own, this one is refused.
pub(super) async fn vendor(config: &Config, section: Section<'_>) {
    const SUBJECT: &str = "Productboard";
    let hosts = [&config.productboard.us_url, &config.productboard.eu_url];
    let distinct = if hosts[0] == hosts[1] { &hosts[..1] } else { &hosts[..] };
    let section = &section;
    let asked = distinct.iter().map(|url| async move {
        let remedy = "let this machine reach it over HTTPS (firewall, proxy, DNS), or correct productboard.us_url and \
                      productboard.eu_url";
        section.within(SUBJECT, remedy, async { vec![reach(SUBJECT, url, remedy).await] }).await;
    });
    join_all(asked).await;
}

async fn reach(subject: &'static str, url: &Url, remedy: &str) -> Finding {
    let options = Options { max_attempts: 1, deadline: VENDOR, ..Options::default() }.trust(url);
    let host = url.host_str().unwrap_or_default();
    let asked = match Client::new(url, "doctor".into(), options) {
        Ok(client) => client.members(&MembersQuery::everyone(), None).next().await,
        Err(error) => Some(Err(error)),
    };
    match asked {
        Some(Err(error @ (Error::Unreachable { .. } | Error::Configuration(_)))) => {
            Finding::problem(subject, error.to_string(), remedy)
        }
        Some(Err(error @ Error::Transient { .. })) => {
            let remedy =
                "nothing here: syncs are tried again until it answers; status.productboard.com may say more";
            Finding::problem(subject, format!("{host}: {error}"), remedy)
        }
        _ => Finding::healthy(subject, format!("{host} answers")),
    }
}

/// Each is asked for something that cannot exist: the answer "no such thing" proves address, token and database.
pub(super) async fn services(config: &Config, sections: [Section<'_>; 3]) {
    let [first, second, third] = sections;
    let has_token = config.rpc_token.read().is_ok_and(|token| !token.expose_secret().is_empty());
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
    let remedy = |what: &str, setting: &str| {
        let variable = setting.to_uppercase().replace('.', "__");
        format!("start `tidemark {what}`, or correct {setting} (TIDEMARK_{variable}) and rpc.token")
    };
    tokio::join!(
        async {
            let answer = timeout(PATIENCE, connection()).await;
            let remedy = remedy("credentials", "credentials.url");
            first.add(service("credential service", credentials, answer, remedy, has_token));
        },
        async {
            let answer = timeout(PATIENCE, run()).await;
            second.add(service("sync service", worker, answer, remedy("worker", "worker.url"), has_token));
        },
        async {
            let answer = timeout(PATIENCE, summary()).await;
            let remedy = remedy("aggregator", "aggregator.url");
            third.add(service("utilization service", aggregator, answer, remedy, has_token));
        },
    );
}

fn service(
    subject: &'static str,
    url: &Url,
    answer: Result<anyhow::Result<Result<(), Status>>, tokio::time::error::Elapsed>,
    remedy: String,
    has_token: bool,
) -> Finding {
    match answer {
        Err(_) => Finding::problem(subject, format!("{url}: {}", silent()), remedy),
        Ok(Err(error)) => Finding::problem(subject, format!("{error:#}"), remedy),
        Ok(Ok(Err(status))) if status::reason(&status).as_deref() == Some("UNAVAILABLE") => Finding::problem(
            subject,
            format!("{url}: it runs, but {}", status.message()),
            "put right what it waits for: it then goes on without a restart",
        ),
        // A role's token opens only what the role needs: the refusal shows that the service is there.
        Ok(Ok(Err(status)))
            if status.code() == Code::PermissionDenied
                || (!has_token && status.code() == Code::Unauthenticated) =>
        {
            Finding::healthy(subject, format!("{url} answers; the rpc.token of this process may ask no more"))
        }
        Ok(Ok(Err(status))) if status.code() != Code::NotFound => {
            Finding::problem(subject, format!("{url}: {}", status.message()), remedy)
        }
        Ok(Ok(_)) => Finding::healthy(subject, format!("{url} answers")),
    }
}
