//! The statements: how the rows are made, and how the numbers come out by SQL alone, by the same text for both databases.
//! The roster never changes in it and each member has a row on every day, so that a window is so many rows: less than the
//! fold has to know.

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
        create table bench_cuts as
            with roster as (select member_id, role, role in ('admin', 'maker') as paid
                from member_versions where connection_id = '{connection}')
            select member_id, paid, 'all' as cut_kind, '' as cut_key from roster
            union all select member_id, paid, 'role', role from roster
            union all select member_id, paid, 'team', team_id::text from roster join team_members using (member_id)
                where connection_id = '{connection}';
        analyze bench_facts; analyze bench_cuts;",
        any.join(" + "),
        columns.join(", ")
    )
}

/// The numbers of an area and, before them, of the seats.
const AREA: [&str; 3] = ["c", "o", "a"];

/// Windows per member by running frames, then cuts.
pub(crate) fn numbers() -> String {
    let sums = |days: u32| {
        let each = (0..5).flat_map(|area| AREA.map(|number| format!("sum({number}{area}) over w")));
        format!(
            "select member_id, day, {days}, sum(active) over w, {} from bench_facts
            window w as (partition by member_id order by day rows between {} preceding and current row)",
            each.collect::<Vec<_>>().join(", "),
            days - 1
        )
    };
    let columns = (0..5).flat_map(|area| AREA.map(|number| format!("{number}{area}")));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let areas = (0..5).map(|area| {
        format!(
            "count(*) filter (where paid and c{area} + o{area} > 0), count(*) filter (where paid and c{area} > 0),
            count(*) filter (where paid and o{area} > 0), sum(a{area}) filter (where paid)"
        )
    });
    format!(
        "create table bench_numbers (cut_kind text, cut_key text, window_days bigint, day date, {});
        insert into bench_numbers
        with rolled (member_id, day, window_days, active, {columns}) as (
            select member_id, day, 1, active, {columns} from bench_facts union all {} union all {} union all {})
        select cut_kind, cut_key, window_days, day, count(*) filter (where paid),
            count(*) filter (where paid and active > 0), count(*) filter (where active > 0), sum(active), {}
        from rolled join bench_cuts using (member_id) group by cut_kind, cut_key, window_days, day;",
        NUMBERS.map(|name| format!("{name} bigint")).join(", "),
        sums(7),
        sums(28),
        sums(90),
        areas.collect::<Vec<_>>().join(", ")
    )
}

/// The columns that are compared, as the rollup's table calls them.
pub(crate) const NUMBERS: [&str; 24] = [
    "assigned",
    "active_seats",
    "active_members",
    "member_days",
    "prioritization_members",
    "prioritization_creators",
    "prioritization_openers",
    "prioritization_actions",
    "roadmaps_members",
    "roadmaps_creators",
    "roadmaps_openers",
    "roadmaps_actions",
    "insights_members",
    "insights_creators",
    "insights_openers",
    "insights_actions",
    "documents_members",
    "documents_creators",
    "documents_openers",
    "documents_actions",
    "hierarchy_members",
    "hierarchy_creators",
    "hierarchy_openers",
    "hierarchy_actions",
];

/// Sums over all rows but those of cohorts, which the statements leave out: of each number, and of each number weighted
/// by its window and day, so that no two rows can be swapped.
pub(crate) fn checksum(table: &str, condition: &str) -> String {
    let weighted = "window_days * (day - date '2024-12-31')";
    let sums = NUMBERS.map(|name| format!("sum({name}), sum({name} * {weighted})"));
    format!("select count(*), {} from {table} where cut_kind <> 'cohort' {condition}", sums.join(", "))
}
