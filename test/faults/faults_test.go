package faults_test

// programme is everything that is tried, in the order of its items.
var programme = []fault{
	{item: 1, name: "kill-log", smoke: 20, full: 1000, try: killsOfLog, without: "a commit counts when it is sent", controls: 40},
	{item: 1, name: "kill-system", smoke: 3, full: 60, try: killsOfSystem, without: "repetitions without a key", controls: 3},
	{item: 2, name: "power-cut-log", smoke: 4, full: 200, try: powerOfLog, without: "server as NATS comes", controls: 10},
	{item: 2, name: "power-cut-postgres", smoke: 2, full: 100, try: powerOfPostgres, without: "synchronous_commit off", controls: 20},
	{item: 3, name: "fsync-proof", smoke: 50, full: 500, try: syncsOfLog, without: "server as NATS comes", controls: 50},
	{item: 4, name: "damage-one-replica", smoke: 8, full: 200, try: damagedLog, without: "what NATS delivers is taken for the log"},
	{item: 5, name: "disk-full-log", smoke: 0, full: 5, try: fullLog, without: "a request counts when it is sent"},
	{item: 6, name: "disk-full-postgres", smoke: 0, full: 3, try: fullPostgres, without: "a row is deleted behind the server"},
	{item: 11, name: "reveal-race", smoke: 3, full: 200, try: revealRace, without: "clients act on what they read"},
	{item: 13, name: "lost-answers", smoke: 0, full: 300, try: lostAnswers, without: "repetitions without a key", controls: 20},
}
