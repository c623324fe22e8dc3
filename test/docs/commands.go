package docs

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// A Command is one simple command of a script.
type Command struct {
	Program string   // without its folder; empty where only variables are set
	Args    []string // what the shell makes up is an X
}

// Commands parses a script as bash does and lists its commands, also those in pipes, in
// substitutions and in subshells.
func Commands(script string) ([]Command, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	var all []Command
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		words := make([]string, len(call.Args))
		for i, word := range call.Args {
			words[i] = plainWord(word)
		}
		for len(words) > 1 && (words[0] == "exec" || words[0] == "sudo" || words[0] == "env" || words[0] == "time") {
			words = words[1:]
			for len(words) > 1 && (strings.Contains(words[0], "=") || strings.HasPrefix(words[0], "-")) {
				if words[0] == "-u" && len(words) > 2 {
					words = words[1:]
				}
				words = words[1:]
			}
		}
		all = append(all, Command{Program: path.Base(words[0]), Args: words[1:]})
		return true
	})
	return all, nil
}

// plainWord is a word without its quotes, with an X for what the shell would put in.
func plainWord(word *syntax.Word) string {
	if text := word.Lit(); text != "" {
		text, err := expand.Literal(&expand.Config{}, word)
		if err == nil {
			return text
		}
	}
	var b strings.Builder
	var add func(parts []syntax.WordPart)
	add = func(parts []syntax.WordPart) {
		for _, part := range parts {
			switch part := part.(type) {
			case *syntax.Lit:
				b.WriteString(part.Value)
			case *syntax.SglQuoted:
				b.WriteString(part.Value)
			case *syntax.DblQuoted:
				add(part.Parts)
			default:
				b.WriteString("X")
			}
		}
	}
	add(word.Parts)
	return b.String()
}
