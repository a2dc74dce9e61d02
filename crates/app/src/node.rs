//! A process: the services of its roles, their server, the relay, and the end of it all.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, anyhow, bail};
use secrecy::ExposeSecret;
use tidemark_console::Services;
use tidemark_credentials::{
    Application, ClientAuthentication, CredentialService, InvitationSettings, Mailer, Renewals, ReturnUrls,
    Settings as CredentialSettings, SubscriptionService, SubscriptionSettings, Vault,
    audit::{Audit, AuditKey},
};
use tidemark_domain::{Clock, Entropy};
use tidemark_ports::{Bus, Leases, RateLimits};
use tidemark_rpc::{
    client::Caller,
    guard::Guard,
    limit::{Limits, Rate},
    server::{Listen, Server},
};
use tidemark_runtime::{Config, OsEntropy, Shutdown, SystemClock, server::Value, tasks::supervise};
use tidemark_store::Store;
use tidemark_sync::{Ports, Settings as SyncSettings, SyncService};
use tidemark_utilization::UtilizationService;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    cause::explain_database,
    console,
    directory::StoreDirectory,
    health::{self, Checks},
    housekeeping, relay,
    roles::Roles,
    wiring,
};

const SHORTEST_TOKEN: usize = 16;

/// What a process stands on.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) store: Store,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) rate_limits: Arc<dyn RateLimits>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Ground {
    /// Connects the store and chooses the adapters; broker and leases are connected when first used.
    pub(crate) async fn connect(config: &Config) -> Result<Self> {
        let store = connect(config).await?;
        let bus = wiring::bus(config)?.port();
        let leases = wiring::leases(config)?.port();
        let rate_limits = wiring::rate_limits(config)?;
        Ok(Self {
            store,
            bus,
            leases,
            rate_limits,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        })
    }
}

/// Opens the database; an error says why it cannot be used and what to do.
pub(crate) async fn connect(config: &Config) -> Result<Store> {
    let opened = Store::connect(&config.database).await;
    opened.map_err(|error| {
        anyhow!(explain_database(&config.database, &error)).context("the database cannot be used")
    })
}

/// Runs the services of a process until a signal; the exit code says whether one crashed.
pub(crate) async fn run(config: Config, roles: Roles) -> Result<ExitCode> {
    check_token(&config.rpc_token, roles.worker)?;
    let shutdown = Shutdown::on_signals(config.lame_duck)?;
    let ground = Ground::connect(&config).await?;
    let checked = ground.store.check().await;
    let checked = checked.map_err(|error| anyhow!(explain_database(&config.database, &error)));
    let pending = checked.context("the database cannot be used")?.pending_migrations;
    if !pending.is_empty() {
        bail!("the database lacks {} migration(s); run `tidemark migrate` first", pending.len());
    }
    let address = roles.listen(&config);
    check_privacy(&config, address)?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let caller = wiring::caller(&config)?;
    tracing::info!(%address, ?roles, "serving gRPC");
    let mut tasks = start(&config, roles, &ground, Listen::Tcp(listener), caller, &shutdown).await?;
    if let Some(health) = health::open_port(&config, &shutdown, &mut tasks).await? {
        let (store, clock) = (ground.store.clone(), Arc::clone(&ground.clock));
        let (checks, stop) = (Checks::new(&config, store, clock, roles, health)?, shutdown.clone());
        tasks.spawn(async move {
            Box::pin(checks.run(stop)).await;
            Ok(())
        });
    }
    if roles.console && config.console.public_url.is_some() {
        let services = Services::one(console::together(&config)?);
        console::start(&config, services, &shutdown, &mut tasks).await?;
    }
    finish(tasks, &shutdown).await
}

/// Tokens and keys pass through the server.
pub(crate) fn check_privacy(config: &Config, address: SocketAddr) -> Result<()> {
    let rpc = &config.rpc;
    if rpc.tls.server.is_some() || rpc.plaintext || address.ip().is_loopback() {
        return Ok(());
    }
    bail!(
        "{address} can be reached from other machines, and there is no TLS: set rpc.tls.certificate_file and \
         rpc.tls.key_file, or, in a network that nobody can listen in on, rpc.plaintext = true"
    );
}

