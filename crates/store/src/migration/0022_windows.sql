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

-- The first of the days whose activity_pages are kept up to as_of, and when what is kept was written: at another time than
-- the head was, it says nothing, since another version wrote the head. They take the place of kept_from and kept_revision,
-- which go with activity_blocks.
alter table rollup_heads add column rolled_from {date};
alter table rollup_heads add column rolled_at {time};

comment on table activity_blocks is 'Written by the version before activity_windows, and of no more use.';
comment on table activity_windows is 'How the windows of members stand on a day, in the order of activity_pages, packed for the next rollup. For queries, see utilization_seats_v1.';
