-- What the newest rollup of a workspace speaks for.
create table rollup_heads (
    connection_id {id} primary key,
    as_of {date} not null,
    history_start {date} not null,
    definition_version bigint not null,
    run_id {id} not null,
    members bigint not null,
    computed_at {time} not null
);

-- The numbers of the window of that many days that ends on that day.
create table rollup_windows (
    connection_id {id} not null,
    day {date} not null,
    window_days bigint not null,
    covered_days bigint not null,
    assigned bigint not null,
    active_seats bigint not null,
    active_members bigint not null,
    member_days bigint not null,
    primary key (connection_id, day, window_days)
);

-- The same, per feature area.
create table rollup_areas (
    connection_id {id} not null,
    day {date} not null,
    window_days bigint not null,
    area text not null,
    members bigint not null,
    creators bigint not null,
    openers bigint not null,
    actions bigint not null,
    primary key (connection_id, day, window_days, area)
);

-- Each member's seat on the head's day, with the evidence for its state.
create table seats (
    connection_id {id} not null,
    member_id {uuid} not null,
    role text not null,
    disabled boolean not null,
    pending boolean not null,
    state text not null,
    first_seen_day {date} not null,
    last_active_day {date},
    active_days_7 bigint not null,
    active_days_28 bigint not null,
    active_days_90 bigint not null,
    -- JSON list of areas.
    areas_used text not null,
    primary key (connection_id, member_id)
);
