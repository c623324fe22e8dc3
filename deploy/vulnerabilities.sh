#!/usr/bin/env bash
# Says which known holes can be reached from the three programs, and from the Go that builds them. It
# ends with an error if there is one, and if nothing could be asked. Argument: where the Go team's
# database is, a URL or a folder in the form of vuln.go.dev; or "module", the newest that Go's module
# proxy has of golang.org/x/vulndb, from which that site is made.
set -euo pipefail
cd "$(dirname "$0")/.."
database=$1
if [ "$database" = module ]; then
	read -r dir version <<<"$(cd / && go mod download -json golang.org/x/vulndb@latest | sed -n 's/^\t"\(Dir\|Version\)": "\(.*\)",\{0,1\}$/\2/p' | sort | tr '\n' ' ')"
	[ -d "${dir:-}/data/osv" ] || { echo "the module proxy gives no database: nothing was checked" >&2 && exit 1; }
	echo "the database is golang.org/x/vulndb $version, with $(find "$dir/data/osv" -name '*.json' | wc -l) entries"
	database=file://$dir/data/osv
fi
(cd deploy/supply && go build -o ../../.cache/govulncheck golang.org/x/vuln/cmd/govulncheck)
code=0
# As programs are built. Of each hole three ways to it are enough.
CGO_ENABLED=0 GOEXPERIMENT=runtimesecret GOFLAGS="${GOFLAGS:-} -trimpath" .cache/govulncheck -db "$database" -tags grpcnotrace ./cmd/... |
	grep -Ev '^ +#([4-9]|[0-9]{2,}): ' || code=$?
case $code in
0) ;;
3) echo "holes of the standard library are closed by a newer Go, others by newer modules (go get MODULE@VERSION)" >&2 ;;
*) echo "nothing was checked: without a way to $database, make vulnerabilities VULNDB=module asks Go's module proxy" >&2 ;;
esac
exit $code
