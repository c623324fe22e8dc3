//go:build goexperiment.runtimesecret && linux && (amd64 || arm64)

package erase

import "runtime/secret"

// Works says whether this binary erases.
const Works = true

func do(f func()) { secret.Do(f) }
