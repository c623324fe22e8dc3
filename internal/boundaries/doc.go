// Package boundaries holds the tests that keep the tiers apart: which package may
// import which, which binary may link what, and why. It has no code of its own.
package boundaries
