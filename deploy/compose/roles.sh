#!/bin/sh
# Postgres runs it once, when it makes its data: the login of the application, with a password.
set -eu
password=$(cat /run/secrets/app-password)
psql --username postgres --dbname bridge --set ON_ERROR_STOP=1 --set password="$password" <<'SQL'
CREATE ROLE sb_app LOGIN PASSWORD :'password';
SQL
