-- What a rollup needs of the last days of activity, packed: made of member_days, and a rebuild makes it again. With it a
-- day more is folded without reading ninety.

-- Some members each, in a fixed order: a list of ids, each with two dates that tell of the days before those that are kept.
create table activity_blocks (
    connection_id {id} not null,
    block bigint not null,
    members {packed} not null,
    primary key (connection_id, block)
);

-- What the members of a block did on one day, by their place in it. Without a row, nothing.
create table activity_pages (
    connection_id {id} not null,
    block bigint not null,
    day {date} not null,
    uses {packed} not null,
    primary key (connection_id, block, day)
);

-- The first of the days that are kept up to as_of, and the revision of facts they are of. Of another one than the head's,
-- they say nothing.
alter table rollup_heads add column kept_from {date};
alter table rollup_heads add column kept_revision bigint;

-- A day of activity, without a look at every member's history.
create index member_days_by_day on member_days (connection_id, day);

-- Most seats change a little every day: with room on its page, a new version of a row needs no new entry in the index.
{postgres} alter table seats set (fillfactor = 60);

-- Nobody reads them any more; rollup_numbers took their place with 0008.
drop table rollup_windows;
drop table rollup_areas;

comment on table activity_blocks is 'Members in the order of activity_pages, packed for the next rollup. For queries, see member_days.';
comment on table activity_pages is 'The last days of activity, packed for the next rollup. For queries, see member_days.';
