// Package app holds the web application as it was built: `make app` writes it to dist/site.
package app

import (
	"embed"
	"io/fs"
)

// The folder has a file of its own, so that Go builds before the application is built.
//
//go:embed all:dist
var dist embed.FS

// Site is the built application with index.html at its root, or nil if it was not built.
func Site() fs.FS {
	site, err := fs.Sub(dist, "dist/site")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(site, "index.html"); err != nil {
		return nil
	}
	return site
}