/// A process that calls no other one needs none.
pub(crate) fn check_token(setting: &Value, is_needed: bool) -> Result<()> {
    let setting = setting.read().context("the setting rpc.token cannot be used")?;
    let token = setting.expose_secret();
    if token.is_empty() && !is_needed {
        return Ok(());
    }
    let mut values = token.split(',');
    if values.any(|value| value.trim().len() < SHORTEST_TOKEN) {
        bail!(
            "the setting rpc.token needs at least {SHORTEST_TOKEN} characters: it is what internal services show each \
             other; set it in the file, as TIDEMARK_RPC__TOKEN or TIDEMARK_RPC__TOKEN_FILE; two values have a comma between"
        );
    }
    Ok(())
}

/// Starts the services of the roles.
pub(crate) async fn start(
    config: &Config,
    roles: Roles,
    ground: &Ground,
    listen: Listen,
    caller: Caller,
    shutdown: &Shutdown,
) -> Result<JoinSet<Result<()>>> {
    let Ground { store, bus, leases, rate_limits, clock, entropy } = ground.clone();
    let key = AuditKey::parse(&config.audit_key).context("the setting audit.key cannot be used")?;
    let (audit, written) = Audit::start(store.clone(), key, Arc::clone(&clock));
    let mut server = Server::new(guard(config, &store, &audit, &clock)?)
        .reflection(config.rpc.reflection)
        .tls(wiring::server_tls(config)?);
    let mut tasks = JoinSet::new();
    let mut renewals = Renewals::default();
    if roles.credentials {
        let vault = Vault::from_keys(&config.credentials.keys, Arc::clone(&entropy))
            .context("the setting credentials.keys cannot be used")?;
        let service = CredentialService::new(
            store.clone(),
            vault,
            audit,
            Arc::clone(&leases),
            credential_settings(config),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        renewals = service.renewals();
        server = server.with(service.connections_server()).with(service.credentials_server());
        let invitations = service.invitations(invitation_settings(config)?);
        server = server
            .with(invitations.invitations_server())
            .with(invitations.connect_links_server())
            .with(invitations.console_server());
        let stop = shutdown.clone();
        tasks.spawn(async move {
            invitations.run(stop).await;
            Ok(())
        });
        let stop = shutdown.clone();
        let detector = service.clone();
        tasks.spawn(async move {
            detector.run(stop).await;
            Ok(())
        });
        let events = &config.events;
        let settings = SubscriptionSettings::new(events.trusted_webhook_hosts.clone());
        let subscriptions = SubscriptionService::new(&service, settings, shutdown.clone());
        server = server.with(subscriptions.events_server()).with(subscriptions.webhooks_server());
        tasks.spawn(async move {
            subscriptions.run().await;
            Ok(())
        });
    }
    if roles.worker {
        let settings = SyncSettings {
            concurrency: config.worker.concurrency,
            delivery_budget: config.worker.delivery_budget,
            lease_ttl: config.leases.ttl,
            sweep: config.worker.sweep,
            sync_every: Some(config.worker.sync_every).filter(|every| !every.is_zero()),
            history_days: config.worker.history_days,
            trailing_days: config.worker.trailing_days,
            full_sweep_days: config.worker.full_sweep_days,
            requests_per_second: config.productboard.requests_per_second,
        };
        let service = SyncService::new(
            store.clone(),
            caller,
            Ports { bus: Arc::clone(&bus), leases, rate_limits },
            settings,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        server = server.with(service.server());
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            service.run(shutdown).await;
            Ok(())
        });
    }
    if roles.aggregator {
        let service = UtilizationService::new(
            store.clone(),
            Arc::clone(&bus),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        server = server.with(service.server());
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            service.run(shutdown).await;
            Ok(())
        });
    }
    let stop = shutdown.soft().clone();
    tasks.spawn(async move {
        let served = server.serve(listen, stop).await;
        // What the vendor has granted by now is stored first; the hard stop cuts this short.
        renewals.finished().await;
        // With the server, the last way into the audit log is gone.
        written.drained().await;
        Ok(served?)
    });
    // Only the credential service may delete from every table.
    if roles.credentials {
        let (swept, keep) = (store.clone(), housekeeping::retention(config));
        let (times, until) = (Arc::clone(&clock), shutdown.clone());
        tasks.spawn(async move {
            let run = || housekeeping::run(swept.clone(), keep, Arc::clone(&times), until.clone());
            supervise("housekeeping", &until, run).await;
            Ok(())
        });
    }
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        let run = || relay::run(store.clone(), Arc::clone(&bus), Arc::clone(&clock), shutdown.clone());
        supervise("relay", &shutdown, run).await;
        Ok(())
    });
    Ok(tasks)
}

