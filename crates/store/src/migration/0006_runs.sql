-- Runs know whose turn it is, can be cancelled, and their streams fail on their own. The tables are made anew, since
-- SQLite cannot change a constraint.

create table runs_next (
    id {id} primary key,
    connection_id {id} not null references connections (id),
    state text not null,
    reason text,
    attempts bigint not null,
    -- 0 a person waits, 1 scheduled, 2 had its turn already.
    priority bigint not null default 1,
    -- Since when a worker may take it; null while one has it and while it waits.
    ready_at {time},
    -- Since when a worker has it.
    claimed_at {time},
    -- How long workers have had it so far.
    served_ms bigint not null default 0,
    -- When the sweeper looks after it next.
    wake_at {time},
    created_at {time} not null,
    started_at {time},
    finished_at {time},
    updated_at {time} not null,
    constraint runs_finished_when_final
        check ((finished_at is not null) = (state in ('succeeded', 'partial', 'failed', 'cancelled')))
);

create table run_streams_next (
    run_id {id} not null references runs_next (id),
    stream text not null,
    state text not null,
    row_count bigint not null,
    page_count bigint not null,
    done bigint not null,
    total bigint not null,
    detail text,
    -- Requests sent, retries included, and how long they waited for the rate budget.
    request_count bigint not null default 0,
    waited_ms bigint not null default 0,
    -- Failures in a row, and when it is tried again.
    attempts bigint not null default 0,
    retry_at {time},
    primary key (run_id, stream)
);

insert into runs_next (id, connection_id, state, reason, attempts, wake_at, created_at, started_at, finished_at, updated_at)
    select id, connection_id, state, reason, attempts, wake_at, created_at, started_at, finished_at, updated_at from runs;
insert into run_streams_next (run_id, stream, state, row_count, page_count, done, total, detail)
    select run_id, stream, state, row_count, page_count, done, total, detail from run_streams;
drop table run_streams;
drop table runs;
alter table runs_next rename to runs;
alter table run_streams_next rename to run_streams;

-- At most one unfinished run per connection.
create unique index runs_one_open on runs (connection_id) where finished_at is null;
create index runs_of_connection on runs (connection_id, id);
create index runs_due on runs (wake_at) where finished_at is null;
create index runs_ready on runs (priority, ready_at) where ready_at is not null and finished_at is null;
create index runs_claimed on runs (connection_id) where claimed_at is not null and finished_at is null;

-- When each connection is synced next without anybody asking.
create table schedules (
    connection_id {id} primary key references connections (id) on delete cascade,
    -- Its own cadence in seconds; 0 is never, null as the deployment says.
    every_s bigint,
    -- Null: to be decided.
    next_at {time}
);
create index schedules_due on schedules (next_at);
