-- Days that lost more rows than is believed, and which run saw it last. Each run fetches them again, whatever their age,
-- until they are believed again or the shrink is accepted.
create table doubted_days (
    connection_id {id} not null,
    day {date} not null,
    run_id {id} not null,
    primary key (connection_id, day)
);

comment on table doubted_days is 'Days of activity whose last answer lost more rows than is believed; member_days keeps what was known.';
