package siem

// Meant reports whether a type of facts has a class of its own.
func Meant(typ string) bool { _, ok := meanings[typ]; return ok }
