package faults_test

// programme is everything that is tried, in the order of its items.
var programme = []fault{
	{item: 2, name: "power-cut-log", smoke: 4, full: 200, try: powerOfLog, without: "server as NATS comes", controls: 10},
	{item: 2, name: "power-cut-postgres", smoke: 2, full: 100, try: powerOfPostgres, without: "synchronous_commit off", controls: 20},
	{item: 3, name: "fsync-proof", smoke: 50, full: 500, try: syncsOfLog, without: "server as NATS comes", controls: 50},
	{item: 4, name: "damage-one-replica", smoke: 8, full: 200, try: damagedLog, without: "what NATS delivers is taken for the log"},
}
