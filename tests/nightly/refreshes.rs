//! Renewals by four processes that are killed at the worst moment, while Redis comes and goes. It takes its time: what a
//! killed process had begun is taken up when clocks that differ could not matter any more, after four and a half minutes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use tidemark_domain::id::{ConnectionId, OrganizationId};
use tidemark_productboard_sim::{RefreshUse, Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    connections::{ConnectionState, GetConnectionRequest},
    credentials::GetAccessTokenRequest,
    status::{RECONNECT_REQUIRED, reason},
};
use tidemark_runtime::{OsEntropy, SystemClock};
use tidemark_testkit::{Proxy, reserve_port};
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    cluster::{Cluster, SERVICE_TOKEN, Wiring, caller_at, redis_url, today},
    vendor,
};

/// Two seconds longer than a token that may be handed out has to live: every connection is renewed all the time.
const LIFE: Duration = Duration::from_secs(242);
const REPLICAS: usize = 4;
const CONNECTIONS: usize = 500;
const CALLERS: usize = 64;
/// Longer than a killed process is waited for.
const PATIENCE: Duration = Duration::from_secs(360);
/// So many renewals are to be in doubt.
const DOUBTS: u64 = 10;
const MOST_KILLS: usize = 10;

struct Scene {
    cluster: Cluster,
    ports: Vec<u16>,
    ids: Vec<ConnectionId>,
}

impl Scene {
    async fn set(redis: &Proxy) -> Self {
        let leases = redis.url(&redis_url());
        let settings = [vendor::SETTINGS.as_slice(), &[("LEASES__URL", &leases)]].concat();
        let mut cluster = Cluster::start(Wiring::Real, &settings).await;
        cluster
            .simulator
            .add(Workspace::generate(&WorkspaceSpec::new("acme", 5, today()).days(5)), "cAnArY-unused");
        vendor::register(&cluster.simulator);
        cluster.simulator.app_faults(vendor::CLIENT, |faults| faults.access_life = LIFE);
        let ports: Vec<_> = (0..REPLICAS).map(|_| reserve_port()).collect();
        start(&mut cluster, &ports).await;
        let organization = OrganizationId::generate(&SystemClock, &OsEntropy).to_string();
        let caller = caller_at(ports[0], SERVICE_TOKEN);
        let consents = (0..CONNECTIONS).map(|_| async {
            let (made, _) = vendor::consented(&caller, &cluster.simulator, "acme", (&organization, "")).await;
            made.id.parse().unwrap()
        });
        let ids = stream::iter(consents).buffer_unordered(8).collect().await;
        Self { cluster, ports, ids }
    }

    /// SIGKILL for all of them, as soon as one more refresh token is spent; then they start again.
    async fn kill_in_the_middle(&mut self, meanwhile: impl FnOnce(&Cluster)) {
        let spent = |cluster: &Cluster| -> u64 { uses(cluster).iter().map(|token| token.uses).sum() };
        let before = spent(&self.cluster);
        let deadline = Instant::now() + Duration::from_secs(60);
        while spent(&self.cluster) == before {
            assert!(Instant::now() < deadline, "nothing is renewed any more");
            tokio::task::yield_now().await;
        }
        (0..REPLICAS).for_each(|number| self.cluster.kill(&name(number)));
        meanwhile(&self.cluster);
        start(&mut self.cluster, &self.ports).await;
    }

    fn callers(&self) -> Vec<Caller> {
        self.ports.iter().map(|port| caller_at(*port, SERVICE_TOKEN)).collect()
    }

    async fn reconnects(&self, id: &ConnectionId) -> usize {
        let sent = self.cluster.store.outgoing_of(id).await.unwrap();
        sent.iter().filter(|sent| sent.name == "connection.reconnect_required").count()
    }
}

fn name(number: usize) -> String {
    format!("credentials-{number}")
}

async fn start(cluster: &mut Cluster, ports: &[u16]) {
    for (number, port) in ports.iter().enumerate() {
        let listen = [("CREDENTIALS__LISTEN", format!("127.0.0.1:{port}"))];
        cluster.spawn_as(&name(number), "credentials", &listen);
    }
    for port in ports {
        cluster.listens(*port).await;
    }
}

fn uses(cluster: &Cluster) -> Vec<RefreshUse> {
    cluster.simulator.refresh_uses(vendor::CLIENT)
}

