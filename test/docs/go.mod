// The pages of the documentation, tried: their commands are run, their links followed.
module secretsbridge/test/docs

go 1.26.0

require github.com/yuin/goldmark v1.8.7

require mvdan.cc/sh/v3 v3.14.1
