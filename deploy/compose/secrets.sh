#!/bin/sh
# Makes the passwords of the two logins in secrets/, once. The other files there are yours to bring:
# tls.crt, tls.key, leaf-ca.pem and kms-secret-id. Run it as root: it gives what the programs read to
# their account, and the application's password to Postgres, which runs roles.sh: 999 in the Debian form of
# its image, POSTGRES_UID=70 in Alpine's.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in postgres app; do
	[ -e "secrets/$name-password" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"secrets/$name-password"
done
printf 'postgres:5432:bridge:postgres:%s\npostgres:5432:bridge:sb_app:%s\n' \
	"$(cat secrets/postgres-password)" "$(cat secrets/app-password)" >secrets/passwords
chmod 0711 secrets
chown "${POSTGRES_UID:-999}" secrets/app-password
chmod 0400 secrets/app-password
for name in passwords tls.crt tls.key leaf-ca.pem kms-secret-id; do
	if [ -e "secrets/$name" ]; then
		chown 65532:65532 "secrets/$name"
		chmod 0400 "secrets/$name"
	else
		echo "secrets/$name is missing" >&2
	fi
done
