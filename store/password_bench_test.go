package store_test

import (
	"runtime"
	"testing"

	"secretsbridge/store"
)

// BenchmarkSignIn is what one sign-in costs, password and all: its time, the memory that
// argon2id takes for it, and how many a second this machine does with all its cores.
func BenchmarkSignIn(b *testing.B) {
	db := cluster.New(b)
	people := store.People{Pool: db.App, Rows: vouching}
	person, err := people.Create(b.Context(), store.Person{Email: "ada@example.org", Name: "Ada"}, text("correct horse"))
	if err != nil {
		b.Fatal(err)
	}
	sign := func() {
		if _, err := people.Verify(b.Context(), person.Email, text("correct horse"), "n"); err != nil {
			b.Error(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for b.Loop() {
			sign()
		}
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/sign-in")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/(1<<20), "MiB/sign-in")
	})
	b.Run("all", func(b *testing.B) {
		b.RunParallel(func(next *testing.PB) {
			for next.Next() {
				sign()
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sign-ins/s")
	})
}
