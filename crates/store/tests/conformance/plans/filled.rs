//! Tables with many rows of one connection, as a first sync leaves them.

use sea_orm::{ConnectionTrait as _, DatabaseConnection};

/// Which of the fixture's connections has few rows, and which has many.
pub(super) const SMALL: u64 = 1;
pub(super) const LARGE: u64 = 2;

/// Others, for what goes over all connections.
const OTHERS: u64 = 2_000;

/// Each fills one table; `{c}` is the connection, `{o}` its organization, `{n}` how many rows, `{k}` a number of its own.
const FILL: [&str; 17] = [
    "insert into connections (id, organization_id, region, anchors, state, generation, capabilities, created_at, updated_at)
        values ('{c}', '{o}', 'eu', '[]', 'connected', 1, '[]', {t}, {t})",
    "insert into resources (connection_id, stream, resource_id, kind, updated_at)
        select '{c}', stream, md5(i::text)::uuid, 'kind' || i % 3, {t} from generate_series(1, {n}) i,
            unnest(array['notes', 'entities']) stream order by 3",
    "insert into listed (connection_id, stream, resource_id)
        select '{c}', 'notes', md5(i::text)::uuid from generate_series(1, {n}) i where i % 10 > 0 order by 3",
    "insert into members select '{c}', md5(i::text)::uuid, 'Name ' || i, 'm' || i || '@example.com'
        from generate_series(1, {n}) i order by 2",
    "insert into member_versions select '{c}', md5(i::text)::uuid, date '2026-01-01' + d, 'maker', d = 1, false
        from generate_series(1, {n}) i, generate_series(0, 1) d order by 2, 3",
    "insert into teams select '{c}', md5('t' || i)::uuid, 'Team ' || i, 't' || i from generate_series(1, 50) i order by 2",
    "insert into team_members select '{c}', md5('t' || 1 + i % 50)::uuid, md5(i::text)::uuid
        from generate_series(1, {n}) i order by 2, 3",
    "insert into member_days (connection_id, member_id, day, role, active_flag, note_created)
        select '{c}', md5(i::text)::uuid, date '2026-01-01' + d, 'maker', true, 1
        from generate_series(1, {n}) i, generate_series(0, 1) d",
    "insert into seats (connection_id, member_id, role, disabled, pending, state, first_seen_day, active_days_7,
            active_days_28, active_days_90, areas_used)
        select '{c}', md5(i::text)::uuid, 'maker', false, false, 'dormant', '2026-01-01', 0, 0, 0, '[]'
        from generate_series(1, {n}) i order by 2",
    "insert into recommendations select '{c}', md5(i::text)::uuid, 'certain', 'reassign'
        from generate_series(1, {n}) i order by 2",
    "insert into acceptances select '{c}', md5(i::text)::uuid, 'reassign', 'somebody', {t}
        from generate_series(1, {n}) i order by 2",
    "insert into exemptions select '{c}', md5(i::text)::uuid, 'away', '2026-09-09', {t}
        from generate_series(1, {n}) i order by 2",
    "insert into alerts select '{c}', 'seat_idle', md5(i::text), {t}, null, md5(i::text)::uuid
        from generate_series(1, {n}) i order by 3",
    "insert into outbox (message_id, ordering_key, kind, name, body, created_at, sent_at)
        select 'm' || i, 'key_{k}_' || i % (1 + {n} / 10), 'event', 'x', 'x', {t}, case when i % 2 = 0 then {t} end
        from generate_series(1, {n}) i",
    "insert into inbox select 'somebody', 'm{k}x' || i, {t} from generate_series(1, {n}) i",
    "insert into feed (event_id, organization_id, connection_id, kind, body, created_at)
        select 'evt_' || lpad({k} || '0000000' || i, 26, '0'), '{o}', '{c}', 'x', 'x', {t} from generate_series(1, {n}) i",
    "insert into runs (id, connection_id, state, attempts, created_at, finished_at, updated_at)
        select 'run_' || lpad({k} || '0000000' || i, 26, '0'), '{c}', 'succeeded', 0, {t}, {t}, {t} from generate_series(1, {n} / 10) i",
];

const OTHER: [&str; 3] = [
    "insert into connections (id, organization_id, region, anchors, state, generation, capabilities, created_at, updated_at)
        select 'conn_' || lpad(i::text, 26, '0'), 'org_' || lpad((i % 300)::text, 26, '0'), 'eu', '[]', 'connected', 1, '[]', {t}, {t} from generate_series(1, {n}) i",
    "insert into runs (id, connection_id, state, attempts, ready_at, wake_at, created_at, updated_at)
        select 'run_' || lpad(i::text, 26, '0'), 'conn_' || lpad(i::text, 26, '0'), 'queued', 0, {t}, {t}, {t}, {t} from generate_series(1, {n}) i",
    "insert into rollup_heads (connection_id, as_of, history_start, definition_version, run_id, members, computed_at)
        select 'conn_' || lpad(i::text, 26, '0'), '2026-01-01', '2026-01-01', 1, 'run_' || lpad(i::text, 26, '0'), 1, {t} from generate_series(1, {n}) i",
];

pub(super) async fn fill(db: &DatabaseConnection, seed: u64, rows: u64) {
    let others: &[&str] = if seed == LARGE { &OTHER } else { &[] };
    for (sql, count) in FILL.iter().map(|sql| (sql, rows)).chain(others.iter().map(|sql| (sql, OTHERS))) {
        let time = format!("timestamptz '{}'", crate::fixture::now().to_rfc3339());
        let sql = sql
            .replace("{c}", crate::fixture::connection_id(seed).as_str())
            .replace("{o}", crate::fixture::organization_id(seed).as_str())
            .replace("{k}", &seed.to_string())
            .replace("{t}", &time)
            .replace("{n}", &count.to_string());
        db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }
}
