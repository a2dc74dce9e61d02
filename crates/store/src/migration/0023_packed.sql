-- When what is kept in activity_windows was written, packed as this version does: at another time than the head was, it says
-- nothing. It takes the place of rolled_at, by which the version before knows what it packed itself; that goes with the next.
alter table rollup_heads add column packed_at {time};

-- On most days most seats change. With room for two versions of each row on its page, none needs a new entry in the index.
{postgres} alter table seats set (fillfactor = 45);
