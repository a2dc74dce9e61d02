-- Pages of seats by name, in any case: each page is read from the index, wherever it lies.
create index members_by_name on members (connection_id, (coalesce(lower(name), '')), member_id);
