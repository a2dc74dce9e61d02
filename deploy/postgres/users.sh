#!/usr/bin/env bash
# The database users of the services, for an empty database. The image runs this once; elsewhere an administrator does the
# same by hand. What each may do stands in crates/store/src/roles.sql, which `tidemark migrate --roles` applies.
set -euo pipefail

for service in credentials worker aggregator; do
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set role="tidemark_${service}" --set user="tidemark_${service}_user" \
    --set password="$(cat "/run/secrets/${service}-database-password")" <<'SQL'
create role :"role" nologin;
create role :"user" login password :'password' in role :"role";
SQL
done
