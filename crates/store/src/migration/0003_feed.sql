-- Events for those who do not consume the broker: watchers and webhooks. Written beside the outbox row, in the same
-- transaction; numbered afterwards. Ids are taken before their transactions commit and so become visible out of order;
-- a position is given while the head is locked, so that whoever sees one sees all before it.
create table feed (
    id {serial},
    -- Null until numbered.
    position bigint,
    event_id {id} not null,
    organization_id {id} not null,
    connection_id {id} not null,
    kind text not null,
    body {bytes} not null,
    created_at {time} not null
);
create unique index feed_event on feed (event_id);
create unique index feed_position on feed (position) where position is not null;
create index feed_of_organization on feed (organization_id, position) where position is not null;
create index feed_unnumbered on feed (id) where position is null;

-- One row: the last position that was given, and the last that is no longer kept.
create table feed_head (
    id bigint primary key check (id = 1),
    position bigint not null,
    forgotten bigint not null
);
insert into feed_head (id, position, forgotten) values (1, 0, 0);

-- Old rows are deleted by the time they were seen.
create index inbox_seen on inbox (seen_at);
