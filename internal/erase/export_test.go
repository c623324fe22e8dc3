package erase

// Collect is what Run does after work with values.
var Collect = collect
