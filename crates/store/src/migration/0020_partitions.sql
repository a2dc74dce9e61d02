-- In PostgreSQL the largest tables of facts are in sixteen parts by the hash of the connection: each part is vacuumed by
-- itself, its indexes stay small, and a query of one connection opens one part. SQLite serves one machine and has one
-- part. The copy happens in the migration's transaction, some seconds for a million rows; until it is done, syncs wait.

-- It was there twice.
drop index member_days_of_day;

{postgres} alter table member_days rename to member_days_before;
{postgres} alter table resources rename to resources_before;
{postgres} create table member_days (like member_days_before including all excluding indexes) partition by hash (connection_id);
{postgres} create table resources (like resources_before including all excluding indexes) partition by hash (connection_id);
{postgres} do $$ begin
{postgres}     for part in 0..15 loop
{postgres}         execute format('create table member_days_%s partition of member_days for values with (modulus 16, remainder %s)', part, part);
{postgres}         execute format('create table resources_%s partition of resources for values with (modulus 16, remainder %s)', part, part);
{postgres}     end loop;
{postgres} end $$;
{postgres} insert into member_days select * from member_days_before;
{postgres} insert into resources select * from resources_before;
{postgres} drop table member_days_before;
{postgres} drop table resources_before;
{postgres} alter table member_days add primary key (connection_id, member_id, day);
{postgres} alter table resources add primary key (connection_id, stream, resource_id);
{postgres} create index member_days_by_day on member_days (connection_id, day);
{postgres} create index resources_updated on resources (connection_id, stream, updated_at);

comment on table member_days is 'What each member did on each date, as the vendor reports it. A counter that the vendor left out is null and counts as 0.';