/// Calls all the time, at every replica; counts who was told to reconnect.
fn hammer(scene: &Scene, stop: &CancellationToken, told: &Arc<AtomicU64>) -> TaskTracker {
    let tasks = TaskTracker::new();
    for number in 0..CALLERS {
        let (callers, ids, stop, told) = (scene.callers(), scene.ids.clone(), stop.clone(), Arc::clone(told));
        tasks.spawn(async move {
            let mut next = number;
            while stop.run_until_cancelled(sleep(Duration::from_millis(30))).await.is_some() {
                let (caller, id) = (&callers[next % REPLICAS], &ids[next % ids.len()]);
                next += 7;
                let request = GetAccessTokenRequest { connection_id: id.to_string(), capability: 0 };
                if let Err(status) = caller.credentials().get_access_token(request).await
                    && reason(&status).as_deref() == Some(RECONNECT_REQUIRED)
                {
                    told.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    tasks.close();
    tasks
}

/// Away half of the time.
fn flicker(redis: Arc<Proxy>, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while stop.run_until_cancelled(sleep(Duration::from_millis(700))).await.is_some() {
            redis.cut().await;
            sleep(Duration::from_millis(700)).await;
            redis.mend();
        }
    })
}

/// Asks until the connection has a token, or needs a reconnect. Whether it has one.
async fn settled(scene: &Scene, at: usize, id: &ConnectionId) -> bool {
    let (caller, mut last) = (caller_at(scene.ports[at], SERVICE_TOKEN), None);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let request = GetAccessTokenRequest { connection_id: id.to_string(), capability: 0 };
        match caller.credentials().get_access_token(request).await {
            Ok(_) => return true,
            Err(status) if reason(&status).as_deref() == Some(RECONNECT_REQUIRED) => return false,
            Err(status) => last = Some(status),
        }
        sleep(Duration::from_millis(50)).await;
    }
    let versions = scene.cluster.store.credentials_of(id).await;
    panic!("{id} is not settled: {last:?} {versions:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_no_grant_is_lost_and_what_stays_in_doubt_ends_once() {
    let redis = Arc::new(Proxy::start(&redis_url()).await);
    let mut scene = Scene::set(&redis).await;
    let (stop, told) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let calling = hammer(&scene, &stop, &told);
    let flickering = flicker(Arc::clone(&redis), stop.clone());

    let in_grace = |cluster: &Cluster| -> u64 { uses(cluster).iter().map(|token| token.in_grace).sum() };
    let mut kills = 0;
    while in_grace(&scene.cluster) < DOUBTS {
        assert!(kills < MOST_KILLS, "no kill fell between a renewal and its end");
        scene.kill_in_the_middle(|_| ()).await;
        kills += 1;
        // Whoever was killed is asked for again before the next kill.
        for id in &scene.ids {
            assert!(settled(&scene, 0, id).await, "{id} was lost");
        }
    }
    let ledger = uses(&scene.cluster);
    let again: u64 = ledger.iter().map(|token| token.uses.saturating_sub(1)).sum();
    assert_eq!(
        again,
        ledger.iter().map(|token| token.in_grace).sum::<u64>(),
        "used again within the grace only"
    );
    assert_eq!(ledger.iter().map(|token| token.reuse_detected).sum::<u64>(), 0);
    assert_eq!(told.load(Ordering::Relaxed), 0, "nobody was told to reconnect");
    for id in &scene.ids {
        assert_eq!(scene.cluster.connection(id).await.state(), ConnectionState::Connected);
        assert_eq!(scene.reconnects(id).await, 0);
    }
    let renewals: u64 = ledger.iter().map(|token| token.uses).sum();
    println!(
        "{} connections, {kills} times {REPLICAS} processes killed: {renewals} renewals, {again} of them a second time",
        scene.ids.len()
    );
    ended_once(&mut scene).await;

    stop.cancel();
    calling.wait().await;
    flickering.await.unwrap();
    scene.cluster.stop().await;
}

/// The vendor's grace is over before the killed come back: what they had spent and not written down is lost, and told once.
async fn ended_once(scene: &mut Scene) {
    let reused = |cluster: &Cluster| uses(cluster).iter().filter(|token| token.reuse_detected > 0).count();
    let mut kills = 0;
    while reused(&scene.cluster) == 0 {
        assert!(kills < MOST_KILLS, "no kill fell between a renewal and its end");
        scene.kill_in_the_middle(|cluster| cluster.simulator.advance(Duration::from_secs(61 * 60))).await;
        kills += 1;
        for id in &scene.ids {
            settled(scene, 1, id).await;
        }
    }
    let mut ended = 0;
    for id in &scene.ids {
        let request = GetConnectionRequest { connection_id: id.to_string() };
        let caller = &scene.callers()[2];
        let found =
            caller.connections().get_connection(request).await.unwrap().into_inner().connection.unwrap();
        let episodes = scene.cluster.store.episodes(id).await.unwrap().len();
        let is_over = found.state() == ConnectionState::ReconnectRequired;
        ended += usize::from(is_over);
        assert_eq!(
            (scene.reconnects(id).await, episodes),
            (usize::from(is_over), usize::from(is_over)),
            "{id}"
        );
        if is_over {
            assert_eq!(found.reason.unwrap().code, "refresh_in_doubt");
        }
    }
    // The version before may have been tried, too.
    assert!((1..=reused(&scene.cluster)).contains(&ended), "nobody else ended");
    println!("killed {kills} times past the grace: {ended} in doubt, each told once");
}
