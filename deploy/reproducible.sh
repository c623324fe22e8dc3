#!/usr/bin/env bash
# Builds the application, the programs and the images of this commit twice, in folders of other names
# and lengths, first with the build cache of whoever calls it, then with an empty one, and says whether
# all bytes are the same.
# Arguments: version, revision and time of the build.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1 revision=$2 created=$3
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

build() { # folder, and its build cache; empty: that of the caller
	mkdir -p "$1"
	git archive HEAD | tar -x -C "$1"
	GOCACHE="${2:-$(go env GOCACHE)}" make -C "$1" --no-print-directory images \
		ARCHES="${ARCHES:-amd64}" VERSION="$version" REVISION="$revision" CREATED="$created" >&2
	# A layout's files are named for their content; a tarball for docker load has the same parts.
	(cd "$1" && find web/app/dist/site dist/binaries dist/images dist/LICENCES -type f ! -name '*.tar' -print0 | sort -z | xargs -0 sha256sum)
	rm -rf "$1"
}

build "$work/a" >"$work/first"
build "$work/another/place/with/a/longer/name" "$work/cache" >"$work/second"
if ! diff "$work/first" "$work/second"; then
	echo "the two builds differ in the files above" >&2
	exit 1
fi
echo "$(wc -l <"$work/first") files are the same in both builds:"
grep -E 'dist/binaries|index.json' "$work/first"
