-- The views say of every row what it stands on, and every column what it means. New columns come after those that were
-- there: PostgreSQL keeps what was granted on a view. SQLite can only make one anew.

{sqlite} drop view utilization_recommendations_v1;
{sqlite} drop view utilization_seats_v1;
{sqlite} drop view utilization_areas_v1;

create {or_replace} view utilization_areas_v1 as
    select a.*, cast(a.members as double precision) / nullif(a.active_seats, 0) as adoption, h.definition_version
    from (
        select connection_id, day, window_days, cut_kind, cut_key, covered_days, active_seats, 'prioritization' as area,
            prioritization_members as members, prioritization_creators as creators, prioritization_openers as openers,
            prioritization_actions as actions from rollup_numbers
        union all
        select connection_id, day, window_days, cut_kind, cut_key, covered_days, active_seats, 'roadmaps',
            roadmaps_members, roadmaps_creators, roadmaps_openers, roadmaps_actions from rollup_numbers
        union all
        select connection_id, day, window_days, cut_kind, cut_key, covered_days, active_seats, 'insights',
            insights_members, insights_creators, insights_openers, insights_actions from rollup_numbers
        union all
        select connection_id, day, window_days, cut_kind, cut_key, covered_days, active_seats, 'documents',
            documents_members, documents_creators, documents_openers, documents_actions from rollup_numbers
        union all
        select connection_id, day, window_days, cut_kind, cut_key, covered_days, active_seats, 'hierarchy',
            hierarchy_members, hierarchy_creators, hierarchy_openers, hierarchy_actions from rollup_numbers
    ) a
    join rollup_heads h on h.connection_id = a.connection_id;

-- Where every row carries the workspace's totals, features are not told per seat.
create {or_replace} view utilization_seats_v1 as
    select s.connection_id, h.as_of, h.history_start, h.definition_version, s.member_id, m.name, m.email, s.role,
        s.disabled, s.pending, s.state, s.first_seen_day, s.last_active_day, s.pending_since,
        s.active_days_7, s.active_days_28, s.active_days_90,
        case when h.tells then s.areas_7 end as areas_7, case when h.tells then s.areas_28 end as areas_28,
        case when h.tells then s.areas_90 end as areas_90, case when h.tells then s.actions_7 end as actions_7,
        case when h.tells then s.actions_28 end as actions_28, case when h.tells then s.actions_90 end as actions_90,
        case when h.tells then s.views_7 end as views_7, case when h.tells then s.views_28 end as views_28,
        case when h.tells then s.views_90 end as views_90,
        case when h.tells then s.maker_actions_90 end as maker_actions_90,
        case when h.tells then s.notes_90 end as notes_90, case when h.tells then s.areas_used end as areas_used,
        x.reason as exempt_reason, x.until_day as exempt_until, r.tier, r.action,
        w.covered_days as covered_days_28, n.covered_days as covered_days_90
    from seats s
    join (
        select connection_id, as_of, history_start, definition_version, flags not like '%repeated_totals%' as tells
        from rollup_heads
    ) h on h.connection_id = s.connection_id
    left join members m on m.connection_id = s.connection_id and m.member_id = s.member_id
    left join exemptions x on x.connection_id = s.connection_id and x.member_id = s.member_id
        and x.ended_at is null and x.until_day > h.as_of
    left join recommendations r on r.connection_id = s.connection_id and r.member_id = s.member_id
    left join rollup_numbers w on w.connection_id = s.connection_id and w.cut_kind = 'all' and w.cut_key = ''
        and w.window_days = 28 and w.day = h.as_of
    left join rollup_numbers n on n.connection_id = s.connection_id and n.cut_kind = 'all' and n.cut_key = ''
        and n.window_days = 90 and n.day = h.as_of;

create {or_replace} view utilization_recommendations_v1 as
    select s.connection_id, s.as_of, s.definition_version, s.member_id, s.name, s.email, s.tier, s.action, s.role,
        s.state, s.first_seen_day, s.last_active_day, s.active_days_28, s.active_days_90, s.areas_used,
        s.covered_days_90
    from utilization_seats_v1 s where s.tier is not null;

