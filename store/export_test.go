package store

import "maps"

// CopiedTables are the tables that a backup has, and those that it has not, with the reason.
func CopiedTables() (in map[string]bool, out map[string]string) {
	in = map[string]bool{}
	for _, t := range copied {
		in[t.name] = true
	}
	return in, maps.Clone(leftOut)
}
