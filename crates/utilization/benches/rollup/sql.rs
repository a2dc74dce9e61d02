//! The statements: how the rows are made, and how the numbers come out by SQL alone. `NUMBERS` is the same text for both
//! databases. The roster never changes in it and each member has a row on every day, so that a window is so many rows:
//! less than the fold has to know.

use chrono::NaiveDate;

/// The first day.
pub(crate) const FIRST: &str = "2025-01-01";

/// Most members come on most days; the counters of an active day are small numbers.
pub(crate) fn member_days(connection: &str, seats: u128, from: u64, to: u64) -> String {
    let counter = |prime: u32| format!("case when h % 4 = 0 then null else (h / {prime}) % 5 end");
    let counters: Vec<_> =
        [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71].map(counter).to_vec();
    format!(
        "insert into member_days select '{connection}', lpad(to_hex(s), 32, '0')::uuid, date '{FIRST}' + d,
            'editor', h % 4 <> 0 and h % 3 = 0, {}
        from (select s, d, abs(hashint8(s::bigint * 100003 + d)::bigint) as h
            from generate_series(1, {seats}) s, generate_series({from}, {to}) d) rows",
        counters.join(", ")
    )
}

/// What is asked of both: facts with areas added up, as narrow as it gets.
pub(crate) fn facts(connection: &str, last: NaiveDate) -> String {
    let areas = [
        ("grid_board_created", "grid_board_opened"),
        ("timeline_board_created, column_board_created", "timeline_board_opened, column_board_opened"),
        (
            "insights_board_created, note_created, insight_created, note_state_changed",
            "insights_board_opened",
        ),
        ("document_board_created", "document_board_opened"),
        ("product_created, component_created, feature_created, subfeature_created", "null::bigint"),
    ];
    let sum = |columns: &str| {
        columns.split(", ").map(|column| format!("coalesce({column}, 0)")).collect::<Vec<_>>().join(" + ")
    };
    let columns: Vec<_> = areas
        .iter()
        .enumerate()
        .map(|(at, (created, opened))| {
            let (created, opened) = (sum(created), sum(opened));
            format!(
                "(({created}) > 0)::int as c{at}, (({opened}) > 0)::int as o{at}, ({created} + {opened})::int as a{at}"
            )
        })
        .collect();
    let any: Vec<_> =
        areas.iter().map(|(created, opened)| format!("{} + {}", sum(created), sum(opened))).collect();
    format!(
        "create table bench_facts as select member_id, day, (active_flag or ({}) > 0)::int as active, {}
            from member_days where connection_id = '{connection}' and day <= date '{last}';
        create table bench_roster as select member_id, role, role in ('admin', 'maker') as paid
            from member_versions where connection_id = '{connection}';
        create table bench_teams as select member_id, team_id from team_members
            where connection_id = '{connection}';
        analyze bench_facts; analyze bench_roster; analyze bench_teams;",
        any.join(" + "),
        columns.join(", ")
    )
}

/// Windows per member by running frames, then cuts.
pub(crate) const NUMBERS: &str = "{settings}
create table bench_rolled as
    select member_id, day, 1 as window_days, active, c0, o0, c1, o1, c2, o2, c3, o3, c4, o4, a0, a1, a2, a3, a4 from bench_facts
    union all select member_id, day, 7, sum(active) over w, sum(c0) over w, sum(o0) over w, sum(c1) over w, sum(o1) over w,
        sum(c2) over w, sum(o2) over w, sum(c3) over w, sum(o3) over w, sum(c4) over w, sum(o4) over w, sum(a0) over w,
        sum(a1) over w, sum(a2) over w, sum(a3) over w, sum(a4) over w from bench_facts
        window w as (partition by member_id order by day rows between 6 preceding and current row)
    union all select member_id, day, 28, sum(active) over w, sum(c0) over w, sum(o0) over w, sum(c1) over w, sum(o1) over w,
        sum(c2) over w, sum(o2) over w, sum(c3) over w, sum(o3) over w, sum(c4) over w, sum(o4) over w, sum(a0) over w,
        sum(a1) over w, sum(a2) over w, sum(a3) over w, sum(a4) over w from bench_facts
        window w as (partition by member_id order by day rows between 27 preceding and current row)
    union all select member_id, day, 90, sum(active) over w, sum(c0) over w, sum(o0) over w, sum(c1) over w, sum(o1) over w,
        sum(c2) over w, sum(o2) over w, sum(c3) over w, sum(o3) over w, sum(c4) over w, sum(o4) over w, sum(a0) over w,
        sum(a1) over w, sum(a2) over w, sum(a3) over w, sum(a4) over w from bench_facts
        window w as (partition by member_id order by day rows between 89 preceding and current row);
