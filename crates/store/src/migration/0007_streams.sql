-- What is synced of a workspace beside what utilization needs; by default, nothing.
create table sync_options (
    connection_id {id} primary key,
    -- JSON list of streams that are on.
    streams text not null,
    -- metadata or full: whether the vendor's documents are kept.
    capture text not null,
    updated_at {time} not null
);

-- Entities and notes. What is gone at the vendor stays as a tombstone: it may come back.
create table resources (
    connection_id {id} not null,
    -- entities or notes.
    stream text not null,
    resource_id {uuid} not null,
    kind text not null,
    status text,
    archived boolean,
    processed boolean,
    owner_id {uuid},
    creator_id {uuid},
    parent_id {uuid},
    created_at {time},
    updated_at {time},
    deleted_at {time},
    -- The vendor's JSON, where the capture is full.
    document {document},
    primary key (connection_id, stream, resource_id)
);
create index resources_updated on resources (connection_id, stream, updated_at);

-- Which fields entities and notes of a type have, as the vendor's JSON.
create table configurations (
    connection_id {id} not null,
    -- entity or note.
    family text not null,
    kind text not null,
    document {document} not null,
    primary key (connection_id, family, kind)
);

-- How far a stream has come over all runs.
create table stream_marks (
    connection_id {id} not null,
    stream text not null,
    -- All changes up to here are in.
    watermark {time},
    -- When the last whole list was begun that was believed.
    swept_at {time},
    -- How much is kept of what is in.
    capture text not null,
    -- Whether the next list is believed however much it lost.
    accepts_shrink boolean not null,
    primary key (connection_id, stream)
);

-- Where a run stands in the lists that it reads; gone when they are read.
create table listings (
    connection_id {id} not null,
    stream text not null,
    -- A stream is read in several lists at once.
    part text not null,
    run_id {id} not null,
    -- Where changes are asked for from; null for a whole list.
    updated_from {time},
    begun_at {time} not null,
    -- Behind the last page that was written; null before the first.
    next_cursor text,
    newest {time},
    is_done boolean not null,
    -- How much is kept of what it has.
    capture text not null,
    -- How often its answers could not be used.
    faults bigint not null,
    primary key (connection_id, stream, part)
);

-- What a whole list that is being read has had so far: the rest is gone at its end.
create table listed (
    connection_id {id} not null,
    stream text not null,
    resource_id {uuid} not null,
    -- Of a list that is applied in one piece: the row.
    document text,
    primary key (connection_id, stream, resource_id)
);

-- Fields of the vendor's that this version does not know, and in how many received rows they were.
create table schema_drift (
    connection_id {id} not null,
    stream text not null,
    path text not null,
    row_count bigint not null,
    first_seen_at {time} not null,
    last_seen_at {time} not null,
    primary key (connection_id, stream, path)
);

-- What is wrong with a workspace's data.
create table data_flags (
    connection_id {id} not null,
    flag text not null,
    since {time} not null,
    detail text not null,
    primary key (connection_id, flag)
);

-- Of the rows that a stream received: written, the same as before, gone, and changed on a day that was covered.
alter table run_streams add column written_count bigint not null default 0;
alter table run_streams add column unchanged_count bigint not null default 0;
alter table run_streams add column removed_count bigint not null default 0;
alter table run_streams add column late_count bigint not null default 0;

-- A day that is fetched again is compared with what it had.
create index member_days_of_day on member_days (connection_id, day);
