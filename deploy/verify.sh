#!/usr/bin/env bash
# Has Go compare every module that is here with go.sum, for each go.mod of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for file in $(git ls-files '*go.mod'); do
	echo "$file"
	dir=$(dirname "$file")
	# `go mod verify` looks for the archive of a module that a folder stands for, unless both are of one workspace.
	folders=$(cd "$dir" && go list -m -f '{{with .Replace}}{{if not .Version}}{{.Dir}}{{end}}{{end}}' all 2>/dev/null | sort -u)
	if [ -n "$folders" ]; then
		{ echo "go $(cd "$dir" && go list -m -f '{{.GoVersion}}')" && printf 'use %s\n' "$PWD/$dir" $folders; } >"$work/go.work"
		(cd "$dir" && GOWORK="$work/go.work" go mod verify)
	else
		(cd "$dir" && go mod verify)
	fi
done