create table bench_numbers as
    with sums as (
        select 'all' as cut_kind, '' as cut_key, r.*, m.paid from bench_rolled r join bench_roster m using (member_id)
        union all select 'role', m.role, r.*, m.paid from bench_rolled r join bench_roster m using (member_id)
        union all select 'team', cast(t.team_id as varchar), r.*, m.paid from bench_rolled r
            join bench_roster m using (member_id) join bench_teams t using (member_id))
    select cut_kind, cut_key, window_days, day,
        count(*) filter (where paid) as assigned, count(*) filter (where paid and active > 0) as active_seats,
        count(*) filter (where active > 0) as active_members, sum(active) as member_days,
        count(*) filter (where paid and c0 + o0 > 0) as m0, count(*) filter (where paid and c0 > 0) as c0,
        count(*) filter (where paid and o0 > 0) as o0, sum(a0) filter (where paid) as a0,
        count(*) filter (where paid and c1 + o1 > 0) as m1, count(*) filter (where paid and c1 > 0) as c1,
        count(*) filter (where paid and o1 > 0) as o1, sum(a1) filter (where paid) as a1,
        count(*) filter (where paid and c2 + o2 > 0) as m2, count(*) filter (where paid and c2 > 0) as c2,
        count(*) filter (where paid and o2 > 0) as o2, sum(a2) filter (where paid) as a2,
        count(*) filter (where paid and c3 + o3 > 0) as m3, count(*) filter (where paid and c3 > 0) as c3,
        count(*) filter (where paid and o3 > 0) as o3, sum(a3) filter (where paid) as a3,
        count(*) filter (where paid and c4 + o4 > 0) as m4, count(*) filter (where paid and c4 > 0) as c4,
        count(*) filter (where paid and o4 > 0) as o4, sum(a4) filter (where paid) as a4
    from sums group by cut_kind, cut_key, window_days, day;
";

/// Sums over everything but cohorts, which the statements leave out.
pub(crate) fn checksum(table: &str, connection: Option<&str>) -> String {
    let columns = match connection {
        Some(_) => "sum(roadmaps_members), sum(insights_actions), sum(hierarchy_creators)",
        None => "sum(m1), sum(a2), sum(c4)",
    };
    let only = connection.map(|id| format!("and connection_id = '{id}'")).unwrap_or_default();
    format!(
        "select count(*), sum(assigned), sum(active_seats), sum(active_members), sum(member_days), {columns}
        from {table} where cut_kind <> 'cohort' {only}"
    )
}

/// Loads the files into a database of its own, and times the statements alone.
pub(crate) fn duckdb(folder: &str, numbers: &str) -> String {
    let checksum = checksum("bench_numbers", None);
    format!(
        r#"
import duckdb, time
db = duckdb.connect("{folder}bench.duckdb")
db.execute("set threads = 1")
db.execute("set enable_progress_bar = false")
for table in ["bench_facts", "bench_roster", "bench_teams"]:
    db.execute(f"create table {{table}} as select * from read_csv('{folder}{{table}}.csv', header = true)")
db.execute("checkpoint")
begun = time.time()
db.execute("""{}""")
took = time.time() - begun
print(took, "|".join(str(int(value)) for value in db.execute("""{checksum}""").fetchone()))
"#,
        numbers.replace("{settings}", "")
    )
}
