#!/bin/sh
# Postgres runs it once, when it makes its data: the login of the application, with a password.
set -eu
psql --username postgres --dbname bridge --set ON_ERROR_STOP=1 --set password="$(cat /run/secrets/app-password)" <<'SQL'
CREATE ROLE sb_app LOGIN PASSWORD :'password';
SQL
