-- What rollups have to be computed again: facts on these days changed since the newest one. Whoever writes facts marks
-- them in the same transaction.
create table rollup_marks (
    connection_id {id} primary key,
    dirty_from {date},
    dirty_to {date},
    -- Grows with every change; a rollup remembers what it has seen.
    revision bigint not null,
    -- The last change that somebody waits for: a contract, an exemption.
    asked_revision bigint not null
);

alter table rollup_heads add column revision bigint not null default 0;
-- The UTC date on which the connection was last looked at: each day has its turn.
alter table rollup_heads add column looked_on {date};
-- JSON list of what is wrong with the facts.
alter table rollup_heads add column flags text not null default '[]';

-- The numbers of the window of that many days that ends on that day, of all members and of each cut. They take the
-- place of rollup_windows and rollup_areas, which the version before this one still writes and nobody reads.
create table rollup_numbers (
    connection_id {id} not null,
    cut_kind text not null,
    cut_key text not null,
    window_days bigint not null,
    day {date} not null,
    covered_days bigint not null,
    assigned bigint not null,
    active_seats bigint not null,
    active_members bigint not null,
    member_days bigint not null,
    daily_actives bigint not null,
    prioritization_members bigint not null,
    prioritization_creators bigint not null,
    prioritization_openers bigint not null,
    prioritization_actions bigint not null,
    roadmaps_members bigint not null,
    roadmaps_creators bigint not null,
    roadmaps_openers bigint not null,
    roadmaps_actions bigint not null,
    insights_members bigint not null,
    insights_creators bigint not null,
    insights_openers bigint not null,
    insights_actions bigint not null,
    documents_members bigint not null,
    documents_creators bigint not null,
    documents_openers bigint not null,
    documents_actions bigint not null,
    hierarchy_members bigint not null,
    hierarchy_creators bigint not null,
    hierarchy_openers bigint not null,
    hierarchy_actions bigint not null,
    primary key (connection_id, cut_kind, cut_key, window_days, day)
);
create index rollup_numbers_by_day on rollup_numbers (connection_id, day);

alter table seats add column pending_since {date};
alter table seats add column areas_7 bigint not null default 0;
alter table seats add column areas_28 bigint not null default 0;
alter table seats add column areas_90 bigint not null default 0;
alter table seats add column actions_7 bigint not null default 0;
alter table seats add column actions_28 bigint not null default 0;
alter table seats add column actions_90 bigint not null default 0;
alter table seats add column views_7 bigint not null default 0;
alter table seats add column views_28 bigint not null default 0;
alter table seats add column views_90 bigint not null default 0;
alter table seats add column maker_actions_7 bigint not null default 0;
alter table seats add column maker_actions_28 bigint not null default 0;
alter table seats add column maker_actions_90 bigint not null default 0;
alter table seats add column notes_7 bigint not null default 0;
alter table seats add column notes_28 bigint not null default 0;
alter table seats add column notes_90 bigint not null default 0;

-- What to do about a seat, as of the head's day. The evidence is the seat.
create table recommendations (
    connection_id {id} not null,
    member_id {uuid} not null,
    tier text not null,
    action text not null,
    primary key (connection_id, member_id)
);

-- What a customer pays for, as entered. Every part may be unknown.
create table contracts (
    connection_id {id} primary key,
    purchased bigint,
    -- Of one seat for one month, in the smallest unit of the currency.
    price_minor bigint,
    currency text,
    minimum bigint,
    renewal {date},
    target_percent bigint,
    updated_at {time} not null,
    constraint contracts_price_has_currency check ((price_minor is null) = (currency is null))
);

-- Seats that are kept although idle. Who sets one again replaces it.
create table exemptions (
    connection_id {id} not null,
    member_id {uuid} not null,
    reason text not null,
    until_day {date} not null,
    set_at {time} not null,
    ended_at {time},
    primary key (connection_id, member_id)
);

-- Alerts that were told and have not ended, so that each is told once.
create table alerts (
    connection_id {id} not null,
    kind text not null,
    subject text not null,
    told_at {time} not null,
    primary key (connection_id, kind, subject)
);

-- Rollups of before have none of the new numbers: they are due.
insert into rollup_marks (connection_id, dirty_from, dirty_to, revision, asked_revision)
    select connection_id, history_start, as_of, 1, 1 from rollup_heads;

-- Views for people: their columns stay as they are; a change of meaning is a view with the next number.
create view utilization_daily_v1 as
    select n.connection_id, n.day, n.window_days, n.cut_kind, n.cut_key, n.covered_days,
        n.assigned as assigned_seats, n.active_seats, n.assigned - n.active_seats as idle_seats,
        cast(n.active_seats as double precision) / nullif(n.assigned, 0) as seat_utilization,
        c.purchased as purchased_seats,
        cast(n.active_seats as double precision) / nullif(c.purchased, 0) as purchased_utilization,
        cast(n.assigned as double precision) / nullif(c.purchased, 0) as allocation,
        n.active_members, n.member_days, n.daily_actives, h.definition_version
    from rollup_numbers n
    join rollup_heads h on h.connection_id = n.connection_id
    left join contracts c on c.connection_id = n.connection_id and n.cut_kind = 'all';

create view utilization_areas_v1 as
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
        hierarchy_members, hierarchy_creators, hierarchy_openers, hierarchy_actions from rollup_numbers;

create view utilization_seats_v1 as
    select s.connection_id, h.as_of, h.history_start, h.definition_version, s.member_id, m.name, m.email, s.role,
        s.disabled, s.pending, s.state, s.first_seen_day, s.last_active_day, s.pending_since,
        s.active_days_7, s.active_days_28, s.active_days_90, s.areas_7, s.areas_28, s.areas_90,
        s.actions_7, s.actions_28, s.actions_90, s.views_7, s.views_28, s.views_90,
        s.maker_actions_90, s.notes_90, s.areas_used,
        x.reason as exempt_reason, x.until_day as exempt_until, r.tier, r.action
    from seats s
    join rollup_heads h on h.connection_id = s.connection_id
    left join members m on m.connection_id = s.connection_id and m.member_id = s.member_id
    left join exemptions x on x.connection_id = s.connection_id and x.member_id = s.member_id
        and x.ended_at is null and x.until_day > h.as_of
    left join recommendations r on r.connection_id = s.connection_id and r.member_id = s.member_id;

create view utilization_recommendations_v1 as
    select s.connection_id, s.as_of, s.definition_version, s.member_id, s.name, s.email, s.tier, s.action, s.role,
        s.state, s.first_seen_day, s.last_active_day, s.active_days_28, s.active_days_90, s.areas_used
    from utilization_seats_v1 s where s.tier is not null;