fn credential_settings(config: &Config) -> CredentialSettings {
    let oauth = config.oauth.clone().map(|oauth| Application {
        client_id: oauth.client_id,
        client_secret: oauth.client_secret,
        authentication: match oauth.authentication {
            tidemark_runtime::config::ClientAuthentication::Post => ClientAuthentication::Post,
            tidemark_runtime::config::ClientAuthentication::Basic => ClientAuthentication::Basic,
        },
        redirect_url: oauth.redirect_url,
        us_host: oauth.us_host,
        eu_host: oauth.eu_host,
        scopes: oauth.scopes,
        assertion_key: oauth.assertion_key,
    });
    CredentialSettings {
        us_url: config.productboard.us_url.clone(),
        eu_url: config.productboard.eu_url.clone(),
        requests_per_second: config.productboard.requests_per_second,
        probe_interval: config.credentials.probe_interval,
        oauth,
    }
}

pub(crate) fn invitation_settings(config: &Config) -> Result<InvitationSettings> {
    let mail = &config.mail;
    let mailer =
        mail.smtp_url.as_ref().map(|url| Mailer::new(url, &mail.from, &mail.reply_to)).transpose()?;
    if mailer.is_none() {
        tracing::info!("no mail server is configured (mail.smtp_url): invitations are links to copy");
    }
    Ok(InvitationSettings {
        console_url: config.console.public_url.clone(),
        return_urls: ReturnUrls::new(config.console.return_urls.clone()),
        per_day: config.invitations.per_day,
        mailer,
    })
}

/// Knows the callers, and holds them to their limits.
fn guard(config: &Config, store: &Store, audit: &Audit, clock: &Arc<dyn Clock>) -> Result<Guard> {
    let rpc = &config.rpc;
    let calls = Rate { per_second: rpc.calls_per_second, burst: rpc.calls_burst };
    let releases = Rate { per_second: rpc.releases_per_second, burst: rpc.releases_burst };
    let limits = Limits::new(rpc.calls_at_once, calls, releases);
    let directory = StoreDirectory::new(store.clone(), audit.clone(), Arc::clone(clock));
    Ok(Guard::with(wiring::internal_token(&config.rpc_token)?, Arc::new(directory), limits))
}

/// Waits for the end. A task that ends by itself ends the process, with a failure.
pub(crate) async fn finish(mut tasks: JoinSet<Result<()>>, shutdown: &Shutdown) -> Result<ExitCode> {
    let mut crashed = None;
    loop {
        let ended = tokio::select! {
            ended = tasks.join_next() => ended,
            () = shutdown.hard().cancelled() => break,
        };
        let Some(ended) = ended else { break };
        let asked = shutdown.soft().is_cancelled();
        shutdown.stop();
        match ended {
            Ok(Ok(())) if asked => {}
            Ok(Ok(())) => crashed = crashed.or(Some(anyhow!("a service ended although it was not asked to"))),
            Ok(Err(error)) => crashed = crashed.or(Some(error)),
            Err(panic) => crashed = crashed.or(Some(anyhow::Error::new(panic).context("a service crashed"))),
        }
    }
    crashed.map_or(Ok(ExitCode::SUCCESS), Err)
}
