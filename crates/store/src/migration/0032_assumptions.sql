-- What is assumed of the vendor, held against the workspace of a connection: at connect, and by syncs. Deleted with the
-- connection's facts.
create table vendor_findings (
    connection_id {id} not null,
    -- The name of the assumption.
    assumption text not null,
    -- Whether it holds; null where the workspace showed neither.
    holds boolean,
    -- What was seen, without personal data; where it does not hold, a sentence for a person.
    detail text not null,
    -- Since when it stands so.
    since {time} not null,
    checked_at {time} not null,
    primary key (connection_id, assumption)
);

-- It was remembered as a flag; there is one place for it.
insert into vendor_findings (connection_id, assumption, holds, detail, since, checked_at)
    select connection_id, 'date_to_inclusive', false, detail, since, since from data_flags
    where flag = 'exclusive_date_to';
delete from data_flags where flag = 'exclusive_date_to';

-- How a list came to its place, so that a circle is seen that is longer than one delivery reads.
alter table listings add column way text;

comment on table vendor_findings is 'What is assumed of the vendor, held against the workspace: holds, does not, not seen.';
comment on column listings.way is 'Pages read so far, and a cursor among them, as a hash.';
