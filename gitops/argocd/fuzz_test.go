package argocd_test

import (
	"encoding/json"
	"testing"

	"secretsbridge/events"
	"secretsbridge/gitops/argocd"
)

func FuzzTree(f *testing.F) {
	for _, text := range []string{
		`{"nodes":[{"kind":"Pod","namespace":"shop","name":"a","uid":"1","parentRefs":[{"uid":"2"}],"info":[{"name":"Status Reason","value":"Running"}]},
			{"group":"apps","kind":"ReplicaSet","namespace":"shop","name":"b","uid":"2","parentRefs":[{"uid":"1"},{"uid":"2"}]}]}`,
		`{"hosts":[[[]]],"nodes":null}`, `{"nodes":[{}]}`, `{"nodes":[`, `{}{}`, `null`, `[`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		kept, err := argocd.ReadTree(text)
		switch {
		case err == nil && !json.Valid(text):
			t.Errorf("taken, and is no JSON: %q", text)
		case err != nil && kept != 0:
			t.Errorf("%d nodes of a tree that is refused", kept)
		case err != nil:
			if told := argocd.SameProblem(err); told != string(events.RolloutMalformed) && told != string(events.RolloutTooLarge) {
				t.Errorf("%v is told as %s", err, told)
			}
		}
		if _, err := argocd.ReadList(text); err == nil && !json.Valid(text) {
			t.Errorf("a list that is no JSON: %q", text)
		}
	})
}