comment on column utilization_areas_v1.connection_id is 'The connection: one Productboard workspace.';
comment on column utilization_areas_v1.day is 'The last day of the window, as the vendor dates its rows.';
comment on column utilization_areas_v1.window_days is 'Length of the window: 1, 7, 28 or 90 days.';
comment on column utilization_areas_v1.cut_kind is 'all, team, role or cohort. Team cuts overlap: do not add them up.';
comment on column utilization_areas_v1.cut_key is 'Empty for all; a team id, a role, or the month of the first seen day.';
comment on column utilization_areas_v1.covered_days is 'Days of the window that are known. Below window_days the numbers are a lower bound.';
comment on column utilization_areas_v1.active_seats is 'Paid seats with an active day in the window: the whole of adoption.';
comment on column utilization_areas_v1.area is 'prioritization, roadmaps, insights, documents or hierarchy.';
comment on column utilization_areas_v1.adoption is 'members / active_seats.';
comment on column utilization_areas_v1.definition_version is 'By which definitions the numbers were made.';
comment on column utilization_seats_v1.connection_id is 'The connection: one Productboard workspace.';
comment on column utilization_seats_v1.definition_version is 'By which definitions the row was made.';
comment on column utilization_seats_v1.member_id is 'The member.';
comment on column utilization_seats_v1.name is 'As the vendor shows it; may be absent or [redacted].';
comment on column utilization_seats_v1.email is 'As the vendor shows it; may be absent or [redacted].';
comment on column utilization_seats_v1.role is 'admin and maker are paid; contributor and viewer are free; others as the vendor calls them.';
comment on column utilization_seats_v1.disabled is 'Whether the member is disabled.';
comment on column utilization_seats_v1.pending is 'Whether the invitation waits.';
comment on column utilization_seats_v1.last_active_day is 'The last day with activity up to as_of; null where there was none since history_start.';
comment on column utilization_seats_v1.pending_since is 'Since when the invitation is known to wait.';
comment on column utilization_seats_v1.active_days_7 is 'Days with activity in the 7 days up to as_of.';
comment on column utilization_seats_v1.active_days_90 is 'Days with activity in the 90 days up to as_of.';
comment on column utilization_seats_v1.areas_7 is 'Feature areas used in 7 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.areas_28 is 'Feature areas used in 28 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.actions_7 is 'Actions in 7 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.actions_28 is 'Actions in 28 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.views_7 is 'Boards opened in 7 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.views_28 is 'Boards opened in 28 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.notes_90 is 'Notes created in 90 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.areas_used is 'JSON list of the feature areas used in 90 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_seats_v1.exempt_until is 'The last day of the exemption that holds.';
comment on column utilization_seats_v1.covered_days_28 is 'Days that are known of the 28 up to as_of. Below 28, a seat without activity is unknown and not idle.';
comment on column utilization_seats_v1.covered_days_90 is 'Days that are known of the 90 up to as_of.';
comment on column utilization_recommendations_v1.connection_id is 'The connection: one Productboard workspace.';
comment on column utilization_recommendations_v1.as_of is 'The last covered day: what the row speaks for.';
comment on column utilization_recommendations_v1.definition_version is 'By which definitions it was made.';
comment on column utilization_recommendations_v1.member_id is 'The member.';
comment on column utilization_recommendations_v1.name is 'As the vendor shows it; may be absent or [redacted].';
comment on column utilization_recommendations_v1.email is 'As the vendor shows it; may be absent or [redacted].';
comment on column utilization_recommendations_v1.tier is 'How sure: certain, probable or review. Only the first two are counted as savings.';
comment on column utilization_recommendations_v1.action is 'remove_disabled, withdraw_invitation, reassign, review_contributor or review_viewer.';
comment on column utilization_recommendations_v1.role is 'The paid role of the seat.';
comment on column utilization_recommendations_v1.state is 'The state of the seat, as in utilization_seats_v1.';
comment on column utilization_recommendations_v1.first_seen_day is 'The first listing or the first row of activity.';
comment on column utilization_recommendations_v1.last_active_day is 'The last day with activity up to as_of.';
comment on column utilization_recommendations_v1.active_days_28 is 'Days with activity in the 28 days up to as_of.';
comment on column utilization_recommendations_v1.active_days_90 is 'Days with activity in the 90 days up to as_of.';
comment on column utilization_recommendations_v1.areas_used is 'JSON list of the feature areas used in 90 days. Null where the facts are flagged as repeated totals.';
comment on column utilization_recommendations_v1.covered_days_90 is 'Days that are known of the 90 up to as_of.';

comment on table members is 'Everybody who ever stood on the member list, with the newest name and address.';
comment on table member_versions is 'How members stood, from each day on which that changed.';
comment on column member_versions.valid_from is 'The first day of it. The first listing of a workspace stands for all days before it.';
comment on column member_versions.role is 'The role; null where the member had left the list.';
comment on table teams is 'The teams as they are now.';
comment on table team_members is 'Who is in which team now. Teams have no past.';
comment on table member_days is 'What each member did on each date, as the vendor reports it. A counter that the vendor left out is null and counts as 0.';
comment on column member_days.day is 'The date, in a time zone that the vendor does not document.';
comment on column member_days.role is 'The role on that day, as the vendor reports it.';
comment on column member_days.active_flag is 'The vendor''s own flag; a member is active with it, or with any named counter above zero.';
comment on column member_days.board_created is 'The vendor''s total, kept and not used: it is 0 at times while its parts are not.';
comment on column member_days.board_opened is 'The vendor''s total, kept and not used: it is 0 at times while its parts are not.';
comment on table day_coverage is 'Which days are known: fetched whole on a later UTC date than themselves.';
comment on column day_coverage.fetched_on is 'When it was last fetched whole. Three days after the day its rows are settled.';
