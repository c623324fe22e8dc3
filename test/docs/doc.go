// Package docs reads the pages of the documentation as the tests beside it need them: blocks of
// shell with what their comments say of them, links, headings. CONTRIBUTING.md says how a page
// is written so that its commands can be tried.
package docs
