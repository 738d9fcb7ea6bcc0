#!/usr/bin/env bash
# Makes the two roles and the database on an empty server, as docs/storage.md has it. The database's image runs
# it once, as its administrator, when its volume is empty.
#
#   MARKETDATA_MIGRATOR_PASSWORD, DB_PASSWORD   of the roles; psql's own variables say where the server is
set -euo pipefail
: "${MARKETDATA_MIGRATOR_PASSWORD:?is missing}" "${DB_PASSWORD:?is missing}"

# Neither password is in a command line, nor in the server's log, whatever it is told to log.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv owner_password MARKETDATA_MIGRATOR_PASSWORD
\getenv service_password DB_PASSWORD
SET log_statement = none;
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
CREATE ROLE market_data_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE market_data_service_user LOGIN PASSWORD :'service_password';
CREATE DATABASE marketdata OWNER market_data_owner ENCODING 'UTF8' TEMPLATE template0;
\connect marketdata
-- Where it is not trusted, only the administrator may make it.
CREATE EXTENSION timescaledb;
SQL
