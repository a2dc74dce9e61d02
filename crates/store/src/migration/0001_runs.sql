-- One sync of one workspace, however many deliveries it takes.
create table runs (
    id {id} primary key,
    connection_id {id} not null references connections (id),
    state text not null,
    reason text,
    attempts bigint not null,
    -- When the sweeper looks after it next.
    wake_at {time},
    created_at {time} not null,
    started_at {time},
    finished_at {time},
    updated_at {time} not null,
    constraint runs_finished_when_final
        check ((finished_at is not null) = (state in ('succeeded', 'partial', 'failed')))
);
-- At most one unfinished run per connection.
create unique index runs_one_open on runs (connection_id) where finished_at is null;
create index runs_of_connection on runs (connection_id, id);
create index runs_due on runs (wake_at) where finished_at is null;

-- How far each stream of a run is.
create table run_streams (
    run_id {id} not null references runs (id),
    stream text not null,
    state text not null,
    row_count bigint not null,
    page_count bigint not null,
    done bigint not null,
    total bigint not null,
    detail text,
    primary key (run_id, stream)
);

-- Who may write a workspace's facts. The number only grows; a stale holder's number matches no row.
create table fences (
    connection_id {id} primary key,
    number bigint not null,
    holder text not null,
    held_until {time}
);
