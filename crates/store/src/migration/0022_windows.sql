-- How the windows of all members stand on the rollup's day, packed: with the activity_pages of the days that come in and go
-- out, a day more is a step. It takes the place of activity_blocks, which the version before still reads for as long as it
-- runs, and which goes with the next.
create table activity_windows (
    connection_id {id} not null,
    block bigint not null,
    stands_on {date} not null,
    members {packed} not null,
    primary key (connection_id, block)
);

-- The first of the days whose activity_pages are kept up to as_of, and the revision of facts that these and the windows are
-- of. Of another one than the head's, they say nothing.
alter table rollup_heads add column rolled_from {date};
alter table rollup_heads add column rolled_revision bigint;

comment on table activity_windows is 'How the windows of members stand on a day, packed for the next rollup. For queries, see utilization_seats_v1.';
