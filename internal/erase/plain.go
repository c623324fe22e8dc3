//go:build !(goexperiment.runtimesecret && linux && (amd64 || arm64))

package erase

// Works says whether this binary erases.
const Works = false

func do(f func()) { f() }
