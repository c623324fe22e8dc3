// Package build tells which build of the product this is.
package build

import "runtime/debug"

// version is set for a release: -ldflags "-X secretsbridge/internal/build.version=1.2.3".
var version = "0.1.0-dev"

// revisionLength is how much of a commit's hash tells it from all others.
const revisionLength = 12

// Version is the semantic version of the build, with the commit that it was built from
// where the toolchain recorded one: "0.1.0-dev+3f9c01ab77de".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= revisionLength {
			return version + "+" + s.Value[:revisionLength]
		}
	}
	return version
}
