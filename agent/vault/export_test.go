package vault

import "secretsbridge/agent"

// CursorAfter is the cursor of a page that ends with a path of a mount.
func CursorAfter(at, path string) agent.Cursor {
	ref, err := agent.ParseRef(at)
	if err != nil {
		panic(err)
	}
	return cursorAfter(place{mount: mount{path: ref}, path: path})
}
