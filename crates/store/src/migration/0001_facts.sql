-- Facts carry no foreign key to connections: they are written in bulk, under the fence.

-- Everybody who ever stood on the member list.
create table members (
    connection_id {id} not null,
    member_id {uuid} not null,
    name text,
    email text,
    primary key (connection_id, member_id)
);

-- How a member stood from that day on. No role: the member had left the list.
create table member_versions (
    connection_id {id} not null,
    member_id {uuid} not null,
    valid_from {date} not null,
    role text,
    disabled boolean not null,
    pending boolean not null,
    primary key (connection_id, member_id, valid_from)
);

create table teams (
    connection_id {id} not null,
    team_id {uuid} not null,
    name text not null,
    handle text not null,
    primary key (connection_id, team_id)
);

create table team_members (
    connection_id {id} not null,
    team_id {uuid} not null,
    member_id {uuid} not null,
    primary key (connection_id, team_id, member_id)
);

-- What one member did on one date. A counter the vendor left out is null. The columns are those of the domain's
-- COUNTER_TABLE.
create table member_days (
    connection_id {id} not null,
    member_id {uuid} not null,
    day {date} not null,
    role text not null,
    active_flag boolean not null,
    board_created bigint,
    board_opened bigint,
    component_created bigint,
    feature_created bigint,
    insight_created bigint,
    note_created bigint,
    product_created bigint,
    subfeature_created bigint,
    note_state_changed bigint,
    grid_board_created bigint,
    timeline_board_created bigint,
    insights_board_created bigint,
    document_board_created bigint,
    column_board_created bigint,
    grid_board_opened bigint,
    timeline_board_opened bigint,
    insights_board_opened bigint,
    document_board_opened bigint,
    column_board_opened bigint,
    primary key (connection_id, member_id, day)
);

-- Days that were fetched whole on a later date than themselves.
create table day_coverage (
    connection_id {id} not null,
    day {date} not null,
    fetched_on {date} not null,
    run_id {id} not null,
    primary key (connection_id, day)
);
